/**
 * Element-wise kernels. They pass any layout through: a binary rule takes the layout of its larger operand.
 */
import { backend_util } from '@tensorflow/tfjs-core';
import type { Graph, Value } from '../graph.js';
import type { DType, TensorSpec } from '../kernel-call.js';
import { isIdentity, toMemory } from '../layout.js';
import { type Rule, refusesAllButFloat } from '../rule.js';
import { addBias } from './bias.js';

const same = ([x]: TensorSpec[]): TensorSpec[] => [{ shape: x.shape, dtype: x.dtype }];

/** An element-wise node on one value, layout kept. */
export function unary(g: Graph, op: string, x: Value, dtype = x.dtype): Value {
  return g.view(g.node(op, [g.memory(x)], {}, x.dims, dtype), x.layout);
}

/** Two values in one layout, broadcast as tfjs and ONNX both do: axes aligned at the end, length 1 stretched. */
export function aligned(
  g: Graph,
  a: Value,
  b: Value,
): { a: Value; b: Value; layout: readonly number[]; dims: number[] } {
  const shape = backend_util.assertAndGetBroadcastShape([...a.shape], [...b.shape]);
  const size = (value: Value) => value.dims.reduce((product, length) => product * length, 1);
  const full = [a, b].filter((value) => value.shape.length === shape.length).sort((p, q) => size(q) - size(p));
  // Between operands of one size prefer the one that ONNX computed: kernels then stay in its layout from the first update on.
  const leader = full.find((value) => size(value) === size(full[0]) && !isIdentity(value.layout)) ?? full[0];
  const layout = leader.layout;
  const fit = (value: Value) => {
    if (isIdentity(layout)) return g.memory(g.plain(value));
    const missing = shape.length - value.shape.length;
    return g.in(
      layout,
      missing > 0 && value.shape.length > 0
        ? g.reshape(value, [...new Array(missing).fill(1), ...value.shape])
        : expandScalar(value),
    );
  };
  // A scalar broadcasts in every layout.
  const expandScalar = (value: Value): Value => (value.shape.length === 0 ? { ...value, layout } : value);
  return { a: fit(a), b: fit(b), layout, dims: toMemory(shape, layout) };
}

/** An element-wise node on two values with broadcasting. */
export function binary(g: Graph, op: string, left: Value, right: Value, dtype = left.dtype): Value {
  const { a, b, layout, dims } = aligned(g, left, right);
  return g.view(g.node(op, [a, b], {}, dims, dtype), layout);
}

function unaryRule(lower: (g: Graph, x: Value) => Value, since = 13): Rule {
  return { since, inputs: ['x'], refuses: refusesAllButFloat, outputs: same, lower: (g, [x]) => [lower(g, x)] };
}

function arithmetic(op: string, dtypes: DType[], lower?: (g: Graph, a: Value, b: Value) => Value): Rule {
  return {
    since: 13,
    inputs: ['a', 'b'],
    refuses: ([a, b]) => {
      if (a.dtype !== b.dtype) return `dtypes ${a.dtype} and ${b.dtype}`;
      return dtypes.includes(a.dtype) ? undefined : `dtype ${a.dtype}`;
    },
    outputs: ([a, b]) => [
      { shape: backend_util.assertAndGetBroadcastShape([...a.shape], [...b.shape]), dtype: a.dtype },
    ],
    lower: (g, [a, b]) => [lower ? lower(g, a, b) : binary(g, op, a, b)],
  };
}

function comparison(op: string, dtypes: DType[] = ['float32', 'int32']): Rule {
  const rule = arithmetic(op, dtypes);
  return {
    ...rule,
    outputs: (inputs, attrs) => [{ ...rule.outputs(inputs, attrs)[0], dtype: 'bool' }],
    lower: (g, [a, b]) => [binary(g, op, a, b, 'bool')],
  };
}

/** x > 0 as a value of x's type. Where Relu(x) exists it is asked instead, so that x itself need not be kept: the sign is the same. */
function lowerStep(g: Graph, [x]: Value[], { alpha }: { alpha: number }): Value[] {
  const source = g.find('Relu', [g.memory(x)]) ?? g.memory(x);
  const positive = g.node('Greater', [source, g.scalar(0)], {}, x.dims, 'bool');
  const one = g.node('Cast', [positive], { to: 'float32' }, x.dims, 'float32');
  if (alpha === 0) return [g.view(one, x.layout)];
  return [g.view(g.node('Where', [positive, g.scalar(1), g.scalar(alpha)], {}, x.dims, 'float32'), x.layout)];
}

export const ELEMENTWISE: Record<string, Rule> = {
  Add: arithmetic('Add', ['float32', 'int32'], (g, a, b) => addBias(g, a, b) ?? binary(g, 'Add', a, b)),
  Sub: arithmetic('Sub', ['float32', 'int32']),
  Multiply: arithmetic('Mul', ['float32', 'int32']),
  RealDiv: arithmetic('Div', ['float32']),
  Maximum: arithmetic('Max', ['float32', 'int32']),
  Pow: arithmetic('Pow', ['float32']),
  Equal: comparison('Equal', ['float32', 'int32', 'bool']),
  Greater: comparison('Greater'),
  GreaterEqual: comparison('GreaterOrEqual'),
  Less: comparison('Less'),
  LessEqual: comparison('LessOrEqual'),
  LogicalAnd: arithmetic('And', ['bool']),

  Neg: unaryRule((g, x) => unary(g, 'Neg', x)),
  Exp: unaryRule((g, x) => unary(g, 'Exp', x)),
  Log: unaryRule((g, x) => unary(g, 'Log', x)),
  Sqrt: unaryRule((g, x) => unary(g, 'Sqrt', x)),
  Rsqrt: unaryRule((g, x) => unary(g, 'Reciprocal', unary(g, 'Sqrt', x))),
  Floor: unaryRule((g, x) => unary(g, 'Floor', x)),
  Tanh: unaryRule((g, x) => unary(g, 'Tanh', x)),
  Relu: unaryRule((g, x) => unary(g, 'Relu', x)),
  Square: unaryRule((g, x) => g.view(g.node('Mul', [g.memory(x), g.memory(x)], {}, x.dims), x.layout)),
  Step: {
    since: 13,
    inputs: ['x'],
    refuses: refusesAllButFloat,
    outputs: same,
    lower: (g, inputs, attrs) => lowerStep(g, inputs, attrs as { alpha: number }),
  },

  ClipByValue: {
    since: 13,
    inputs: ['x'],
    refuses: refusesAllButFloat,
    outputs: same,
    lower: (g, [x], { clipValueMin, clipValueMax }) => [
      g.view(g.node('Clip', [g.memory(x), g.scalar(clipValueMin), g.scalar(clipValueMax)], {}, x.dims), x.layout),
    ],
  },

  AddN: {
    since: 13,
    inputs: '*',
    refuses: refusesAllButFloat,
    outputs: same,
    lower: (g, [first, ...rest]) => [rest.reduce((sum, value) => binary(g, 'Add', sum, value), first)],
  },

  Cast: {
    since: 13,
    inputs: ['x'],
    refuses: (_inputs, { dtype }) => (['float32', 'int32', 'bool'].includes(dtype) ? undefined : `dtype ${dtype}`),
    outputs: ([x], { dtype }) => [{ shape: x.shape, dtype }],
    lower: (g, [x], { dtype }) => [
      x.dtype === dtype ? x : g.view(g.node('Cast', [g.memory(x)], { to: dtype }, x.dims, dtype), x.layout),
    ],
  },

  Select: {
    since: 13,
    inputs: ['condition', 't', 'e'],
    refuses: ([condition, t, e]) => {
      if (condition.dtype !== 'bool') return `condition of dtype ${condition.dtype}`;
      return t.dtype === e.dtype ? undefined : `dtypes ${t.dtype} and ${e.dtype}`;
    },
    outputs: ([, t]) => [{ shape: t.shape, dtype: t.dtype }],
    lower: (g, [condition, t, e]) => {
      // A condition of rank 1 chooses whole rows.
      const rows = condition.shape.length === 1 && t.shape.length > 1;
      const which = rows
        ? g.reshape(condition, [...condition.shape, ...new Array(t.shape.length - 1).fill(1)])
        : condition;
      const scalar = condition.shape.length === 0;
      const mask = scalar ? g.memory(which) : g.in(t.layout, which);
      return [g.view(g.node('Where', [mask, g.memory(t), g.in(t.layout, e)], {}, t.dims, t.dtype), t.layout)];
    },
  },

  ZerosLike: constantLike(0),
  OnesLike: constantLike(1),

  Fill: {
    since: 13,
    inputs: [],
    refuses: (_inputs, { dtype, value }) =>
      typeof value === 'number' && dtype !== 'string' ? undefined : `dtype ${dtype}`,
    outputs: (_inputs, { shape, dtype }) => [{ shape, dtype: dtype ?? 'float32' }],
    lower: (g, _inputs, { shape, value, dtype = 'float32' }) => [
      g.node('ConstantOfShape', [g.int64s(shape)], { value: { dtype, dims: [1], data: [value] } }, shape, dtype),
    ],
  },
};

function constantLike(data: number): Rule {
  return {
    since: 13,
    inputs: ['x'],
    outputs: same,
    lower: (g, [x]) => {
      const shape = g.node('Shape', [g.memory(x)], {}, [x.dims.length], 'int64');
      const value = { dtype: x.dtype, dims: [1], data: [data] };
      return [g.view(g.node('ConstantOfShape', [shape], { value }, x.dims, x.dtype), x.layout)];
    },
  };
}
