/** What images become before crops are cut from them, and how they get that shape. Runs in browsers too. */
import type { Resampling, Size, Window } from './resample.js';

/** What images are decoded to: uint8 interleaved [height, width, channels]. */
export interface Decoding extends Size {
  /** RGB, or RGBA. */
  channels: 3 | 4;
  /**
   * `cut`: resized in proportion, what is too much cut off at the edges. `stretch`: resized to that shape. Not resized,
   * with `resampling` only: `keep`: cut, `exact`: refused unless of that size.
   */
  fit: 'cut' | 'stretch' | 'keep' | 'exact';
  /** Of `cut` with `resampling`: the short side before the cut; by default as small as fills the shape. */
  shortSide?: number;
  /**
   * As Pillow resizes, with its filter; alpha and colour profiles are then dropped, as its `convert('RGB')` does.
   * Undefined: as in training, with alpha on white and profiles converted to sRGB.
   */
  resampling?: Resampling;
  /**
   * The crop will leave an odd margin: what is cut off before it is rounded up, so that both together are rounded down.
   */
  oddMargin?: boolean;
  /** A cut that leaves an odd margin begins at the even one of the two pixels, as Python rounds in torchvision. */
  evenStart?: boolean;
}

/** As torchvision prepares images: short side resized to `imagePx`, centre cut out. */
export function torchvisionDecoding(imagePx: number): Decoding & { resampling: Resampling } {
  return { width: imagePx, height: imagePx, channels: 3, fit: 'cut', resampling: 'bilinear', evenStart: true };
}

/**
 * Before the cut. The long side is in proportion and rounded down, as transformers and torchvision have it; without
 * `resampling` to the nearest, as libvips has it.
 */
export function resizedTo({ width, height }: Size, decoding: Decoding): Size {
  if (decoding.fit === 'keep' || decoding.fit === 'exact') return { width, height };
  if (decoding.fit === 'stretch') return { width: decoding.width, height: decoding.height };
  const side = decoding.shortSide;
  const whole = decoding.resampling ? Math.trunc : Math.round;
  const [toWidth, toHeight] = side === undefined ? [decoding.width, decoding.height] : [side, side];
  return width * toHeight <= height * toWidth
    ? { width: toWidth, height: whole((toWidth * height) / width) }
    : { width: whole((toHeight * width) / height), height: toHeight };
}

/** What `decoding` keeps of an image: without `resampling` an odd margin is larger before the cut, as sharp has it. */
export function windowOf(from: Size, decoding: Decoding): Window {
  const { width, height, resampling, oddMargin = !resampling, evenStart = false } = decoding;
  const first = (length: number, size: number) => {
    const start = Math.floor((length - size + Number(oddMargin)) / 2);
    return evenStart && (length - size) % 2 === 1 ? start + (start % 2) : start;
  };
  return { top: first(from.height, height), left: first(from.width, width), width, height };
}

export function centre(pixels: Uint8Array, from: Size, decoding: Decoding): Uint8Array {
  const { width, height, channels } = decoding;
  if (from.width === width && from.height === height) return pixels;
  const { top, left } = windowOf(from, decoding);
  const out = new Uint8Array(width * height * channels);
  const row = width * channels;
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * from.width + left) * channels;
    out.set(pixels.subarray(start, start + row), y * row);
  }
  return out;
}
