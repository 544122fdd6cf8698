/**
 * Imported before the rest is loaded, keeps a process within few open files meanwhile. Node 20 and 22 open all modules
 * that one imports before they read the first of them: zod alone has some 50 locales, more than `ulimit -n 64` leaves.
 */
import { promises, readFileSync } from 'node:fs';
import { UserError } from './errors.js';

/** A server of one model runs with 28; each connection, replica and model takes more. */
const ENOUGH_FILES = 64;

const { readFile } = promises;

// Node's loader names modules by URL and gives no options.
promises.readFile = (async (path, options) =>
  path instanceof URL && options === undefined ? readFileSync(path) : readFile(path, options)) as typeof readFile;

/** Turns "too many open files" into what to do about it; returns other errors unchanged. */
export function explainTooManyFiles<T>(error: T): T | UserError {
  if (!isTooManyFiles(error)) return error;
  const advice = `allow ${ENOUGH_FILES} or more (ulimit -n), and one more for each connection`;
  return new UserError(`too many open files; ${advice}`, { cause: error });
}

function isTooManyFiles(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (error as NodeJS.ErrnoException).code === 'EMFILE' || isTooManyFiles(error.cause);
}
