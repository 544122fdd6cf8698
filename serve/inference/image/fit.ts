/** Refuses images that are too small for a model that takes them as they are. Runs in browsers too. */
import type { Decoding } from '../../../base/image/fit.js';
import type { Size } from '../../../base/image/resample.js';
import { RequestError } from '../../errors.js';

/**
 * @throws {RequestError} INVALID_IMAGE if too little is left, or anything else than a model takes that has nothing
 *   resized
 */
export function requireRoom(from: Size, { width, height, fit }: Decoding): void {
  const fits =
    fit === 'exact' ? from.width === width && from.height === height : from.width >= width && from.height >= height;
  if (fits) return;
  const wanted = `${fit === 'exact' ? '' : 'at least '}${width} × ${height}`;
  const how = fit === 'cut' ? 'once resized' : 'because the model has none resized';
  throw new RequestError(
    'INVALID_IMAGE',
    `expected an image of ${wanted} pixels ${how} (width × height), got ${from.width} × ${from.height}`,
  );
}
