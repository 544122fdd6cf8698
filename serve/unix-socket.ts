/** A Unix socket to listen on, in place of a port: a file that outlives the process which dies without removing it. */
import { existsSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { UserError } from '../base/errors.js';

/** Of `sun_path` in Linux, without the zero at its end; macOS has 4 less. */
const MAX_PATH_BYTES = process.platform === 'darwin' ? 103 : 107;

/**
 * Listens on a socket file, in place of one that nobody listens on any more. It is made under another name and renamed:
 * libuv removes the name that it was made under when it closes, whosever that is by then.
 * @returns  removes the file, if it is still the same one
 * @throws {UserError} when the place is taken or cannot be written to
 */
export async function listenOnSocket(http: Server, path: string): Promise<() => void> {
  if (process.platform === 'win32') return listening(http, path, path).then(() => () => undefined); // a pipe is no file
  await requireFree(path);
  if (!existsSync(dirname(path)))
    throw new UserError(`the socket ${path}: there is no folder ${dirname(path)}; make it first`);
  const made = `${path}.${process.pid}`;
  if (Buffer.byteLength(made) > MAX_PATH_BYTES) {
    const allowed = MAX_PATH_BYTES - Buffer.byteLength(made) + Buffer.byteLength(path);
    throw new UserError(
      `the socket: expected a path of at most ${allowed} bytes, got ${Buffer.byteLength(path)}: ${path}`,
    );
  }
  await listening(http, made, path);
  renameSync(made, path);
  const own = identityOf(path);
  return () => {
    if (identityOf(path) === own) unlinkSync(path);
  };
}

/** @param named  in messages */
function listening(http: Server, path: string, named: string): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      const reason = code === 'EACCES' ? `not permitted in ${dirname(named)}; choose another path` : message;
      reject(new UserError(`cannot listen on the socket ${named}: ${reason}`));
    });
    http.listen({ path }, resolve);
  });
}

/** Of a file, whatever it is named; undefined if there is none. Numbers of files that are gone are given again. */
function identityOf(path: string): string | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return found && `${found.dev} ${found.ino} ${found.birthtimeNs}`;
}

/** @throws {UserError} if there is anything but a socket that nobody listens on */
async function requireFree(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket()) throw new UserError(`the socket ${path}: is there already and no socket; choose another path`);
  const refusal = await new Promise<string | undefined>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(undefined);
    });
    probe.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'unknown'));
  });
  if (refusal === 'ECONNREFUSED' || refusal === 'ENOENT') return;
  const why = refusal === undefined ? 'another server listens on it' : `it cannot be tried (${refusal})`;
  throw new UserError(`the socket ${path}: ${why}; choose another path`);
}
