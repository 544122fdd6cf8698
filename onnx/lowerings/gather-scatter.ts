/**
 * Reading and writing where a tensor of indices says. tfjs throws at once if an index is out of range; ONNX counts
 * negative ones from the end and fails only when it runs. So the indices are looked at when the kernel is called, and a
 * wrong one leaves the call to the cpu kernel: it throws its own error, or does what it does where only the flattened
 * position is in range. Indices that are data cost one pass; those still to be computed (say, by an arg max) are
 * computed then, as they would be if the cpu kernel read them. In a traced program they are not known: the file's
 * runtime checks them.
 */
import { backend_util, util } from '../../base/tfjs/core.js';
import type { Graph, Value } from '../graph.js';
import type { Attrs, TensorSpec } from '../kernel-call.js';
import type { TensorData } from '../layout.js';
import type { Rule } from '../rule.js';
import { point, where } from './elementwise.js';
import { cut } from './shape.js';

type Shaped = { shape: readonly number[] };

const size = (shape: readonly number[]) => util.sizeFromShape([...shape]);

/** Every entry of `indices` within 0 … lengths[j] − 1, j the entry's position along the last axis. */
function outOfRange(indices: TensorData, lengths: readonly number[]): string | undefined {
  const found = indices.findIndex((index: number, i: number) => index < 0 || index >= lengths[i % lengths.length]);
  return found < 0 ? undefined : 'index out of range';
}

const refusesIndices = ({ dtype }: TensorSpec) => (dtype === 'int32' ? undefined : `indices of dtype ${dtype}`);

function gatherInfo(x: Shaped, indices: Shaped, { axis, batchDims }: Attrs) {
  const [at] = util.parseAxisParam(axis, [...x.shape]);
  return {
    at,
    ...backend_util.segment_util.collectGatherOpShapeInfo(x as never, indices as never, at, batchDims ?? 0),
  };
}

/** x as [batch, outer, dim, slice], indices as [batch, n]: result [batch, outer, n, slice]. */
function lowerBatchedGather(g: Graph, x: Value, indices: Value, attrs: Attrs): Value {
  const { batchSize, outerSize, dimSize, sliceSize, outputShape } = gatherInfo(x, indices, attrs);
  const n = size(indices.shape) / batchSize;
  const split = g.reshape(x, [batchSize, outerSize, dimSize, sliceSize]);
  const rows = g.in([0, 2, 1, 3], split);
  const at = g.node('Cast', [g.flat(indices, [batchSize, n, 1])], { to: 'int64' }, [batchSize, n, 1], 'int64');
  const taken = g.node('GatherND', [rows, at], { batch_dims: 1 }, [batchSize, n, outerSize, sliceSize]);
  return g.reshape(g.view(taken, [0, 2, 1, 3]), outputShape);
}

function lowerGatherNd(g: Graph, params: Value, indices: Value): Value {
  const [shape] = backend_util.prepareAndValidate(params as never, indices as never);
  const at = g.node('Cast', [g.memory(g.plain(indices))], { to: 'int64' }, indices.shape, 'int64');
  return g.node('GatherND', [g.memory(g.plain(params)), at], {}, shape);
}

interface Scatter {
  /** Rows that are written, rows of the result, and their length. */
  updates: number;
  rows: number;
  length: number;
  /** Row numbers that one step along each indexed axis skips. */
  strides: number[];
  indexRank: number;
}

function scatterInfo(updates: Shaped, indices: Shaped, shape: readonly number[]): Scatter {
  const info = backend_util.calculateShapes(updates as never, indices as never, [...shape]);
  const { numUpdates, sliceSize, outputSize, sliceRank, strides } = info;
  return { updates: numUpdates, rows: outputSize / sliceSize, length: sliceSize, strides, indexRank: sliceRank };
}

/**
 * Writes rows into `target` [rows, length]. `ScatterElements` goes through the updates in order, so that of several for
 * one row the last one stays; `ScatterND` promises no order.
 */
function scatterRows(
  g: Graph,
  target: Value,
  { indices, updates }: { indices: Value; updates: Value },
  s: Scatter,
  reduction: 'add' | 'none',
): Value {
  const places = g.flat(indices, [s.updates, s.indexRank]);
  const steps = g.constant('int32', [1, s.indexRank], s.strides.slice(0, s.indexRank));
  const terms = g.node('Mul', [places, steps], {}, [s.updates, s.indexRank]);
  const row = g.node('ReduceSum', [terms, g.int64s([1])], { keepdims: 1 }, [s.updates, 1]);
  const dims = [s.updates, s.length];
  const repeated = g.node('Expand', [row, g.int64s(dims)], {}, dims);
  const values = g.memory(g.plain(updates));
  const source =
    size(updates.shape) === size(dims) ? g.flat(updates, dims) : g.node('Expand', [values, g.int64s(dims)], {}, dims); // one value for all places
  return g.node('ScatterElements', [target, repeated, source], { axis: 0, reduction }, target.dims);
}

const filled = (g: Graph, s: Scatter, dtype: TensorSpec['dtype']) =>
  g.node(
    'ConstantOfShape',
    [g.int64s([s.rows, s.length])],
    { value: { dtype, dims: [1], data: [0] } },
    [s.rows, s.length],
    dtype,
  );

/** Row numbers, `rows` for those that are none. */
export function within(g: Graph, indices: Value, rows: number): Value {
  const at = g.memory(g.plain(indices));
  const [end, first] = [g.scalar(rows, 'int32'), g.scalar(0, 'int32')];
  const isRow = point(g, 'And', [point(g, 'GreaterOrEqual', [at, first], 'bool'), point(g, 'Less', [at, end], 'bool')]);
  return where(g, isRow, at, end);
}

/** Lengths of the axes that the last axis of `indices` points into. */
const indexed = (shape: readonly number[], indices: Shaped) =>
  shape.slice(0, indices.shape.length > 1 ? indices.shape[indices.shape.length - 1] : 1);

export const GATHER_SCATTER: Record<string, Rule> = {
  GatherV2: {
    since: 13,
    inputs: ['x', 'indices'],
    refuses: ([, indices]) => refusesIndices(indices),
    refusesValues: (values, [x], { axis }) =>
      outOfRange(values(1), [x.shape[util.parseAxisParam(axis, [...x.shape])[0]]]),
    outputs: ([x, indices], attrs) => [{ shape: gatherInfo(x, indices, attrs).outputShape, dtype: x.dtype }],
    lower: (g, [x, indices], attrs) => {
      if (attrs.batchDims) return [lowerBatchedGather(g, x, indices, attrs)];
      const { at, outputShape } = gatherInfo(x, indices, attrs);
      return [g.node('Gather', [g.memory(g.plain(x)), g.memory(g.plain(indices))], { axis: at }, outputShape)];
    },
  },
  GatherNd: {
    since: 13,
    inputs: ['params', 'indices'],
    refuses: ([, indices]) => refusesIndices(indices),
    refusesValues: (values, [params, { shape }]) =>
      outOfRange(values(1), params.shape.slice(0, shape[shape.length - 1])),
    outputs: ([params, indices]) => [
      { shape: backend_util.prepareAndValidate(params as never, indices as never)[0], dtype: params.dtype },
    ],
    lower: (g, [params, indices]) => [lowerGatherNd(g, params, indices)],
  },
  ScatterNd: {
    since: 16, // ScatterElements with reduction
    inputs: ['indices', 'updates'],
    refuses: ([indices, updates]) => (updates.dtype === 'bool' ? 'dtype bool' : refusesIndices(indices)),
    refusesValues: (values, [indices], { shape }) => outOfRange(values(0), indexed(shape, indices)),
    outputs: ([indices, updates], { shape }) => {
      scatterInfo(updates, indices, shape);
      return [{ shape, dtype: updates.dtype }];
    },
    lower: (g, [indices, updates], { shape }) => {
      const s = scatterInfo(updates, indices, shape);
      return [
        g.reshape(
          scatterRows(g, filled(g, s, updates.dtype as TensorSpec['dtype']), { indices, updates }, s, 'add'),
          shape,
        ),
      ];
    },
  },
  TensorScatterUpdate: {
    since: 16,
    inputs: ['tensor', 'indices', 'updates'],
    refuses: ([tensor, indices, updates]) =>
      tensor.dtype === updates.dtype ? refusesIndices(indices) : `dtypes ${tensor.dtype} and ${updates.dtype}`,
    refusesValues: (values, [tensor, indices]) => outOfRange(values(1), indexed(tensor.shape, indices)),
    outputs: ([tensor, indices, updates]) => {
      scatterInfo(updates, indices, tensor.shape);
      return [{ shape: tensor.shape, dtype: tensor.dtype }];
    },
    lower: (g, [tensor, indices, updates]) => {
      const s = scatterInfo(updates, indices, tensor.shape);
      const target = g.flat(tensor, [s.rows, s.length]);
      return [g.reshape(scatterRows(g, target, { indices, updates }, s, 'none'), tensor.shape)];
    },
  },
  SparseToDense: {
    since: 16,
    inputs: ['sparseIndices', 'sparseValues', 'defaultValue'],
    refuses: ([indices, updates, value]) =>
      value.dtype === updates.dtype ? refusesIndices(indices) : `dtypes ${value.dtype} and ${updates.dtype}`,
    refusesValues: (values, [indices], { outputShape }) => outOfRange(values(0), indexed(outputShape, indices)),
    outputs: ([indices, updates], { outputShape }) => {
      scatterInfo(updates, indices, outputShape);
      return [{ shape: outputShape, dtype: updates.dtype }];
    },
    lower: (g, [indices, updates, value], { outputShape }) => {
      const s = scatterInfo(updates, indices, outputShape);
      const dims = [s.rows, s.length];
      const first = g.flat(value, []);
      const target = g.node('Expand', [first, g.int64s(dims)], {}, dims);
      return [g.reshape(scatterRows(g, target, { indices, updates }, s, 'none'), outputShape)];
    },
  },
  /** The gradient of gather: rows added up where their number says; those of numbers out of range go nowhere. */
  UnsortedSegmentSum: {
    since: 16,
    inputs: ['x', 'segmentIds'],
    refuses: ([x, ids]) => {
      if (x.dtype !== 'float32') return `dtype ${x.dtype}`;
      return ids.shape.length === 1 ? refusesIndices(ids) : `segments of rank ${ids.shape.length}`;
    },
    outputs: ([x], { numSegments }) => [{ shape: [numSegments, ...x.shape.slice(1)], dtype: 'float32' }],
    lower: (g, [x, ids], { numSegments }) => {
      const [updates, ...rest] = x.shape;
      const length = size(rest);
      const s: Scatter = { updates, rows: numSegments + 1, length, strides: [1], indexRank: 1 };
      const sums = scatterRows(
        g,
        filled(g, s, 'float32'),
        { indices: within(g, ids, numSegments), updates: x },
        s,
        'add',
      );
      return [g.reshape(cut(g, sums, [0, 0], [numSegments, length]), [numSegments, ...rest])];
    },
  },
  /** How many entries of a sorted row lie before each value. */
  SearchSorted: {
    since: 13,
    inputs: ['sortedSequence', 'values'],
    refuses: ([sorted, values]) => {
      if (sorted.dtype !== values.dtype || sorted.dtype === 'bool') return `dtypes ${sorted.dtype} and ${values.dtype}`;
      return size(sorted.shape) * values.shape[1] > MAX_COMPARISONS ? 'too many comparisons' : undefined;
    },
    outputs: ([, values]) => [{ shape: values.shape, dtype: 'int32' }],
    lower: (g, [sorted, values], { side }) => {
      const [batch, n] = values.shape;
      const length = sorted.shape[1];
      const [row, column] = [g.flat(sorted, [batch, 1, length]), g.flat(values, [batch, n, 1])];
      const op = side === 'left' ? 'Less' : 'LessOrEqual';
      const before = g.node(op, [row, column], {}, [batch, n, length], 'bool');
      const counted = g.node('Cast', [before], { to: 'int32' }, [batch, n, length], 'int32');
      return [g.node('ReduceSum', [counted, g.int64s([2])], { keepdims: 0 }, [batch, n])];
    },
  },
};

/** Every value is compared with every entry of its row; a search by halves is better from some size on. */
const MAX_COMPARISONS = 2 ** 22;
