/** Views for the command line: the same as the server's, computed in this process. */
import { UsageError, UserError } from '../../base/errors.js';
import { RequestError } from '../errors.js';
import { readImageFile } from '../read-image-file.js';
import type { ViewOptions, ViewPart, ViewRequest } from './process/messages.js';
import { Viewer } from './process/viewer.js';

export type AskView = (request: ViewRequest) => AsyncGenerator<ViewPart>;

/**
 * Opens a model, hands it to `use`, closes it.
 * @throws {UserError} in place of what a request would be refused with
 */
export async function withViewer<T>(
  options: ViewOptions,
  use: (ask: AskView, viewer: Viewer) => Promise<T>,
): Promise<T> {
  const viewer = await Viewer.open(options);
  try {
    return await use((request) => viewer.view(request), viewer);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const Kind = error.code === 'BAD_REQUEST' ? UsageError : UserError;
    throw new Kind(error.message, { cause: error });
  } finally {
    await viewer.release();
  }
}

/** The JSON of a view with one part. */
export async function jsonOf<T>(parts: AsyncGenerator<ViewPart>): Promise<T> {
  for await (const part of parts) if ('json' in part) return part.json as T;
  throw new Error('the view gave no JSON');
}

/** The bytes of a view with one part. */
export async function bytesOf(parts: AsyncGenerator<ViewPart>): Promise<Buffer> {
  for await (const part of parts) if ('bytes' in part) return Buffer.from(part.bytes);
  throw new Error('the view gave no bytes');
}

/** @throws {UserError} if the file is not an image; what the file system throws */
export async function imageOf(file: string): Promise<Buffer> {
  try {
    return await readImageFile(file);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    throw new UserError(`${file}: ${error.message}`, { cause: error });
  }
}
