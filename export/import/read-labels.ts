/** Names of classes for an imported network. */
import { readFile } from 'node:fs/promises';
import { decodeText } from '../../base/decode-text.js';
import { UserError } from '../../base/errors.js';
import { requireFile } from '../../base/require-file.js';

/**
 * One label a line, or a JSON array of strings, in the order of the network's outputs.
 * @throws {UserError} when the file cannot be read, or has not as many labels as the network has classes
 */
export async function readLabels(file: string, classes: number): Promise<string[]> {
  requireFile(file);
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    throw new UserError(`${file}: cannot be read: ${cause.code === 'ENOENT' ? 'no such file' : cause.message}`, {
      cause,
    });
  });
  const text = decodeText(bytes);
  const labels = text.trimStart().startsWith('[') ? parseArray(file, text) : lines(text);
  if (labels.length === classes) return labels;
  throw new UserError(`${file}: expected ${classes} labels, one per class of the network, got ${labels.length}`);
}

function lines(text: string): string[] {
  const all = text.split(/\r?\n/).map((line) => line.trim());
  while (all.at(-1) === '') all.pop();
  return all;
}

function parseArray(file: string, text: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UserError(`${file}: begins as a JSON array but is none: ${(cause as Error).message}`, { cause });
  }
  if (Array.isArray(value) && value.every((label) => typeof label === 'string')) return value;
  throw new UserError(`${file}: expected a JSON array of strings`);
}
