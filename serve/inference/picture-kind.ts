/**
 * Which pictures are let in, by their first bytes: declared types and file names are the sender's claim. The decoder's other loaders
 * (SVG, TIFF, GIF, HEIC, PDF …) have read files, expanded without bound and had most of the security faults.
 */
import { RequestError } from '../errors.js';

export type PictureKind = 'jpeg' | 'png' | 'webp';

const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

export function pictureKind(bytes: Buffer): PictureKind | undefined {
  if (bytes.length >= 3 && bytes.readUIntBE(0, 3) === 0xffd8ff) return 'jpeg';
  if (bytes.subarray(0, 8).equals(PNG_SIGNATURE)) return 'png';
  const riff = bytes.subarray(0, 4).toString('latin1');
  if (riff === 'RIFF' && bytes.subarray(8, 12).toString('latin1') === 'WEBP') return 'webp';
  return undefined;
}

/**
 * @throws {RequestError} EMPTY_BODY or UNSUPPORTED_IMAGE_TYPE
 */
export function requirePicture(bytes: Buffer): PictureKind {
  if (bytes.length === 0) throw new RequestError('EMPTY_BODY');
  const kind = pictureKind(bytes);
  if (!kind) throw new RequestError('UNSUPPORTED_IMAGE_TYPE');
  return kind;
}
