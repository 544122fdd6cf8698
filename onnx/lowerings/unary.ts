/**
 * Arithmetic on one tensor. tfjs gives the result the type of its input: what ONNX computes on floats alone is
 * converted there and back. Tan has no rule: next to its poles onnxruntime is off by more than tfjs's own tests allow.
 */
import type { Graph, Value } from '../graph.js';
import type { Attrs, TensorSpec } from '../kernel-call.js';
import { type Rule, refusesAllButFloat } from '../rule.js';
import { cast, isInf, isNan, point, same, unary, where } from './elementwise.js';
import { elu, expm1, selu, sigmoid } from './exponential.js';

const refusesBool = ([x]: TensorSpec[]) => (x.dtype === 'bool' ? 'dtype bool' : undefined);

/** On floats and integers alike. `lower` works on memory order. */
function onNumbers(lower: (g: Graph, x: Value, attrs: Attrs) => Value): Rule {
  return {
    since: 13,
    inputs: ['x'],
    refuses: refusesBool,
    outputs: same,
    lower: (g, [x], attrs) => [g.view(lower(g, g.memory(x), attrs), x.layout)],
  };
}

/** Computed on floats. */
function onFloats(lower: (g: Graph, x: Value, attrs: Attrs) => Value): Rule {
  return onNumbers((g, x, attrs) =>
    x.dtype === 'float32' ? lower(g, x, attrs) : cast(g, lower(g, cast(g, x, 'float32'), attrs), 'int32'),
  );
}

const floatOperator = (op: string) => onFloats((g, x) => unary(g, op, x));

/** Rounding leaves integers as they are. */
const rounding = (op: string) => onNumbers((g, x) => (x.dtype === 'float32' ? unary(g, op, x) : x));

/** log(1 + x) = log(u) · x / (u − 1) with u the float next to 1 + x, and x where u = 1 (Kahan): accurate near 0. */
function lowerLog1p(g: Graph, x: Value): Value {
  const u = point(g, 'Add', [x, g.scalar(1)]);
  const added = point(g, 'Sub', [u, g.scalar(1)]);
  const ratio = where(g, isInf(g, x), g.scalar(1), point(g, 'Div', [x, added]));
  const product = point(g, 'Mul', [point(g, 'Log', [u]), ratio]);
  return where(g, point(g, 'Equal', [added, g.scalar(0)], 'bool'), x, product);
}

/** 0 for NaN, where ONNX gives NaN. */
function lowerSign(g: Graph, x: Value): Value {
  const sign = unary(g, 'Sign', x);
  return x.dtype === 'float32' ? where(g, isNan(g, x), g.scalar(0), sign) : sign;
}

/** 1 where x > 0, NaN where x is, elsewhere `alpha`. */
function lowerStep(g: Graph, x: Value, { alpha }: Attrs): Value {
  const activated = alpha === 0 && g.find('Relu', [x]);
  // The gradient of relu asks Relu(x), so that x itself need not be kept. NaN gives 0 there: asking for it takes twice
  // as long.
  if (activated)
    return unary(g, 'Cast', point(g, 'Greater', [activated, g.scalar(0, x.dtype)], 'bool'), x.dtype, { to: x.dtype });
  const positive = point(g, 'Greater', [x, g.scalar(0, x.dtype)], 'bool');
  const step = where(g, positive, g.scalar(1, x.dtype), g.scalar(alpha, x.dtype));
  return x.dtype === 'float32' ? where(g, isNan(g, x), x, step) : step;
}

const INT32_MAX = 2 ** 31 - 1;

/** Bounds in x's type. An integer clipped to a fraction is cut off, as is the integer next to it. */
function clip(g: Graph, x: Value, low: number, high: number): Value {
  const whole = (bound: number) => Math.trunc(Math.min(Math.max(bound, -INT32_MAX - 1), INT32_MAX));
  const bound = (value: number) => g.scalar(x.dtype === 'int32' ? whole(value) : value, x.dtype);
  return point(g, 'Clip', [x, bound(low), bound(high)]);
}

export const UNARY: Record<string, Rule> = {
  ...Object.fromEntries(
    // Kernels whose ONNX operator has the same name and meaning; tfjs passes no attributes and ONNX's defaults are its
    // constants.
    'Acos Acosh Asin Asinh Atan Atanh Cos Cosh Erf Log Reciprocal Sin Sinh Softplus Sqrt Tanh'
      .split(' ')
      .map((name) => [name, floatOperator(name)]),
  ),
  Exp: { ...onNumbers((g, x) => unary(g, 'Exp', x)), refuses: refusesAllButFloat },
  Elu: onFloats(elu),
  Expm1: onFloats(expm1),
  LeakyRelu: {
    since: 13,
    inputs: ['x'],
    outputs: ([x]) => [{ shape: x.shape, dtype: 'float32' }],
    lower: (g, [x], { alpha }) => [
      unary(g, 'LeakyRelu', cast(g, x, 'float32'), 'float32', { alpha: { float: alpha } }),
    ],
  },
  Log1p: onFloats(lowerLog1p),
  Selu: onFloats(selu),
  Sigmoid: onFloats(sigmoid),
  Rsqrt: onFloats((g, x) => unary(g, 'Reciprocal', unary(g, 'Sqrt', x))),

  Ceil: rounding('Ceil'),
  Floor: rounding('Floor'),
  Round: rounding('Round'),

  Abs: onNumbers((g, x) => unary(g, 'Abs', x)),
  Neg: onNumbers((g, x) => unary(g, 'Neg', x)),
  // On integers the operator is there from operator set 14 on.
  Relu: onNumbers((g, x) => (x.dtype === 'int32' ? point(g, 'Max', [x, g.scalar(0, 'int32')]) : unary(g, 'Relu', x))),
  Relu6: onNumbers((g, x) => clip(g, x, 0, 6)),
  Sign: onNumbers(lowerSign),
  Square: onNumbers((g, x) => point(g, 'Mul', [x, x])),
  Step: onNumbers(lowerStep),
  ClipByValue: {
    ...onNumbers((g, x, { clipValueMin, clipValueMax }) => {
      const relu = g.target.finite && clipValueMin >= 0 ? g.producer(x) : undefined;
      // it cuts off below 0 itself
      return clip(g, relu?.op === 'Relu' ? relu.inputs[0]! : x, clipValueMin, clipValueMax);
    }),
    refuses: (inputs, { clipValueMin, clipValueMax }) =>
      refusesBool(inputs) ?? (clipValueMin <= clipValueMax ? undefined : `range ${clipValueMin} to ${clipValueMax}`),
  },
};
