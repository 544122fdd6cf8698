/**
 * What a command may overwrite: a file that a command wrote, which its contents tell, and one that is empty. Anything
 * else, links included, belongs to somebody and is refused by name before anything is written.
 */
import { lstat, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from './errors.js';

/** Whether a file that starts with these bytes was written by a command; most files are shorter than `START_BYTES`. */
export type IsOurs = (start: Buffer) => boolean;

const START_BYTES = 2 ** 22;

/** Near the start of pages and drawings, which have no other sign of where they come from. */
export const MARK = 'written by alexnet';
export const MARKUP_MARK = `<!-- ${MARK} -->\n`;
export const isMarked: IsOurs = (start) => start.subarray(0, 512).includes(MARK);

/**
 * @param what     a command writes there, e.g. "a report of alexnet"
 * @param inPlace  it is written through a link, or to a pipe or a device, and not renamed into its place
 * @throws {UserError} if `file` holds something else
 */
export async function checkReplaceable(
  file: string,
  what: string,
  isOurs: IsOurs,
  { inPlace = false } = {},
): Promise<void> {
  if (inPlace && (await stat(file).catch(() => undefined))?.isFile() === false) return;
  if (!(await isForeign(file, isOurs, inPlace))) return;
  const isFolder = (await stat(file).catch(() => undefined))?.isDirectory();
  if (isFolder) throw new UserError(`${file}: is a folder; expected a file, or nothing there yet: name another`);
  throw new UserError(`${file}: not ${what}, so it is kept; remove it, or name another file`);
}

/** The file's path if somebody else wrote it; none if it is absent, empty or ours. */
export async function foreignFile(file: string, isOurs: IsOurs): Promise<string[]> {
  return (await isForeign(file, isOurs, false)) ? [file] : [];
}

/**
 * Paths in a folder of what somebody else put there; that of the folder, if it is something else.
 * @param isOurs  given the file's name too
 */
export async function foreignFilesIn(
  folder: string,
  isOurs: (name: string, start: Buffer) => boolean,
): Promise<string[]> {
  if (!(await isThere(folder))) return [];
  const names = await readdir(folder).catch(() => undefined);
  if (names === undefined) return [folder];
  const found = names.map((name) => foreignFile(join(folder, name), (start) => isOurs(name, start)));
  return (await Promise.all(found)).flat();
}

/** @throws {UserError} if there are such paths */
export function refuseForeign(paths: readonly string[], writer: string): void {
  if (paths.length === 0) return;
  const named = paths.slice(0, NAMED).join(', ') + (paths.length > NAMED ? ` and ${paths.length - NAMED} more` : '');
  const [they, them] = paths.length === 1 ? ['it is', 'it'] : ['they are', 'them'];
  throw new UserError(`${named}: not written by ${writer}, so ${they} kept; move ${them} away, or name another --out`);
}

const NAMED = 5;

const isThere = (path: string) => lstat(path).catch(() => undefined);

async function isForeign(file: string, isOurs: IsOurs, followed: boolean): Promise<boolean> {
  const found = await (followed ? stat(file).catch(() => undefined) : isThere(file));
  if (!found || (found.isFile() && found.size === 0)) return false;
  return !found.isFile() || !isOurs(await startOf(file));
}

/** Its first bytes; none if it is absent or not a file. */
export async function startOf(path: string): Promise<Buffer> {
  const isPlain = await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
  const file = isPlain ? await open(path).catch(() => undefined) : undefined;
  if (file === undefined) return Buffer.of();
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(START_BYTES, (await file.stat()).size)), 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
