/** Kernels that move, cut or join tensors without computing. */
import { backend_util, slice_util, util } from '@tensorflow/tfjs-core';
import type { Graph, Value } from '../graph.js';
import type { Attrs, TensorSpec } from '../kernel-call.js';
import { inverse, toMemory } from '../layout.js';
import type { Rule } from '../rule.js';

const spec = (shape: readonly number[], x: TensorSpec): TensorSpec => ({ shape, dtype: x.dtype });

function axisOf(axis: number, x: { shape: readonly number[] }): number {
  return util.parseAxisParam(axis, [...x.shape])[0];
}

/** ONNX `Slice` along those axes only that are really cut, so that a free batch axis stays free. */
function cut(g: Graph, x: Value, begin: readonly number[], size: readonly number[]): Value {
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

const withLength = (shape: readonly number[], axis: number, length: number) =>
  shape.map((old, a) => (a === axis ? length : old));

export const SHAPE: Record<string, Rule> = {
  Identity: { since: 1, inputs: ['x'], outputs: ([x]) => [spec(x.shape, x)], lower: (_g, [x]) => [x] },

  Reshape: {
    since: 13,
    inputs: ['x'],
    outputs: ([x], { shape }) => [spec(util.inferFromImplicitShape(shape, util.sizeFromShape([...x.shape])), x)],
    lower: (g, [x], { shape }) => [g.reshape(x, util.inferFromImplicitShape(shape, util.sizeFromShape([...x.shape])))],
  },

  /** Moves no numbers: the axes are named anew, and memory stays as it is. */
  Transpose: {
    since: 1,
    inputs: ['x'],
    outputs: ([x], { perm }) => [
      spec(
        perm.map((axis: number) => x.shape[axis]),
        x,
      ),
    ],
    lower: (g, [x], { perm }) => {
      const renamed = inverse(perm);
      return [
        g.view(
          x,
          x.layout.map((axis) => renamed[axis]),
        ),
      ];
    },
  },

  Concat: {
    since: 13,
    inputs: '*',
    refuses: (inputs) => (inputs.every((input) => input.dtype === inputs[0].dtype) ? undefined : 'mixed dtypes'),
    outputs: (inputs, { axis }) => [
      spec(
        backend_util.computeOutShape(
          inputs.map((x) => [...x.shape]),
          axisOf(axis, inputs[0]),
        ),
        inputs[0],
      ),
    ],
    lower: (g, inputs, { axis }) => {
      const [first] = inputs;
      const at = axisOf(axis, first);
      const length = inputs.reduce((sum, x) => sum + x.shape[at], 0);
      const dims = toMemory(withLength(first.shape, at, length), first.layout);
      const parts = inputs.map((x) => g.in(first.layout, x));
      return [g.view(g.node('Concat', parts, { axis: inverse(first.layout)[at] }, dims), first.layout)];
    },
  },

  SplitV: {
    since: 13,
    inputs: ['x'],
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
    outputs: ([x], { begin, size }) => [
      spec(slice_util.parseSliceParams({ shape: x.shape } as never, begin, size)[1], x),
    ],
    lower: (g, [x], { begin, size }) => {
      const [from, lengths] = slice_util.parseSliceParams({ shape: x.shape } as never, begin, size);
      return [cut(g, x, from, lengths)];
    },
  },

  PadV2: {
    since: 13,
    inputs: ['x'],
    refuses: ([x]) => (x.dtype === 'bool' ? 'dtype bool' : undefined),
    outputs: ([x], { paddings }) => [
      spec(
        x.shape.map((length, a) => length + paddings[a][0] + paddings[a][1]),
        x,
      ),
    ],
    lower: (g, [x], { paddings, constantValue }) => {
      const inMemory: [number, number][] = x.layout.map((axis) => paddings[axis]);
      const pads = g.int64s([...inMemory.map(([before]) => before), ...inMemory.map(([, after]) => after)]);
      const dims = x.dims.map((length, a) => length + inMemory[a][0] + inMemory[a][1]);
      return [
        g.view(
          g.node('Pad', [g.memory(x), pads, g.scalar(constantValue, x.dtype)], { mode: 'constant' }, dims),
          x.layout,
        ),
      ];
    },
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

  GatherV2: {
    since: 13,
    inputs: ['x', 'indices'],
    refuses: ([, indices], { batchDims }) => {
      if (indices.dtype !== 'int32') return `indices of dtype ${indices.dtype}`;
      return batchDims ? `batchDims ${batchDims}` : undefined;
    },
    outputs: ([x, indices], { axis }) => {
      const at = axisOf(axis, x);
      return [spec([...x.shape.slice(0, at), ...indices.shape, ...x.shape.slice(at + 1)], x)];
    },
    lower: (g, [x, indices], { axis }) => {
      const at = axisOf(axis, x);
      const dims = [...x.shape.slice(0, at), ...indices.shape, ...x.shape.slice(at + 1)];
      return [g.node('Gather', [g.memory(g.plain(x)), g.memory(g.plain(indices))], { axis: at }, dims)];
    },
  },

  /** Compares with 0 … depth − 1: ONNX's own OneHot counts negative indices from the end, tfjs leaves them off. */
  OneHot: {
    since: 13,
    inputs: ['indices'],
    refuses: ([indices], { dtype }) =>
      indices.dtype !== 'int32' || !['float32', 'int32'].includes(dtype) ? `dtype ${dtype}` : undefined,
    outputs: ([indices], { depth, dtype }) => [{ shape: [...indices.shape, depth], dtype }],
    lower: (g, [indices], { depth, onValue, offValue, dtype }) => {
      const dims = [...indices.shape, depth];
      const column = g.memory(g.reshape(indices, [...indices.shape, 1]));
      const classes = g.constant('int32', [depth], [...new Array(depth).keys()]);
      const hit = g.node('Equal', [column, classes], {}, dims, 'bool');
      return [g.node('Where', [hit, g.scalar(onValue, dtype), g.scalar(offValue, dtype)], {}, dims, dtype)];
    },
  },
};
