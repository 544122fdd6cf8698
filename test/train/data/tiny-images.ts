/**
 * Tiny data sets for tests: images of one colour, written as folders and as archives.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { pack } from 'tar-stream';

/** Paths to contents; a path ending in `/` is a folder and has null. */
export type Files = Record<string, Buffer | string | null>;

/** A lossless image of one colour, wider than high. */
export function plainPng(red: number, green: number, blue: number): Promise<Buffer> {
  return sharp({ create: { width: 9, height: 7, channels: 3, background: { r: red, g: green, b: blue } } })
    .png()
    .toBuffer();
}

/** A folder that is gone after the test. */
export async function temporaryFolder(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'alexnet-test-'));
  context.after(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

export async function writeFiles(context: TestContext, files: Files): Promise<string> {
  const folder = await temporaryFolder(context);
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path);
    await mkdir(content === null ? file : dirname(file), { recursive: true });
    if (content !== null) await writeFile(file, content);
  }
  return folder;
}

export async function tarBytes(files: Files): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of Object.entries(files)) {
    if (content === null) archive.entry({ name, type: 'directory' });
    else archive.entry({ name }, content);
  }
  archive.finalize();
  return buffer(archive);
}

/** Writes bytes as an archive of the given name, compressed where the name says so. */
export async function writeArchive(context: TestContext, name: string, bytes: Buffer): Promise<string> {
  const file = join(await temporaryFolder(context), name);
  await writeFile(file, name.endsWith('gz') ? gzipSync(bytes) : bytes);
  return file;
}
