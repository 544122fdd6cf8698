/**
 * One picture of unknown origin to pixels. The pipeline itself is `model/preprocess.ts`, as in training; here are the limits.
 */
import sharp from 'sharp';
import { toSquareRgb } from '../../model/preprocess.js';
import { RequestError } from '../errors.js';

const LOADERS = ['VipsForeignLoadJpegBuffer', 'VipsForeignLoadPngBuffer', 'VipsForeignLoadWebpBuffer'];

/** Switches off, for the whole process, every loader of libvips but those for JPEG, PNG and WebP in memory. */
export function allowOnlyPictures(): void {
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: LOADERS });
  sharp.cache(false); // no picture comes twice
  sharp.concurrency(1); // the other cores are inferring
}

/**
 * @param imagePx    side of the result, pixels
 * @param maxPixels  width × height above which nothing is decoded
 * @returns          uint8 RGB interleaved [imagePx, imagePx, 3]; of an animation the first frame
 * @throws {RequestError} IMAGE_TOO_MANY_PIXELS, or INVALID_IMAGE where the picture is damaged or breaks off
 */
export async function decodePicture(bytes: Uint8Array, imagePx: number, maxPixels: number): Promise<Uint8Array> {
  try {
    return await toSquareRgb(sharp(bytes, { failOn: 'error', limitInputPixels: maxPixels }), imagePx).toBuffer();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    if (/pixel limit/.test(reason)) {
      throw new RequestError(
        'IMAGE_TOO_MANY_PIXELS',
        `the picture has more than ${maxPixels} pixels; send a smaller one`,
      );
    }
    throw new RequestError('INVALID_IMAGE', `the picture cannot be decoded: ${reason.split('\n')[0].slice(0, 200)}`);
  }
}
