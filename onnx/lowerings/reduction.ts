/** Reductions and the softmax family, over tfjs's axes in whatever layout the operand has. */
import { backend_util, util } from '../../base/tfjs/core.js';
import type { Graph, Value } from '../graph.js';
import type { Attrs, DType, TensorSpec } from '../kernel-call.js';
import { inverse } from '../layout.js';
import { type Rule, refusesAllButFloat } from '../rule.js';
import { cast, isNan, point, where } from './elementwise.js';

interface Reduced {
  /** Axes in tfjs's order. */
  axes: number[];
  shape: number[];
}

function reduced(shape: readonly number[], axis: number | number[], keepDims: boolean): Reduced {
  const axes = util.parseAxisParam(axis, [...shape]);
  const [kept] = backend_util.computeOutAndReduceShapes([...shape], axes);
  return { axes, shape: keepDims ? backend_util.expandShapeToKeepDim(kept, axes) : kept };
}

/** Axes given as an input from this operator set on, as an attribute before. */
const AXES_AS_INPUT: Record<string, number> = {
  ReduceSum: 13,
  ReduceMean: 18,
  ReduceMax: 18,
  ReduceMin: 18,
  ReduceProd: 18,
};

/** One reduction node; axes that stay keep their order in memory. */
function reduce(g: Graph, op: string, x: Value, axis: number | number[], keepDims: boolean): Value {
  const { axes } = reduced(x.shape, axis, keepDims);
  if (axes.length === 0) return x;
  const position = inverse(x.layout);
  const memoryAxes = axes.map((a) => position[a]).sort((p, q) => p - q);
  const isReduced = (memoryAxis: number) => memoryAxes.includes(memoryAxis);
  const keep = x.dims.map((length, a) => (isReduced(a) ? 1 : length)).filter((_, a) => keepDims || !isReduced(a));
  const asInput = g.target.opset >= AXES_AS_INPUT[op];
  const inputs = [g.memory(x), ...(asInput ? [g.int64s(memoryAxes)] : [])];
  const attributes = { ...(asInput ? {} : { axes: memoryAxes }), keepdims: keepDims ? 1 : 0 };
  const result = g.node(op, inputs, attributes, keep);
  if (keepDims) return g.view(result, x.layout);
  const left = x.layout.filter((a) => !axes.includes(a));
  const rank = [...left].sort((p, q) => p - q);
  return g.view(
    result,
    left.map((a) => rank.indexOf(a)),
  );
}

type Reduce = (op: string, x: Value) => Value;

/** `lower` makes nodes that each reduce over the axes asked for; dtypes as tfjs has them. */
function reduction(
  axisName: 'axis' | 'reductionIndices',
  dtypeOf: (x: DType) => DType,
  lower: (g: Graph, x: Value, over: Reduce) => Value,
  refuses?: Rule['refuses'],
): Rule {
  return {
    since: 13,
    inputs: ['x'],
    refuses,
    outputs: ([x], attrs) => [
      { shape: reduced(x.shape, attrs[axisName], attrs.keepDims).shape, dtype: dtypeOf(x.dtype) },
    ],
    lower: (g, [x], attrs) => [lower(g, x, (op, value) => reduce(g, op, value, attrs[axisName], attrs.keepDims))],
  };
}

/** Sums and products of booleans are integers. */
const countable = (dtype: DType): DType => (dtype === 'bool' ? 'int32' : dtype);

const counting = (op: string) =>
  reduction('axis', countable, (g, x, over) => over(op, cast(g, x, countable(x.dtype as DType))));

/** NaN as soon as one element is, which onnxruntime does not promise; booleans as 0 and 1. */
function extremum(op: string, axisName: 'axis' | 'reductionIndices'): Rule {
  return reduction(
    axisName,
    (dtype) => dtype,
    (g, x, over) => {
      if (x.dtype === 'bool') return cast(g, over(op, cast(g, x, 'int32')), 'bool');
      const result = over(op, x);
      if (x.dtype === 'int32' || g.target.finite) return result;
      const nans = over('ReduceMax', cast(g, g.view(isNan(g, g.memory(x)), x.layout), 'float32'));
      const chosen = where(g, g.memory(cast(g, nans, 'bool')), g.scalar(Number.NaN), g.memory(result));
      return g.view(chosen, result.layout);
    },
  );
}

/** All and Any. */
const truth = (op: string): Rule => ({
  ...extremum(op, 'axis'),
  refuses: ([x]) => (x.dtype === 'bool' ? undefined : `dtype ${x.dtype}`),
});

function softmax(op: 'Softmax' | 'LogSoftmax', axisName: 'dim' | 'axis'): Rule {
  return {
    since: 13,
    inputs: ['logits'],
    refuses: refusesAllButFloat,
    outputs: ([x]) => [{ shape: x.shape, dtype: 'float32' }],
    lower: (g, [x], attrs) => {
      const [axis] = util.parseAxisParam(attrs[axisName], [...x.shape]);
      const inMemory = inverse(x.layout)[axis];
      if (op === 'LogSoftmax' && !g.has(op)) return [g.view(logSoftmax(g, g.memory(x), inMemory), x.layout)];
      return [g.view(g.node(op, [g.memory(x)], { axis: inMemory }, x.dims), x.layout)];
    },
  };
}

/** x − max − log Σ exp(x − max). */
function logSoftmax(g: Graph, x: Value, axis: number): Value {
  const over = (op: string, value: Value) => reduce(g, op, value, axis, true);
  const shifted = point(g, 'Sub', [x, over('ReduceMax', x)]);
  return point(g, 'Sub', [shifted, point(g, 'Log', [over('ReduceSum', point(g, 'Exp', [shifted]))])]);
}

/**
 * Position of the largest or smallest element; the first of equals in both. tfjs starts from the first element and
 * takes each that beats it: a NaN wins in the first place and nowhere else. There it becomes the infinity that wins,
 * elsewhere the one that loses.
 */
function lowerPosition(g: Graph, op: 'ArgMax' | 'ArgMin', x: Value, attrs: Attrs): Value {
  const { axes, shape } = reduced(x.shape, attrs.axis, false);
  const [axis] = axes;
  let number = g.memory(g.plain(x.dtype === 'bool' ? cast(g, x, 'int32') : x));
  if (x.dtype === 'float32' && !g.target.finite) {
    const loses = op === 'ArgMax' ? -Infinity : Infinity;
    const instead = new Float32Array(x.shape[axis]).fill(loses);
    instead[0] = -loses;
    const column = [instead.length, ...new Array<number>(x.shape.length - axis - 1).fill(1)];
    number = where(g, isNan(g, number), g.constant('float32', column, instead), number);
  }
  if (!g.has('Cast of int64')) return positionByMask(g, op === 'ArgMax' ? 'ReduceMax' : 'ReduceMin', number, axis);
  const indices = g.node(op, [number], { axis, keepdims: 0 }, shape, 'int64');
  return g.node('Cast', [indices], { to: 'int32' }, shape, 'int32');
}

/** The first entry along an axis that is equal to the extremum. Positions are counted down, as floats: the largest count wins. */
function positionByMask(g: Graph, op: 'ReduceMax' | 'ReduceMin', x: Value, axis: number): Value {
  const length = x.dims[axis];
  const rest = x.dims.filter((_, a) => a !== axis);
  const extremum = g.node(op, [x], { axes: [axis], keepdims: 1 }, x.dims.with(axis, 1));
  const column = [length, ...new Array<number>(x.dims.length - axis - 1).fill(1)];
  const counts = g.constant(
    'float32',
    column,
    Float32Array.from({ length }, (_, i) => length - i),
  );
  const counted = where(g, point(g, 'Equal', [x, extremum], 'bool'), counts, g.scalar(0));
  const most = g.node('ReduceMax', [counted], { axes: [axis], keepdims: 0 }, rest);
  return point(g, 'Cast', [point(g, 'Sub', [g.scalar(length), most])], 'int32', { to: 'int32' });
}

function position(op: 'ArgMax' | 'ArgMin'): Rule {
  return {
    since: 13,
    inputs: ['x'],
    refuses: ([x]) => (x.shape.length === 0 ? 'a scalar' : undefined),
    outputs: ([x], attrs) => [{ shape: reduced(x.shape, attrs.axis, false).shape, dtype: 'int32' }],
    lower: (g, [x], attrs) => [lowerPosition(g, op, x, attrs)],
  };
}

function topKShape(x: TensorSpec, k: number): number[] {
  return [...x.shape.slice(0, -1), k];
}

export const REDUCTION: Record<string, Rule> = {
  Sum: counting('ReduceSum'),
  Prod: counting('ReduceProd'),
  Mean: reduction(
    'axis',
    () => 'float32',
    (g, x, over) => over('ReduceMean', cast(g, x, 'float32')),
  ),
  Max: extremum('ReduceMax', 'reductionIndices'),
  Min: extremum('ReduceMin', 'axis'),
  All: truth('ReduceMin'),
  Any: truth('ReduceMax'),
  Softmax: softmax('Softmax', 'dim'),
  LogSoftmax: softmax('LogSoftmax', 'axis'),
  ArgMax: position('ArgMax'),
  ArgMin: position('ArgMin'),
  TopK: {
    since: 11,
    inputs: ['x'],
    refuses: ([x], { k }) => (x.dtype === 'bool' || k === 0 ? `dtype ${x.dtype}, k ${k}` : undefined),
    outputs: ([x], { k }) => [
      { shape: topKShape(x, k), dtype: x.dtype },
      { shape: topKShape(x, k), dtype: 'int32' },
    ],
    lower: (g, [x], { k }) => {
      const dims = topKShape(x as TensorSpec, k);
      const [values, indices] = g.multi(
        'TopK',
        [g.memory(g.plain(x)), g.int64s([k])],
        { axis: -1, largest: 1, sorted: 1 },
        [
          { dims, dtype: x.dtype },
          { dims, dtype: 'int64' },
        ],
      );
      return [values, g.node('Cast', [indices], { to: 'int32' }, dims, 'int32')];
    },
  },
};
