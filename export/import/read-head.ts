/** The first bytes of a file that a person names. */
import { open } from 'node:fs/promises';
import { UserError } from '../../base/errors.js';
import { requireFile } from '../../base/require-file.js';

/** @returns  as many bytes, or all if there are fewer. @throws {UserError} if it cannot be opened */
export async function readHead(path: string, length: number): Promise<Buffer> {
  requireFile(path);
  const file = await open(path).catch((cause: NodeJS.ErrnoException) => {
    throw new UserError(`${path}: cannot be opened: ${cause.code === 'ENOENT' ? 'no such file' : cause.message}`, {
      cause,
    });
  });
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
