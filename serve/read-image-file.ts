/** An image that a person names by its path, read for a command or the library. */
import { readFile } from 'node:fs/promises';
import { UserError } from '../base/errors.js';
import { requireFile } from '../base/require-file.js';
import { RequestError } from './errors.js';
import { requireImage } from './inference/image/image-kind.js';

/**
 * @throws {UserError} with the code ENOENT if there is no such file
 * @throws {RequestError} EMPTY_BODY or UNSUPPORTED_IMAGE_TYPE, without the path
 */
export async function readImageFile(path: string): Promise<Buffer> {
  requireFile(path);
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw cause;
    const error = new UserError(`${path}: no such file; expected an image`, { cause });
    throw Object.assign(error, { code: cause.code });
  });
  if (bytes.length === 0) throw new RequestError('EMPTY_BODY', 'the file is empty');
  requireImage(bytes);
  return bytes;
}
