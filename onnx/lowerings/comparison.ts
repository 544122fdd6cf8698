/** Comparisons, logic, questions about single numbers, and the choice between two tensors; also the change of type. */
import { backend_util } from '../../base/tfjs/core.js';
import type { Graph, Value } from '../graph.js';
import type { TensorSpec } from '../kernel-call.js';
import type { Rule } from '../rule.js';
import { binary, broadcastOutput, cast, isInf, isNan, point, unary, where } from './elementwise.js';

function comparison(lower: (g: Graph, a: Value, b: Value) => Value): Rule {
  return {
    since: 13,
    inputs: ['a', 'b'],
    refuses: ([a, b]) => (a.dtype === b.dtype ? undefined : `dtypes ${a.dtype} and ${b.dtype}`),
    outputs: (inputs) => [{ ...broadcastOutput(inputs)[0], dtype: 'bool' }],
    lower: (g, [a, b]) => [lower(g, a, b)],
  };
}

/** ONNX orders numbers only. */
function order(op: string): Rule {
  const number = (g: Graph, x: Value) => (x.dtype === 'bool' ? cast(g, x, 'int32') : x);
  return comparison((g, a, b) => binary(g, op, number(g, a), number(g, b), 'bool'));
}

const refusesNumbers = (inputs: TensorSpec[]) =>
  inputs.every(({ dtype }) => dtype === 'bool') ? undefined : `dtype ${inputs.map(({ dtype }) => dtype).join(', ')}`;

const logic = (op: string): Rule => ({
  ...comparison((g, a, b) => binary(g, op, a, b)),
  refuses: refusesNumbers,
});

/** Asks every number, integers as floats. `lower` works on memory order. */
function question(lower: (g: Graph, x: Value) => Value): Rule {
  return {
    since: 13,
    inputs: ['x'],
    outputs: ([x]) => [{ shape: x.shape, dtype: 'bool' }],
    lower: (g, [x]) => [g.view(lower(g, g.memory(cast(g, x, 'float32'))), x.layout)],
  };
}

function lowerSelect(g: Graph, [condition, t, e]: Value[]): Value {
  // A condition of rank 1 chooses whole rows; a scalar fits every layout.
  const rows = condition.shape.length === 1 && t.shape.length > 1;
  const which = rows ? g.reshape(condition, [...condition.shape, ...new Array(t.shape.length - 1).fill(1)]) : condition;
  const mask = condition.shape.length === 0 ? g.memory(which) : g.in(t.layout, which);
  const dtype = backend_util.upcastType(t.dtype as 'bool', e.dtype as 'bool') as 'bool';
  // onnxruntime chooses between numbers only.
  const number = (value: Value) => cast(g, value, dtype === 'bool' ? 'int32' : dtype);
  const chosen = where(g, mask, g.memory(number(t)), g.in(t.layout, number(e)));
  return g.view(cast(g, chosen, dtype), t.layout);
}

export const COMPARISON: Record<string, Rule> = {
  Equal: comparison((g, a, b) => binary(g, 'Equal', a, b, 'bool')),
  NotEqual: comparison((g, a, b) => unary(g, 'Not', binary(g, 'Equal', a, b, 'bool'))),
  Greater: order('Greater'),
  GreaterEqual: order('GreaterOrEqual'),
  Less: order('Less'),
  LessEqual: order('LessOrEqual'),

  LogicalAnd: logic('And'),
  LogicalOr: logic('Or'),
  LogicalNot: {
    since: 13,
    inputs: ['x'],
    refuses: refusesNumbers,
    outputs: ([x]) => [{ shape: x.shape, dtype: 'bool' }],
    lower: (g, [x]) => [unary(g, 'Not', x)],
  },

  IsNan: question(isNan),
  IsInf: question(isInf),
  IsFinite: question((g, x) => point(g, 'Not', [point(g, 'Or', [isNan(g, x), isInf(g, x)])])),

  Select: {
    since: 13,
    inputs: ['condition', 't', 'e'],
    refuses: ([condition]) => (condition.dtype === 'bool' ? undefined : `condition of dtype ${condition.dtype}`),
    outputs: ([, t, e]) => [
      { shape: t.shape, dtype: backend_util.upcastType(t.dtype, e.dtype) as TensorSpec['dtype'] },
    ],
    lower: (g, inputs) => [lowerSelect(g, inputs)],
  },

  Cast: {
    since: 13,
    inputs: ['x'],
    refuses: (_inputs, { dtype }) => (['float32', 'int32', 'bool'].includes(dtype) ? undefined : `dtype ${dtype}`),
    outputs: ([x], { dtype }) => [{ shape: x.shape, dtype }],
    lower: (g, [x], { dtype }) => [cast(g, x, dtype)],
  },
};
