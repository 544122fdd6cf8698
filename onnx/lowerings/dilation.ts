/**
 * Grey-scale dilation of images [N, H, W, C] and its gradients: the largest sum of a pixel and the kernel's entry above
 * it, over each window; the first of equal ones gets the gradient. As in tfjs, NaNs are passed over and the search
 * starts at −2⁵³ + 1.
 */
import { backend_util } from '../../base/tfjs/core.js';
import type { Graph, Value } from '../graph.js';
import type { Attrs, TensorSpec } from '../kernel-call.js';
import { type Rule, refusesAllButFloat } from '../rule.js';
import { positions, withPadEnd } from './windows.js';

type Shaped = { shape: readonly number[] };

function geometry(x: Shaped, filter: Shaped, { strides, pad, dilations }: Attrs) {
  const info = backend_util.computeDilation2DInfo(
    [...x.shape] as [number, number, number, number],
    [...filter.shape] as [number, number, number],
    strides,
    pad,
    'NHWC',
    dilations,
  );
  const windows = withPadEnd({
    input: [info.inHeight, info.inWidth],
    output: [info.outHeight, info.outWidth],
    kernel: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    padBegin: [info.padInfo.top, info.padInfo.left],
  });
  return { ...windows, channels: info.inChannels };
}

type Geometry = ReturnType<typeof geometry>;

/** For each kernel entry, in rows, the sums with the pixels it meets: [N, …output, C]; −∞ where it meets none. */
function sums(g: Graph, x: Value, filter: Value, d: Geometry): Value[] {
  const [n] = x.shape;
  const pads = [0, ...d.padBegin, 0, 0, ...d.padEnd, 0];
  const whole = d.input.map((length, a) => length + d.padBegin[a] + d.padEnd[a]);
  const inputs = [g.memory(g.plain(x)), g.int64s(pads), g.scalar(-Infinity)];
  const image = g.node('Pad', inputs, { mode: 'constant' }, [n, ...whole, d.channels]);
  const entries = g.flat(filter, [d.kernel[0] * d.kernel[1], d.channels]);
  const dims = [n, ...d.output, d.channels];
  return positions(d.kernel).map((position, tap) => {
    const from = position.map((p, a) => p * d.dilations[a]);
    const to = from.map((start, a) => start + (d.output[a] - 1) * d.strides[a] + 1);
    const met = [image, g.int64s(from), g.int64s(to), g.int64s([1, 2]), g.int64s(d.strides)];
    const entry = g.node('Gather', [entries, g.constant('int64', [], [tap])], { axis: 0 }, [d.channels]);
    return g.node('Add', [g.node('Slice', met, {}, dims), entry], {}, dims);
  });
}

/**
 * Goes through the kernel's entries and keeps the largest sum and, of `marks`, the one that belongs to it; `none` to
 * begin with.
 */
function largest(g: Graph, taps: readonly Value[], marks: readonly Value[], none: Value): { sum: Value; mark: Value } {
  let [sum, mark] = [g.scalar(Number.MIN_SAFE_INTEGER), none];
  taps.forEach((tap, i) => {
    const larger = g.node('Greater', [tap, sum], {}, tap.dims, 'bool');
    sum = g.node('Where', [larger, tap, sum], {}, tap.dims, 'float32');
    if (marks[i]) mark = g.node('Where', [larger, marks[i], mark], {}, tap.dims, 'int64');
  });
  return { sum, mark };
}

/** Number of the pixel, in rows, that a kernel entry meets for each output: int64 [1, …output, 1]. */
function pixelNumbers(g: Graph, d: Geometry, position: readonly number[]): Value {
  const along = (a: number) =>
    Array.from({ length: d.output[a] }, (_, i) =>
      // Outside the image the sum is −∞ and the number is not used, except where all of a window is so.
      Math.min(d.input[a] - 1, Math.max(0, i * d.strides[a] - d.padBegin[a] + position[a] * d.dilations[a])),
    );
  const numbers = along(0).flatMap((row) => along(1).map((column) => row * d.input[1] + column));
  return g.constant('int64', [1, ...d.output, 1], numbers);
}

/** Adds `dy` where `marks` point along the middle axis of zeros [batch, length, C]. */
function scattered(g: Graph, dy: Value, marks: Value, [batch, length, channels]: number[]): Value {
  const rows = [batch, dy.dims.reduce((product, side) => product * side, 1) / batch / channels, channels];
  const flat = (value: Value) => g.node('Reshape', [value, g.int64s(rows)], {}, rows);
  const dims = [batch, length, channels];
  const value = { dtype: 'float32', dims: [1], data: [0] } as const;
  const zeros = g.node('ConstantOfShape', [g.int64s(dims)], { value }, dims, 'float32');
  return g.node('ScatterElements', [zeros, flat(marks), flat(dy)], { axis: 1, reduction: 'add' }, dims);
}

function lowerInputGradient(g: Graph, [x, filter, dy]: Value[], attrs: Attrs): Value {
  const d = geometry(x, filter, attrs);
  const marks = positions(d.kernel).map((position) => pixelNumbers(g, d, position));
  const { mark } = largest(g, sums(g, x, filter, d), marks, marks[0]);
  const dims = [x.shape[0], d.input[0] * d.input[1], d.channels];
  return g.reshape(scattered(g, g.memory(g.plain(dy)), mark, dims), x.shape);
}

function lowerFilterGradient(g: Graph, [x, filter, dy]: Value[], attrs: Attrs): Value {
  const d = geometry(x, filter, attrs);
  const marks = positions(d.kernel).map((_, tap) => g.constant('int64', [], [tap]));
  const { mark } = largest(g, sums(g, x, filter, d), marks, marks[0]);
  return g.reshape(scattered(g, g.memory(g.plain(dy)), mark, [1, marks.length, d.channels]), filter.shape);
}

/** tfjs's gradients look at `dy` no further than its rank. */
function refusesGradient(inputs: TensorSpec[], attrs: Attrs): string | undefined {
  const [x, filter, dy] = inputs;
  const shape = [x.shape[0], ...geometry(x, filter, attrs).output, x.shape[3]];
  const fits = dy.shape.length === 4 && shape.every((length, axis) => length === dy.shape[axis]);
  return fits ? refusesAllButFloat(inputs) : `dy of shape [${dy.shape}], not [${shape}]`;
}

export const DILATION: Record<string, Rule> = {
  Dilation2D: {
    since: 13,
    inputs: ['x', 'filter'],
    refuses: refusesAllButFloat,
    outputs: ([x, filter], attrs) => [
      { shape: [x.shape[0], ...geometry(x, filter, attrs).output, x.shape[3]], dtype: 'float32' },
    ],
    lower: (g, [x, filter], attrs) => [largest(g, sums(g, x, filter, geometry(x, filter, attrs)), [], g.scalar(0)).sum],
  },
  Dilation2DBackpropInput: {
    since: 16, // ScatterElements with reduction
    inputs: ['x', 'filter', 'dy'],
    refuses: refusesGradient,
    outputs: ([x]) => [{ shape: x.shape, dtype: 'float32' }],
    lower: (g, inputs, attrs) => [lowerInputGradient(g, inputs, attrs)],
  },
  Dilation2DBackpropFilter: {
    since: 16,
    inputs: ['x', 'filter', 'dy'],
    refuses: refusesGradient,
    outputs: ([, filter]) => [{ shape: filter.shape, dtype: 'float32' }],
    lower: (g, inputs, attrs) => [lowerFilterGradient(g, inputs, attrs)],
  },
};
