/** Folders that a command is told to write to. */
import { existsSync, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeError } from './disk-full.js';
import { UserError } from './errors.js';

/** How each goes on: with what to do instead. */
const REASONS: Record<string, string> = {
  EEXIST: 'is a file; expected a folder, or nothing there yet: ',
  ENOTDIR: 'lies below a file, where no folder can be made; ',
  ENOENT: 'cannot create or write a folder there; ',
  EACCES: 'permission denied; get write permission, or ',
  EPERM: 'permission denied; get write permission, or ',
  EROFS: 'its file system is read-only; ',
};
const INSTEAD = 'name another --out';

/**
 * Makes a folder and those above it, where they are not there. Nothing else may make folders recursively.
 * @param instead  what to do where that cannot be
 * @throws {UserError} where that cannot be
 */
export async function makeFolder(path: string, instead = INSTEAD): Promise<void> {
  if (path === '') throw new UserError('--out "": expected the path of a folder; name one');
  await makeWithParents(path).catch((error) => {
    throw folderError(path, error, instead);
  });
}

/** Node's own `recursive` tries for ever where a folder is there and cannot hold another, as in /proc (ENOENT). */
async function makeWithParents(path: string): Promise<void> {
  const parent = dirname(path);
  if (parent !== path && !existsSync(parent)) await makeWithParents(parent);
  await mkdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST' || !statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
  });
}

/** @param error  of making a folder, or a file in it */
export function folderError(path: string, error: NodeJS.ErrnoException, instead = INSTEAD): unknown {
  const reason = REASONS[error.code ?? ''];
  return reason ? new UserError(`${path}: ${reason}${instead}`, { cause: error }) : writeError(path, error);
}
