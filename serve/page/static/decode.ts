/**
 * An image as the browser decodes it, in the shape that a model's crops are cut from. The same pixels as the server's
 * for a PNG of that size; JPEG decoders differ by a level here and there, and resizing by a fraction of one.
 */
import { centre, type Decoding, resizedTo, windowOf } from '../../../base/image/fit.js';
import { formatOf, HEAD_BYTES } from '../../../base/image/formats.js';
import { resample } from '../../../base/image/resample.js';
import { requireRoom } from '../../inference/image/fit.js';

/** Width × height that canvases of all browsers hold. */
const MAX_PIXELS = 50_000_000;

/** Of the formats that the server reads, those that every browser does. */
const READ_FORMATS = 'JPEG, PNG, WebP, GIF or AVIF';

/** @returns  uint8 as `decoding` has it */
export async function decodeInBrowser(image: Blob, decoding: Decoding): Promise<Uint8Array> {
  const colorSpaceConversion = decoding.resampling ? 'none' : 'default'; // Pillow ignores profiles
  const bitmap = await createImageBitmap(image, { imageOrientation: 'from-image', colorSpaceConversion }).catch(() =>
    refuse(image),
  );
  const { width, height } = bitmap;
  try {
    if (width * height > MAX_PIXELS) throw new Error(`The image has more than ${MAX_PIXELS / 1e6} megapixels.`);
    const pixels = drawn(bitmap, decoding.channels);
    const to = resizedTo({ width, height }, decoding);
    requireRoom(to, decoding);
    const isThere = to.width === width && to.height === height;
    if (isThere) return centre(pixels, to, decoding);
    const resampling = decoding.resampling ?? 'lanczos';
    return resample(pixels, { width, height }, to, resampling, windowOf(to, decoding));
  } finally {
    bitmap.close();
  }
}

/** Browsers give no reason, so the file's first bytes do. @throws always */
async function refuse(image: Blob): Promise<never> {
  if (image.size === 0) throw new Error('The file is empty; choose another.');
  const format = formatOf(new Uint8Array(await image.slice(0, HEAD_BYTES).arrayBuffer()))?.name;
  if (format && READ_FORMATS.includes(format))
    throw new Error(`The ${format} image is cut short or damaged; choose another.`);
  throw new Error(`This browser cannot decode ${format ?? 'the file'}; expected ${READ_FORMATS}.`);
}

/** On white, unless alpha is asked for. */
function drawn(bitmap: ImageBitmap, channels: 3 | 4): Uint8Array {
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
  if (channels === 3) {
    context.fillStyle = '#ffffff';
    context.fillRect(0, 0, width, height);
  }
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  if (channels === 4) return new Uint8Array(data.buffer);
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = data[from];
    rgb[to + 1] = data[from + 1];
    rgb[to + 2] = data[from + 2];
  }
  return rgb;
}
