/** Symbolic links among a model's files: followed within certain folders only. */
import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, parse, relative, resolve, sep } from 'node:path';
import { bothNames, UserError } from './errors.js';

/** Folders in which the files of a model may lie, as real paths. */
export type Roots = readonly string[];

/**
 * Those of a model given by its file: its folder, or the one above if the folder is a version's; and if the file is a
 * link, the folder of what it leads to (as in Hugging Face's cache).
 */
export async function ownRoots(file: string): Promise<Roots> {
  const folder = dirname(resolve(file));
  const named = /^\d+$/.test(basename(folder)) ? dirname(folder) : folder;
  const real = (path: string) => realpath(path).catch(() => path);
  return [await real(named), dirname(await real(resolve(file)))];
}

/** Those of a model whose links may lead anywhere. */
export function anyRoots(file: string): Roots {
  return [parse(resolve(file)).root];
}

/**
 * @returns  the path without links
 * @throws {UserError} if a link leads to nothing, or out of the folders
 * @throws what the file system throws if there is no such file
 */
export async function requireInside(path: string, roots: Roots): Promise<string> {
  const real = await realpath(path).catch(async (cause: NodeJS.ErrnoException) => {
    const isLink = await lstat(path).then(
      (found) => found.isSymbolicLink(),
      () => false,
    );
    throw isLink ? new UserError(`${path}: is a link that leads to no file (${cause.code})`, { cause }) : cause;
  });
  if (roots.some((root) => !leaves(relative(root, real)))) return real;
  throw new UserError(
    `${path}: is a link out of ${roots[0]}; copy the file there, or let links lead anywhere with ${bothNames('followLinks')}`,
  );
}

/** @param path  relative to a folder */
export function leaves(path: string): boolean {
  return path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path);
}
