/** Folders of models that tests put together, and what a server says of them. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import type { TinyModel } from './tiny-model.js';

export const root = mkdtempSync(join(tmpdir(), 'alexnet-repository-'));
after(() => rmSync(root, { recursive: true }));
export const TOKEN = 'a token of the tests';

/** A file of another tool, to be described by a config.json. */
export const FOREIGN: TinyModel = { metadata: null, float: true, logits: true };

export function folder(...parts: string[]): string {
  const made = join(root, ...parts);
  mkdirSync(made, { recursive: true });
  return made;
}

export function put(bytes: Uint8Array | string, ...parts: string[]): string {
  const file = join(folder(...parts.slice(0, -1)), parts.at(-1)!);
  writeFileSync(file, bytes);
  return file;
}

/** Nobody writes to it: opening it would wait for ever. */
export function pipe(...parts: string[]): string {
  const file = join(folder(...parts.slice(0, -1)), parts.at(-1)!);
  execFileSync('mkfifo', [file]);
  return file;
}

export const json = async (url: string, path: string, method = 'GET') => (await fetch(url + path, { method })).json();
export interface Entry {
  name: string;
  version: string;
  state: string;
  reason: string;
}
export const index = async (url: string) => (await json(url, '/v2/repository/index', 'POST')) as Entry[];
export const load = (url: string, model: string) =>
  fetch(`${url}/v2/repository/models/${model}/load`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}` },
  });
