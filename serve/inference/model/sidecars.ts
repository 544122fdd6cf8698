/** The files that may lie next to a model. */
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { decodeText } from '../../../base/decode-text.js';
import { UserError } from '../../../base/errors.js';
import { type Roots, requireInside } from '../../../base/links.js';
import { requireFile } from '../../../base/require-file.js';

/** Where its description may lie: next to it or, in a repository, in the folder above. */
export function foldersOf(model: string): string[] {
  const folder = dirname(model);
  return [folder, ...(/^\d+$/.test(basename(folder)) ? [dirname(folder)] : [])];
}

/** Whether a `config.json` there is about a classifier, and not, say, about a run whose folder it is. */
export async function isDescribed(model: string, roots: Roots): Promise<boolean> {
  for (const folder of foldersOf(model)) {
    const config = await readJson(join(folder, 'config.json'), roots).catch(() => undefined);
    if (config === undefined) continue;
    return (
      typeof config === 'object' && config !== null && ['labels', 'input', 'id2label'].some((key) => key in config)
    );
  }
  return false;
}

/** @throws {UserError} if it is outside `roots`, or no file; what `readFile` throws */
export async function readSidecar(file: string, roots: Roots): Promise<Buffer> {
  const real = await requireInside(file, roots);
  requireFile(file);
  return readFile(real);
}

/** @returns undefined if there is none. @throws {UserError} */
export async function readJson(file: string, roots: Roots): Promise<unknown> {
  try {
    return JSON.parse(decodeText(await readSidecar(file, roots)));
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UserError(`${file}: cannot be read as JSON: ${(cause as Error).message}; repair it, or copy it again`, {
      cause,
    });
  }
}
