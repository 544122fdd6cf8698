/** Kernels that move, cut or join tensors without computing. */
import { backend_util, slice_util, util } from '../../base/tfjs/core.js';
import type { Graph, Value } from '../graph.js';
import type { Attrs, TensorSpec } from '../kernel-call.js';
import { inverse, toMemory } from '../layout.js';
import type { Rule } from '../rule.js';

const spec = (shape: readonly number[], x: TensorSpec): TensorSpec => ({ shape, dtype: x.dtype });

function axisOf(axis: number, x: { shape: readonly number[] }): number {
  return util.parseAxisParam(axis, [...x.shape])[0];
}

/** ONNX `Slice` along those axes only that are really cut, so that a free batch axis stays free. */
export function cut(g: Graph, x: Value, begin: readonly number[], size: readonly number[]): Value {
  const axes = begin.map((_, axis) => axis).filter((axis) => begin[axis] !== 0 || size[axis] !== x.shape[axis]);
  if (axes.length === 0) return x;
  const position = inverse(x.layout);
  const inputs = [
    g.memory(x),
    g.int64s(axes.map((axis) => begin[axis])),
    g.int64s(axes.map((axis) => begin[axis] + size[axis])),
    g.int64s(axes.map((axis) => position[axis])),
  ];
  return g.view(g.node('Slice', inputs, {}, toMemory(size, x.layout)), x.layout);
}

function splitSizes(x: { shape: readonly number[] }, { numOrSizeSplits, axis }: Attrs): number[] {
  return backend_util.prepareSplitSize({ shape: x.shape } as never, numOrSizeSplits, axisOf(axis, x));
}

export const withLength = (shape: readonly number[], axis: number, length: number) =>
  shape.map((old, a) => (a === axis ? length : old));

/** Moves no values: only the axes get other names, and memory stays as it is. */
export function transposed(g: Graph, x: Value, perm: readonly number[]): Value {
  const renamed = inverse(perm);
  return g.view(
    x,
    x.layout.map((axis) => renamed[axis]),
  );
}

/** Tensors of one layout, the first one's, one after another along tfjs's `axis`. */
export function joined(g: Graph, inputs: readonly Value[], axis: number): Value {
  const [{ shape, layout }] = inputs;
  const length = inputs.reduce((sum, x) => sum + x.shape[axis], 0);
  const dims = toMemory(withLength(shape, axis, length), layout);
  const parts = inputs.map((x) => g.in(layout, x));
  return g.view(g.node('Concat', parts, { axis: inverse(layout)[axis] }, dims), layout);
}

type Paddings = readonly (readonly [number, number])[];

export const padded = (shape: readonly number[], paddings: Paddings) =>
  shape.map((length, axis) => length + paddings[axis][0] + paddings[axis][1]);

/** @param paddings  entries before and after, for each of tfjs's axes */
export function pad(g: Graph, x: Value, paddings: Paddings, value: number): Value {
  const inMemory = x.layout.map((axis) => paddings[axis]);
  const pads = g.int64s([...inMemory.map(([before]) => before), ...inMemory.map(([, after]) => after)]);
  const inputs = [g.memory(x), pads, g.scalar(value, x.dtype)];
  return g.view(g.node('Pad', inputs, { mode: 'constant' }, padded(x.dims, inMemory)), x.layout);
}

/** Begin and size along every axis, from tfjs's shorter or negative ones. Throws if they leave the tensor. */
export function sliceParams({ shape }: { shape: readonly number[] }, { begin, size }: Attrs): [number[], number[]] {
  const x = { shape } as never;
  const [from, lengths] = slice_util.parseSliceParams(x, begin, size);
  slice_util.assertParamsValid(x, from, lengths);
  return [from, lengths];
}

export const SHAPE: Record<string, Rule> = {
  Identity: { since: 1, inputs: ['x'], outputs: ([x]) => [spec(x.shape, x)], lower: (_g, [x]) => [x] },

  Reshape: {
    since: 13,
    inputs: ['x'],
    outputs: ([x], { shape }) => [spec(util.inferFromImplicitShape(shape, util.sizeFromShape([...x.shape])), x)],
    lower: (g, [x], { shape }) => [g.reshape(x, util.inferFromImplicitShape(shape, util.sizeFromShape([...x.shape])))],
  },

  Transpose: {
    since: 1,
    inputs: ['x'],
    outputs: ([x], { perm }) => [
      spec(
        perm.map((axis: number) => x.shape[axis]),
        x,
      ),
    ],
    lower: (g, [x], { perm }) => [transposed(g, x, perm)],
  },

  Concat: {
    since: 13,
    inputs: '*',
    refuses: (inputs) => (inputs.every((input) => input.dtype === inputs[0].dtype) ? undefined : 'mixed dtypes'),
    outputs: (inputs, { axis }) => {
      const shapes = inputs.map((x) => [...x.shape]);
      const at = axisOf(axis, inputs[0]);
      backend_util.assertParamsConsistent(shapes, at);
      return [spec(backend_util.computeOutShape(shapes, at), inputs[0])];
    },
    lower: (g, inputs, { axis }) => [joined(g, inputs, axisOf(axis, inputs[0]))],
  },

  SplitV: {
    since: 13,
    inputs: ['x'],
    list: true,
    outputs: ([x], attrs) =>
      splitSizes(x, attrs).map((length) => spec(withLength(x.shape, axisOf(attrs.axis, x), length), x)),
    lower: (g, [x], attrs) => {
      const axis = axisOf(attrs.axis, x);
      let from = 0;
      return splitSizes(x, attrs).map((length) => {
        const begin = withLength(
          x.shape.map(() => 0),
          axis,
          from,
        );
        from += length;
        return cut(g, x, begin, withLength(x.shape, axis, length));
      });
    },
  },

  Slice: {
    since: 13,
    inputs: ['x'],
    outputs: ([x], attrs) => [spec(sliceParams(x, attrs)[1], x)],
    lower: (g, [x], attrs) => [cut(g, x, ...sliceParams(x, attrs))],
  },

  PadV2: {
    since: 13,
    inputs: ['x'],
    outputs: ([x], { paddings }) => [spec(padded(x.shape, paddings), x)],
    lower: (g, [x], { paddings, constantValue }) => [pad(g, x, paddings, constantValue)],
  },

  Tile: {
    since: 13,
    inputs: ['x'],
    refuses: ([x], { reps }) => (reps.includes(0) || x.shape.length === 0 ? `reps [${reps}]` : undefined),
    outputs: ([x], { reps }) => [
      spec(
        x.shape.map((length, axis) => length * reps[axis]),
        x,
      ),
    ],
    lower: (g, [x], { reps }) => {
      const inMemory = toMemory(reps, x.layout);
      const dims = x.dims.map((length, axis) => length * inMemory[axis]);
      return [g.view(g.node('Tile', [g.memory(x), g.int64s(inMemory)], {}, dims), x.layout)];
    },
  },

  /** Compares with 0 … depth − 1: ONNX's own OneHot counts negative indices from the end, tfjs leaves them off. */
  OneHot: {
    since: 13,
    inputs: ['indices'],
    refuses: ([indices], { dtype, onValue, offValue }) => {
      if (indices.dtype !== 'int32') return `indices of dtype ${indices.dtype}`;
      if (dtype === 'bool') return onValue === 1 && offValue === 0 ? undefined : `bools ${onValue} and ${offValue}`;
      return ['float32', 'int32'].includes(dtype) ? undefined : `dtype ${dtype}`;
    },
    outputs: ([indices], { depth, dtype }) => [{ shape: [...indices.shape, depth], dtype }],
    lower: (g, [indices], { depth, onValue, offValue, dtype }) => {
      const dims = [...indices.shape, depth];
      const column = g.flat(indices, [...indices.shape, 1]);
      const classes = g.constant('int32', [depth], [...new Array(depth).keys()]);
      const hit = g.node('Equal', [column, classes], {}, dims, 'bool');
      if (dtype === 'bool') return [hit];
      return [g.node('Where', [hit, g.scalar(onValue, dtype), g.scalar(offValue, dtype)], {}, dims, dtype)];
    },
  },
};
