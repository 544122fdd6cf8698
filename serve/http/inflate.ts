/** Bodies that came compressed. */
import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { RequestError } from '../errors.js';

const DECODERS: Record<string, () => Transform> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/**
 * What undoes a Content-Encoding; undefined for none.
 * @throws {RequestError} UNSUPPORTED_ENCODING
 */
export function decoderOf(encoding = 'identity'): Transform | undefined {
  const name = encoding.trim().toLowerCase();
  if (name === 'identity') return undefined;
  if (Object.hasOwn(DECODERS, name)) return DECODERS[name]();
  throw new RequestError('UNSUPPORTED_ENCODING');
}
