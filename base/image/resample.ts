/**
 * Pillow's `Image.resize`, to the last bit: networks whose description names one of its filters were trained on what it
 * gives. Each output pixel is a weighted mean around its centre, with the filter widened where the image shrinks; rows
 * first, then columns, rounded to 8 bits in between. Source: Pillow's documentation of its filters, and the rounding of
 * its libImaging.
 */
/** Pixels. */
export interface Size {
  width: number;
  height: number;
}

/** Part of an image. */
export interface Window extends Size {
  top: number;
  left: number;
}

/** In the order of Pillow's numbers for them, 0 to 5. */
export const RESAMPLINGS = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'] as const;
export type Resampling = (typeof RESAMPLINGS)[number];

interface Filter {
  /** Half its width where nothing shrinks, pixels. */
  support: number;
  at(x: number): number;
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

const FILTERS: Record<Exclude<Resampling, 'nearest'>, Filter> = {
  lanczos: { support: 3, at: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, at: bicubic },
  box: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  hamming: { support: 1, at: (x) => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x)) : 0) },
};

/** Keys' cubic with a = −½. */
function bicubic(x: number): number {
  const d = Math.abs(x);
  if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
  return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
}

/** Weights are whole numbers of 1 / 2²². */
const BITS = 22;

/** Which pixels of a line make those of the result: number `i` is made of `counts[i]` from `firsts[i]` on. */
interface Taps {
  firsts: Int32Array;
  counts: Int32Array;
  /** [pixels, most]: one array for all: with one for each pixel it takes half as long again. */
  weights: Int32Array;
  most: number;
}

/**
 * @param pixels  uint8 RGB interleaved [height, width, 3]
 * @param window  what is wanted of the result; the rest is not computed: that of a thin image may be enormous
 * @returns       a new array, or `pixels` where nothing is to be done
 */
export function resample(
  pixels: Uint8Array,
  from: Size,
  to: Size,
  resampling: Resampling,
  window: Window = { ...to, top: 0, left: 0 },
): Uint8Array {
  const across = tapsOf(from.width, to.width, resampling, [window.left, window.width]);
  const down = tapsOf(from.height, to.height, resampling, [window.top, window.height]);
  const row = from.width * 3;
  const first = down.firsts[0];
  const last = window.height - 1;
  const read = pixels.subarray(first * row, (down.firsts[last] + down.counts[last]) * row);
  const isWhole = (length: 'width' | 'height') => from[length] === to[length] && to[length] === window[length];
  const wide = isWhole('width') ? read : rows(read, row, across);
  if (isWhole('height')) return wide;
  return columns(wide, window.width * 3, { ...down, firsts: down.firsts.map((at) => at - first) });
}

/** @param part  of the result: its first pixel, and how many */
function tapsOf(from: number, to: number, resampling: Resampling, [start, length]: readonly [number, number]): Taps {
  const scale = from / to;
  if (resampling === 'nearest' || from === to) {
    const firsts = new Int32Array(length);
    let at = scale * 0.5; // summed up, as Pillow does: the last bit decides between two pixels
    for (let i = 0; i < start + length; i++, at += scale) if (i >= start) firsts[i - start] = at;
    return { firsts, counts: new Int32Array(length).fill(1), weights: new Int32Array(length).fill(1 << BITS), most: 1 };
  }
  const { support, at } = FILTERS[resampling];
  const widened = Math.max(scale, 1);
  const most = 2 * Math.ceil(support * widened) + 1;
  const [firsts, counts] = [new Int32Array(length), new Int32Array(length)];
  const taps = { firsts, counts, weights: new Int32Array(length * most), most };
  for (let i = 0; i < length; i++) {
    const centre = (start + i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support * widened + 0.5));
    const end = Math.min(from, Math.trunc(centre + support * widened + 0.5));
    const weights = Array.from({ length: end - first }, (_, x) => at((first + x - centre + 0.5) / widened));
    const sum = weights.reduce((a, b) => a + b, 0);
    firsts[i] = first;
    counts[i] = weights.length;
    taps.weights.set(
      weights.map((w) => Math.trunc((w / sum) * 2 ** BITS + (w < 0 ? -0.5 : 0.5))),
      i * most,
    );
  }
  return taps;
}

/** Half of the unit of weights: sums are rounded, not cut. */
const HALF = 1 << (BITS - 1);

/** Every row of `row` values becomes one of the pixels that `taps` make. Whole numbers all the way: doubles are slower. */
function rows(pixels: Uint8Array, row: number, { firsts, counts, weights, most }: Taps): Uint8Array {
  const out = new Uint8ClampedArray((pixels.length / row) * firsts.length * 3);
  let to = 0;
  for (let start = 0; start < pixels.length; start += row) {
    for (let i = 0; i < firsts.length; i++, to += 3) {
      let at = start + firsts[i] * 3;
      const end = i * most + counts[i];
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      for (let k = i * most; k < end; k++, at += 3) {
        red = (red + Math.imul(pixels[at], weights[k])) | 0;
        green = (green + Math.imul(pixels[at + 1], weights[k])) | 0;
        blue = (blue + Math.imul(pixels[at + 2], weights[k])) | 0;
      }
      out[to] = red >> BITS;
      out[to + 1] = green >> BITS;
      out[to + 2] = blue >> BITS;
    }
  }
  return new Uint8Array(out.buffer);
}

/** Rows of `row` values become those that `taps` make. */
function columns(pixels: Uint8Array, row: number, { firsts, counts, weights, most }: Taps): Uint8Array {
  const out = new Uint8ClampedArray(firsts.length * row);
  for (let i = 0; i < firsts.length; i++) {
    const end = i * most + counts[i];
    for (let x = 0; x < row; x++) {
      let sum = HALF;
      for (let k = i * most, at = firsts[i] * row + x; k < end; k++, at += row)
        sum = (sum + Math.imul(pixels[at], weights[k])) | 0;
      out[i * row + x] = sum >> BITS;
    }
  }
  return new Uint8Array(out.buffer);
}
