/** Which images are let in, by their first bytes: declared types and file names are the sender's claim. */
import { formatOf, READ_FORMATS } from '../../../base/image/formats.js';
import { RequestError } from '../../errors.js';
import { foreignFormat } from './foreign-format.js';

export const isImageBytes = (bytes: Uint8Array): boolean => formatOf(bytes) !== undefined;

/**
 * @throws {RequestError} EMPTY_BODY or UNSUPPORTED_IMAGE_TYPE
 */
export function requireImage(bytes: Uint8Array): void {
  if (bytes.length === 0) throw new RequestError('EMPTY_BODY');
  if (isImageBytes(bytes)) return;
  const format = foreignFormat(bytes);
  throw new RequestError(
    'UNSUPPORTED_IMAGE_TYPE',
    format && `this is ${format}; expected the bytes of a ${READ_FORMATS} image`,
  );
}
