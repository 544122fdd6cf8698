/** Reductions and the softmax family, over tfjs's axes in whatever layout the operand has. */
import { backend_util, util } from '@tensorflow/tfjs-core';
import type { Graph, Value } from '../graph.js';
import type { Attrs, TensorSpec } from '../kernel-call.js';
import { inverse } from '../layout.js';
import { type Rule, refusesAllButFloat } from '../rule.js';

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
const AXES_AS_INPUT: Record<string, number> = { ReduceSum: 13, ReduceMean: 18, ReduceMax: 18 };

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

function reduction(op: string, axisName: 'axis' | 'reductionIndices', dtypes: string[]): Rule {
  return {
    since: 13,
    inputs: ['x'],
    refuses: ([x]) => (dtypes.includes(x.dtype) ? undefined : `dtype ${x.dtype}`),
    outputs: ([x], attrs) => [{ shape: reduced(x.shape, attrs[axisName], attrs.keepDims).shape, dtype: x.dtype }],
    lower: (g, [x], attrs) => [reduce(g, op, x, attrs[axisName], attrs.keepDims)],
  };
}

function softmax(op: string, axisName: 'dim' | 'axis'): Rule {
  return {
    since: 13,
    inputs: ['logits'],
    refuses: refusesAllButFloat,
    outputs: ([x]) => [{ shape: x.shape, dtype: 'float32' }],
    lower: (g, [x], attrs) => {
      const [axis] = util.parseAxisParam(attrs[axisName], [...x.shape]);
      return [g.view(g.node(op, [g.memory(x)], { axis: inverse(x.layout)[axis] }, x.dims), x.layout)];
    },
  };
}

/** Position of the largest element; the first of equals in both. */
function lowerArgMax(g: Graph, x: Value, attrs: Attrs): Value {
  const { axes, shape } = reduced(x.shape, attrs.axis, false);
  const indices = g.node('ArgMax', [g.memory(g.plain(x))], { axis: axes[0], keepdims: 0 }, shape, 'int64');
  return g.node('Cast', [indices], { to: 'int32' }, shape, 'int32');
}

function topKShape(x: TensorSpec, k: number): number[] {
  return [...x.shape.slice(0, -1), k];
}

export const REDUCTION: Record<string, Rule> = {
  Sum: reduction('ReduceSum', 'axis', ['float32', 'int32']),
  Mean: reduction('ReduceMean', 'axis', ['float32']),
  Max: reduction('ReduceMax', 'reductionIndices', ['float32', 'int32']),
  Softmax: softmax('Softmax', 'dim'),
  LogSoftmax: softmax('LogSoftmax', 'axis'),
  ArgMax: {
    since: 13,
    inputs: ['x'],
    refuses: ([x]) => (x.dtype === 'bool' ? 'dtype bool' : undefined),
    outputs: ([x], attrs) => [{ shape: reduced(x.shape, attrs.axis, false).shape, dtype: 'int32' }],
    lower: (g, [x], attrs) => [lowerArgMax(g, x, attrs)],
  },
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
