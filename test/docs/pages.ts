/** README, CONTRIBUTING and docs/ as tests read them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** A fenced block. */
export interface Block {
  language: string;
  text: string;
}

export interface Page {
  /** From the root, e.g. `docs/train.md`. */
  path: string;
  lines: string[];
  blocks: Block[];
  /** The text without fenced blocks. */
  prose: string;
}

const FENCE = /^```(\w*)\n([\s\S]*?)^```$/gm;

/** @param path  from the root */
export function readPage(path: string): Page {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const blocks = Array.from(text.matchAll(FENCE), ([, language, block]) => ({ language, text: block }));
  return { path, lines: text.trimEnd().split('\n'), blocks, prose: text.replace(FENCE, '') };
}

export const PAGES: readonly Page[] = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(ROOT, 'docs')).map((file) => `docs/${file}`),
].map(readPage);

/** Code spans of the prose, line breaks in them as spaces. */
export function spansOf({ prose }: Page): string[] {
  return Array.from(prose.matchAll(/`([^`]+)`/g), ([, code]) => code.replace(/\s+/g, ' '));
}

/** Cells of the rows of Markdown tables, generated tables left out. */
export function tableRows({ prose }: Page): string[][] {
  return prose
    .replace(/<!-- kernels -->[\s\S]*?<!-- \/kernels -->/, '')
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|').slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()));
}
