/**
 * Which images are let in, by their first bytes: declared types and file names are the sender's claim. The decoder's
 * other loaders (SVG, TIFF, GIF, HEIC, PDF …) have read files, expanded without bound and had most of the security
 * faults.
 */
import { RequestError } from '../../errors.js';
import { foreignFormat } from './foreign-format.js';

export type ImageKind = 'jpeg' | 'png' | 'webp';

export function imageKind(bytes: Uint8Array): ImageKind | undefined {
  const head = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  if (head.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  return /^RIFF.{4}WEBP/s.test(head) ? 'webp' : undefined;
}

/**
 * @throws {RequestError} EMPTY_BODY or UNSUPPORTED_IMAGE_TYPE
 */
export function requireImage(bytes: Uint8Array): ImageKind {
  if (bytes.length === 0) throw new RequestError('EMPTY_BODY');
  const kind = imageKind(bytes);
  if (kind) return kind;
  const format = foreignFormat(bytes);
  throw new RequestError(
    'UNSUPPORTED_IMAGE_TYPE',
    format && `this is ${format}; expected the bytes of a JPEG, PNG or WebP image`,
  );
}
