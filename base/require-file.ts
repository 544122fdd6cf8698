/**
 * Opening a named pipe waits for whoever writes to it, in a thread that all access to files shares: the program would
 * stand still.
 */
import { type Stats, statSync } from 'node:fs';
import { UserError } from './errors.js';

/**
 * To be called before a file that a person names is opened.
 * @throws {UserError} where something else than a file is there; what cannot be looked at is left to the opening
 */
export function requireFile(path: string): void {
  const found = statOf(path);
  if (!found || found.isFile()) return;
  if (found.isDirectory()) throw new UserError(`${path}: is a folder; expected a file`);
  const kind = found.isFIFO() ? 'a named pipe' : found.isSocket() ? 'a socket' : 'a device';
  throw new UserError(`${path}: is not a file but ${kind}; put a plain file there`);
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
