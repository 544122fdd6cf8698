/** Kernels that step through a tensor, turn it over, or join and part tensors along a new axis. */
import { slice_util, util } from '../../base/tfjs/core.js';
import type { Graph, Value } from '../graph.js';
import type { Attrs, TensorSpec } from '../kernel-call.js';
import { inverse, toMemory } from '../layout.js';
import type { Rule } from '../rule.js';
import { pick } from './pick.js';
import { cut, joined, padded, withLength } from './shape.js';

/** Before every entry, for steps that go backwards: −1 would be the last one. */
const FAR = -(2 ** 31);

/** ONNX `Slice` from `begin` in steps, `size` entries along each axis. */
function step(
  g: Graph,
  x: Value,
  begin: readonly number[],
  strides: readonly number[],
  size: readonly number[],
): Value {
  const axes = begin.map((_, axis) => axis).filter((axis) => strides[axis] !== 1 || size[axis] !== x.shape[axis]);
  if (axes.length === 0) return x;
  const within = axes.filter((axis) => strides[axis] < 0 && (begin[axis] < x.shape[axis] - 1 || strides[axis] < -1));
  if (within.length > 0 && !g.has('Slice backwards from within')) {
    const forward = begin.map((from, axis) => (strides[axis] < 0 ? from + (size[axis] - 1) * strides[axis] : from));
    const picked = step(g, x, forward, strides.map(Math.abs), size);
    return turned(
      g,
      picked,
      axes.filter((axis) => strides[axis] < 0),
    );
  }
  const ends = axes.map((axis) => {
    const end = begin[axis] + size[axis] * strides[axis];
    return end < 0 ? FAR : end;
  });
  const position = inverse(x.layout);
  const inputs = [
    g.memory(x),
    g.int64s(axes.map((axis) => begin[axis])),
    g.int64s(ends),
    g.int64s(axes.map((axis) => position[axis])),
    g.int64s(axes.map((axis) => strides[axis])),
  ];
  return g.view(g.node('Slice', inputs, {}, toMemory(size, x.layout)), x.layout);
}

/** Entries along each of `axes` in the opposite order. */
function turned(g: Graph, x: Value, axes: readonly number[]): Value {
  const isTurned = (axis: number) => axes.includes(axis) && x.shape[axis] > 1;
  const begin = x.shape.map((length, axis) => (isTurned(axis) ? length - 1 : 0));
  const strides = x.shape.map((_, axis) => (isTurned(axis) ? -1 : 1));
  return step(g, x, begin, strides, x.shape);
}

function sliceInfo({ shape }: { shape: readonly number[] }, a: Attrs) {
  return slice_util.sliceInfo(
    [...shape],
    a.begin,
    a.end,
    a.strides,
    a.beginMask,
    a.endMask,
    a.ellipsisMask,
    a.newAxisMask,
    a.shrinkAxisMask,
  );
}

function withNewAxis(shape: readonly number[], axis: number): number[] {
  const rank = shape.length;
  util.assert(-rank - 1 <= axis && axis <= rank, () => `Axis must be in the interval [${-(rank + 1)}, ${rank}]`);
  const at = axis < 0 ? rank + axis + 1 : axis;
  return [...shape.slice(0, at), 1, ...shape.slice(at)];
}

const positive = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);
const without = (shape: readonly number[], axis: number) => shape.filter((_, a) => a !== positive(axis, shape.length));

function packed(inputs: readonly TensorSpec[], { axis }: Attrs): number[] {
  for (const x of inputs)
    util.assertShapesMatch(
      [...inputs[0].shape],
      [...x.shape],
      'All tensors passed to stack must have matching shapes: ',
    );
  const single = withNewAxis(inputs[0].shape, axis);
  return withLength(single, positive(axis, single.length), inputs.length);
}

/** tfjs's positions of padded entries: `reflect` leaves the border itself out, `symmetric` repeats it. */
function mirrored(length: number, [before, after]: readonly number[], mode: string): number[] {
  const border = mode === 'reflect' ? 0 : 1;
  return Array.from({ length: before + length + after }, (_, i) => {
    const at = i - before;
    if (at < 0) return -at - border;
    return at < length ? at : 2 * (length - 1) - at + border;
  });
}

export const SLICING: Record<string, Rule> = {
  StridedSlice: {
    since: 13,
    inputs: ['x'],
    outputs: ([x], attrs) => [{ shape: sliceInfo(x, attrs).finalShape, dtype: x.dtype }],
    lower: (g, [x], attrs) => {
      const { begin, end, strides, finalShape, isIdentity } = sliceInfo(x, attrs);
      const cutOut = isIdentity ? x : step(g, x, begin, strides, slice_util.computeOutShape(begin, end, strides));
      return [g.reshape(cutOut, finalShape)];
    },
  },
  Reverse: {
    since: 13,
    inputs: ['x'],
    outputs: ([x], { dims }) => {
      util.parseAxisParam(dims, [...x.shape]);
      return [{ shape: x.shape, dtype: x.dtype }];
    },
    lower: (g, [x], { dims }) => [turned(g, x, util.parseAxisParam(dims, [...x.shape]))],
  },
  /** Images [N, H, W, C]. */
  FlipLeftRight: {
    since: 13,
    inputs: ['image'],
    outputs: ([image]) => [{ shape: image.shape, dtype: image.dtype }],
    lower: (g, [image]) => [turned(g, image, [2])],
  },
  MirrorPad: {
    since: 13,
    inputs: ['x'],
    outputs: ([x], { paddings }) => [{ shape: padded(x.shape, paddings), dtype: x.dtype }],
    lower: (g, [x], { paddings, mode }) => [
      x.shape.reduce((value, length, axis) => pick(g, value, axis, mirrored(length, paddings[axis], mode)), x),
    ],
  },
  ExpandDims: {
    since: 13,
    inputs: ['input'],
    outputs: ([x], { dim }) => [{ shape: withNewAxis(x.shape, dim), dtype: x.dtype }],
    lower: (g, [x], { dim }) => [g.reshape(x, withNewAxis(x.shape, dim))],
  },
  Pack: {
    since: 13,
    inputs: '*',
    refuses: (inputs) => (inputs.every((input) => input.dtype === inputs[0].dtype) ? undefined : 'mixed dtypes'),
    outputs: (inputs, attrs) => [{ shape: packed(inputs, attrs), dtype: inputs[0].dtype }],
    lower: (g, inputs, { axis }) => {
      const single = withNewAxis(inputs[0].shape, axis);
      const parts = inputs.map((x) => g.reshape(x, single));
      return [joined(g, parts, positive(axis, single.length))];
    },
  },
  Unpack: {
    since: 13,
    inputs: ['value'],
    list: true,
    outputs: ([x], { axis }) => {
      const length = x.shape[positive(axis, x.shape.length)];
      return Array.from({ length }, () => ({ shape: without(x.shape, axis), dtype: x.dtype }));
    },
    lower: (g, [x], { axis }) => {
      const at = positive(axis, x.shape.length);
      return Array.from({ length: x.shape[at] }, (_, i) => {
        const begin = x.shape.map((_, a) => (a === at ? i : 0));
        return g.reshape(cut(g, x, begin, withLength(x.shape, at, 1)), without(x.shape, axis));
      });
    },
  },
};
