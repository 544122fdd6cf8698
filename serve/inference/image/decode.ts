/**
 * One image of unknown origin to pixels. The pipeline itself is `base/preprocess.ts`, as in training, or Pillow's for
 * networks whose description names it; here are the limits.
 */
import type { Decoding } from '../../../base/image/fit.js';
import { HEIC_ADVICE, IMAGE_FORMATS, isUnreadHeic, reasonOf } from '../../../base/image/formats.js';
import { asPillow } from '../../../base/image/pillow.js';
import { sharp } from '../../../base/image/sharp.js';
import { toRgb } from '../../../base/preprocess.js';
import { RequestError } from '../../errors.js';
import { requireRoom } from './fit.js';

/** Switches off, for the whole process, every loader of libvips but those for our formats in memory. */
export function allowOnlyImages(): void {
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: [...new Set(IMAGE_FORMATS.map(({ loader }) => loader))] });
  sharp.cache(false); // no image comes twice
  sharp.concurrency(1); // the other cores are inferring
}

/**
 * @param maxPixels  width × height above which nothing is decoded
 * @returns          as `decoding` has it; of an animation the first frame
 * @throws {RequestError} UNSUPPORTED_IMAGE_TYPE, IMAGE_TOO_MANY_PIXELS, or INVALID_IMAGE if the image is damaged, cut short, or does not have
 *   the size of a model that
 *                        takes none but its own
 */
export async function decodeImage(bytes: Uint8Array, decoding: Decoding, maxPixels: number): Promise<Uint8Array> {
  if (isUnreadHeic(bytes, sharp.format)) throw new RequestError('UNSUPPORTED_IMAGE_TYPE', `this is ${HEIC_ADVICE}`);
  const { width, height, channels, fit, resampling } = decoding;
  const options = { failOn: 'error', limitInputPixels: maxPixels } as const;
  try {
    if (resampling) {
      const image = sharp(bytes, { ...options, ignoreIcc: true });
      return await asPillow(image, { ...decoding, resampling }, (size) => requireRoom(size, decoding));
    }
    return await toRgb(sharp(bytes, options), {
      width,
      height,
      fit: fit === 'stretch' ? 'stretch' : 'cut',
      channels,
    }).toBuffer();
  } catch (cause) {
    if (cause instanceof RequestError) throw cause;
    if (/pixel limit/.test(String(cause))) {
      throw new RequestError('IMAGE_TOO_MANY_PIXELS', `the image has more than ${maxPixels} pixels; make it smaller`);
    }
    const why = reasonOf(cause, bytes).slice(0, 200);
    throw new RequestError('INVALID_IMAGE', `the image cannot be decoded: ${why}`);
  }
}
