/**
 * One encoded image to pixels. The pipeline itself is `base/preprocess.ts`, shared with the server.
 */
import sharp from 'sharp';
import { toSquareRgb } from '../../base/preprocess.js';
import type { Encoded } from './dataset.js';

// Many small images: parallel images beat parallel rows, and no image is read twice.
sharp.concurrency(1);
sharp.cache(false);

/**
 * One job of libuv's threads, under way when this returns.
 *
 * @param bytes    JPEG, PNG, WebP or GIF (first frame), such a file, or pixels
 * @param imagePx  side of the result, pixels
 * @returns        uint8 RGB interleaved [imagePx, imagePx, 3]
 * @throws         libvips' own error if the bytes are not an image or are cut short; mere warnings (ImageNet has JPEGs with
 *                 stray bytes) are let pass
 */
export async function decodeImage(bytes: Encoded, imagePx: number): Promise<Uint8Array> {
  if (Buffer.isBuffer(bytes)) return toSquareRgb(sharp(bytes, { failOn: 'error' }), imagePx).toBuffer();
  if ('file' in bytes) return toSquareRgb(sharp(bytes.file, { failOn: 'error' }), imagePx).toBuffer();
  const { pixels, width, height, channels } = bytes;
  return toSquareRgb(sharp(pixels, { raw: { width, height, channels } }), imagePx).toBuffer();
}

/** Why an image could not be read, for people: libvips writes several lines. */
export function reasonOf(error: unknown): string {
  return (error as Error).message.split('\n')[0];
}
