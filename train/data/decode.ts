/**
 * One encoded image to pixels. The pipeline itself is `base/preprocess.ts`, shared with the server.
 */
import sharp, { type Sharp, type SharpOptions } from 'sharp';
import { torchvisionDecoding } from '../../base/image/fit.js';
import { asPillow } from '../../base/image/pillow.js';
import { toSquareRgb } from '../../base/preprocess.js';
import type { Encoded } from './dataset.js';

// Many small images: parallel images beat parallel rows, and no image is read twice.
sharp.concurrency(1);
sharp.cache(false);

/**
 * One job of libuv's threads, under way when this returns.
 *
 * @param image    JPEG, PNG, WebP or GIF (first frame), such a file, or pixels
 * @param imagePx  side of the result, pixels
 * @param resampling  how it is resized, see `OpenOptions`
 * @returns        uint8 RGB interleaved [imagePx, imagePx, 3]
 * @throws         libvips' own error if the bytes are not an image or are cut short; mere warnings (ImageNet has JPEGs with
 *                 stray bytes) are let pass
 */
export async function decodeImage(image: Encoded, imagePx: number, resampling?: 'bilinear'): Promise<Uint8Array> {
  if (resampling) return asPillow(opened(image, { ignoreIcc: true }), torchvisionDecoding(imagePx));
  return toSquareRgb(opened(image, {}), imagePx).toBuffer();
}

function opened(image: Encoded, options: SharpOptions): Sharp {
  if (Buffer.isBuffer(image)) return sharp(image, { failOn: 'error', ...options });
  if ('file' in image) return sharp(image.file, { failOn: 'error', ...options });
  const { pixels, width, height, channels } = image;
  return sharp(pixels, { raw: { width, height, channels } });
}

/** Why an image could not be read, for people: libvips writes several lines. */
export function reasonOf(error: unknown): string {
  return (error as Error).message.split('\n')[0];
}
