/**
 * One encoded image to pixels. The pipeline itself is `base/preprocess.ts`, shared with the server.
 */
import { open } from 'node:fs/promises';
import type { Sharp, SharpOptions } from 'sharp';
import { torchvisionDecoding } from '../../base/image/fit.js';
import { formatOf, HEAD_BYTES, HEIC_ADVICE, isUnreadHeic, reasonOf } from '../../base/image/formats.js';
import { asPillow } from '../../base/image/pillow.js';
import { sharp } from '../../base/image/sharp.js';
import { toSquareRgb } from '../../base/preprocess.js';
import type { Encoded } from './dataset.js';

// Many small images: parallel images beat parallel rows, and no image is read twice.
sharp.concurrency(1);
sharp.cache(false);

/**
 * One job of libuv's threads, under way when this returns.
 *
 * @param image    in one of the formats of `base/image/formats.ts` (of several frames or pages the first), such a file, or pixels
 * @param imagePx  side of the result, pixels
 * @param resampling  how it is resized, see `OpenOptions`
 * @returns        uint8 RGB interleaved [imagePx, imagePx, 3]
 * @throws         with the reason in a line if the bytes are not an image or are cut short; mere warnings (ImageNet has
 *                 JPEGs with stray bytes) are let pass
 */
export async function decodeImage(image: Encoded, imagePx: number, resampling?: 'bilinear'): Promise<Uint8Array> {
  try {
    if (resampling) return await asPillow(opened(image, { ignoreIcc: true }), torchvisionDecoding(imagePx));
    return await toSquareRgb(opened(image, {}), imagePx).toBuffer();
  } catch (cause) {
    const head = await headOf(image);
    throw new Error(isUnreadHeic(head, sharp.format) ? HEIC_ADVICE : reasonOf(cause, head), { cause });
  }
}

/** Whether an image's first bytes are those of a format that can be decoded; damage behind them is not seen. */
export function looksReadable(image: Encoded): boolean {
  if (!Buffer.isBuffer(image)) return true;
  return formatOf(image) !== undefined && !isUnreadHeic(image, sharp.format);
}

/** The first bytes of a file; none if it cannot be read. */
async function headOf(image: Encoded): Promise<Uint8Array> {
  if (Buffer.isBuffer(image)) return image;
  const head = Buffer.alloc(HEAD_BYTES);
  if ('pixels' in image) return head;
  const file = await open(image.file).catch(() => undefined);
  const read = await file?.read(head, 0, HEAD_BYTES).finally(() => file.close());
  return head.subarray(0, read?.bytesRead);
}

function opened(image: Encoded, options: SharpOptions): Sharp {
  if (Buffer.isBuffer(image)) return sharp(image, { failOn: 'error', ...options });
  if ('file' in image) return sharp(image.file, { failOn: 'error', ...options });
  const { pixels, width, height, channels } = image;
  return sharp(pixels, { raw: { width, height, channels } });
}
