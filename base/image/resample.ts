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

/** Which pixels of a line make one of the result, from `first` on. */
interface Taps {
  first: number;
  weights: Int32Array;
}

/** Where pixels lie in an array: elements from a line to the next, and along it. */
interface Lines {
  lineStep: number;
  step: number;
}

/**
 * @param pixels  uint8 RGB interleaved [height, width, 3]
 * @returns       a new array, or `pixels` where the size is the same
 */
export function resample(pixels: Uint8Array, from: Size, to: Size, resampling: Resampling): Uint8Array {
  let out = pixels;
  if (from.width !== to.width) {
    const before = { lineStep: from.width * 3, step: 3 };
    const after = { lineStep: to.width * 3, step: 3 };
    out = along(out, before, after, from.height, tapsOf(from.width, to.width, resampling));
  }
  if (from.height !== to.height) {
    const columns = { lineStep: 3, step: to.width * 3 };
    out = along(out, columns, columns, to.width, tapsOf(from.height, to.height, resampling));
  }
  return out;
}

function tapsOf(from: number, to: number, resampling: Resampling): Taps[] {
  const scale = from / to;
  if (resampling === 'nearest') {
    const weights = Int32Array.of(1 << BITS);
    return Array.from({ length: to }, (_, i) => ({ first: Math.floor((i + 0.5) * scale), weights }));
  }
  const { support, at } = FILTERS[resampling];
  const widened = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support * widened + 0.5));
    const end = Math.min(from, Math.trunc(centre + support * widened + 0.5));
    const weights = Float64Array.from({ length: end - first }, (_, x) => at((first + x - centre + 0.5) / widened));
    const sum = weights.reduce((a, b) => a + b, 0);
    return {
      first,
      weights: Int32Array.from(weights, (w) => Math.trunc((w / sum) * 2 ** BITS + (w < 0 ? -0.5 : 0.5))),
    };
  });
}

function along(pixels: Uint8Array, before: Lines, after: Lines, lines: number, taps: readonly Taps[]): Uint8Array {
  const out = new Uint8ClampedArray(lines * taps.length * 3);
  const half = 1 << (BITS - 1);
  for (let line = 0; line < lines; line++) {
    for (let i = 0; i < taps.length; i++) {
      const { first, weights } = taps[i];
      let at = line * before.lineStep + first * before.step;
      let [red, green, blue] = [half, half, half];
      for (let x = 0; x < weights.length; x++, at += before.step) {
        red += pixels[at] * weights[x];
        green += pixels[at + 1] * weights[x];
        blue += pixels[at + 2] * weights[x];
      }
      const to = line * after.lineStep + i * after.step;
      out[to] = red >> BITS;
      out[to + 1] = green >> BITS;
      out[to + 2] = blue >> BITS;
    }
  }
  return new Uint8Array(out.buffer);
}
