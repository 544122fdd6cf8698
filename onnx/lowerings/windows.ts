/** Windows that convolutions and pools move over an image [N, C, …space] of two or three axes of space. */
import type { Attributes, Graph, Value } from '../graph.js';

/** Lists have one entry an axis of space. */
export interface Windows {
  input: number[];
  output: number[];
  kernel: number[];
  strides: number[];
  dilations: number[];
  /**
   * Pixels that the first window begins before the image, and that the last one ends after it; negative where it begins
   * or ends inside. tfjs knows both: `same` with strides longer than three-axis kernels, numbers of pixels around
   * kernels that are not square.
   */
  padBegin: number[];
  padEnd: number[];
  /** Padding is `same`, as the length of the image asks for it. */
  isSame?: boolean;
}

/** @param windows  all but `padEnd`, which follows */
export function withPadEnd(windows: Omit<Windows, 'padEnd'>): Windows {
  const { input, output, kernel, strides, dilations, padBegin } = windows;
  const padEnd = input.map((length, a) => {
    const reach = (output[a] - 1) * strides[a] + (kernel[a] - 1) * dilations[a] + 1;
    return reach - length - padBegin[a];
  });
  return { ...windows, padEnd };
}

/**
 * The windows over the part of the image that ONNX must be shown: it finds the number of windows itself, and knows no
 * negative padding. A rest shorter than a stride does no harm.
 * @returns  windows with padding of 0 and more, and the pixels to cut, as negative padding
 */
export function trimmed<T extends Windows>(windows: T): { inner: T; begin: number[]; end: number[] } {
  const begin = windows.padBegin.map((pad) => Math.min(pad, 0));
  const end = windows.padEnd.map((pad, a) => (pad <= -windows.strides[a] ? pad : 0));
  const inner = {
    ...windows,
    input: windows.input.map((length, a) => length + begin[a] + end[a]),
    padBegin: windows.padBegin.map((pad) => Math.max(pad, 0)),
    padEnd: windows.padEnd.map((pad) => Math.max(pad, 0)),
  };
  return { inner, begin, end };
}

/**
 * `pads`; where the image may have any length, the runtime finds those of `same` itself. onnxruntime takes no windows
 * that are shorter than their stride then; those of one pixel need no padding.
 */
export function padding(g: Graph, { isSame, kernel, dilations, strides, padBegin, padEnd }: Windows): Attributes {
  const covers = kernel.every((length, a) => (length - 1) * dilations[a] + 1 >= strides[a]);
  const follows = isSame && covers && strides.some((stride) => stride > 1);
  return follows && g.target.freeLengths ? { auto_pad: 'SAME_UPPER' } : { pads: [...padBegin, ...padEnd] };
}

/** A border around the image, of zeros unless told otherwise, or fewer pixels where a count is negative. */
export function padSpace(g: Graph, x: Value, begin: readonly number[], end: readonly number[], value = 0): Value {
  if ([...begin, ...end].every((pad) => pad === 0)) return x;
  const [n, channels, ...space] = x.dims;
  const dims = [n, channels, ...space.map((length, a) => length + begin[a] + end[a])];
  const inputs = [x, g.int64s([0, 0, ...begin, 0, 0, ...end]), ...(value === 0 ? [] : [g.scalar(value)])];
  return g.node('Pad', inputs, { mode: 'constant' }, dims);
}

/**
 * The pixels that one position in the windows meets: [N, C, …output] of a padded image. Cut axis by axis, the last first: positions
 * that differ in their row alone share the cut along the columns, the only one that copies short pieces. A third less time than one cut
 * for each position.
 */
export function pixelsMet(g: Graph, padded: Value, { output, strides }: Windows, position: readonly number[]): Value {
  return position.reduceRight((met, from, a) => {
    const end = from + (output[a] - 1) * strides[a] + 1;
    const dims = met.dims.map((length, axis) => (axis === 2 + a ? output[a] : length));
    return g.node('Slice', [met, ...[from, end, 2 + a, strides[a]].map((n) => g.int64s([n]))], {}, dims);
  }, padded);
}

export const negated = (lengths: readonly number[]) => lengths.map((length) => 0 - length);

/** Axes of space of an image with as many of them as `lengths`. */
export const spaceAxes = (lengths: readonly number[]) => lengths.map((_, a) => 2 + a);

/** An image or kernel turned by 180°: every axis of space backwards. */
export function turnedAround(g: Graph, x: Value): Value {
  const axes = spaceAxes(x.dims.slice(2));
  const back = g.int64s(axes.map(() => -1));
  const far = g.int64s(axes.map(() => -(2 ** 31)));
  return g.node('Slice', [x, back, far, g.int64s(axes), back], {}, x.dims);
}

/**
 * Images [N, C, …lengths] as one, whose pixels along each axis come from one after another.
 * @param grids  one for each position within `strides`, the last axis fastest; all 0 where absent, the first is not
 */
export function interleaved(
  g: Graph,
  grids: readonly (Value | undefined)[],
  lengths: readonly number[],
  strides: readonly number[],
): Value {
  const [some] = grids as [Value];
  const count = strides.reduce((product, stride) => product * stride, 1);
  if (count === 1) return some;
  const [n, channels, first, ...rest] = some.dims;
  const parts = Array.from({ length: count }, (_, i) => grids[i] ?? g.node('Mul', [some, g.scalar(0)], {}, some.dims));
  const stacked = g.node('Concat', parts, { axis: 2 }, [n, channels, count * first, ...rest]);
  const split = [n * channels, ...strides, ...lengths];
  const apart = g.node('Reshape', [stacked, g.int64s(split)], {}, split);
  const perm = [0, ...strides.flatMap((_, a) => [1 + strides.length + a, 1 + a])];
  const turned = g.node(
    'Transpose',
    [apart],
    { perm },
    perm.map((axis) => split[axis]),
  );
  const dims = [n, channels, ...lengths.map((length, a) => length * strides[a])];
  return g.node('Reshape', [turned, g.int64s(dims)], {}, dims);
}

/** Every index into `shape`, the last axis fastest. */
export function positions(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (starts, length) => starts.flatMap((start) => Array.from({ length }, (_, i) => [...start, i])),
    [[]],
  );
}
