/**
 * Arithmetic on two tensors, with broadcasting. tfjs has made their types one before; a kernel called with mixed types
 * is delegated.
 */
import type { Graph, Value } from '../graph.js';
import type { TensorSpec } from '../kernel-call.js';
import { type Rule, refusesAllButFloat } from '../rule.js';
import { addBias } from './bias.js';
import { aligned, binary, broadcastOutput, cast, isInf, point, same, where } from './elementwise.js';

type Lowering = (g: Graph, a: Value, b: Value) => Value;

function refusal([a, b]: TensorSpec[]): string | undefined {
  if (a.dtype !== b.dtype) return `dtypes ${a.dtype} and ${b.dtype}`;
  return a.dtype === 'bool' ? 'dtype bool' : undefined;
}

function arithmetic(lower: Lowering): Rule {
  return {
    since: 13,
    inputs: ['a', 'b'],
    refuses: refusal,
    outputs: broadcastOutput,
    lower: (g, [a, b]) => [lower(g, a, b)],
  };
}

const operator = (op: string) => arithmetic((g, a, b) => binary(g, op, a, b));

/** On floats alone. */
const onFloats = (lower: Lowering): Rule => ({ ...arithmetic(lower), refuses: refusesAllButFloat });

/** Nodes on operands in memory order, broadcast as they meet. */
const composed =
  (lower: Lowering): Lowering =>
  (g, left, right) => {
    const { a, b, layout } = aligned(g, left, right);
    return g.view(lower(g, a, b), layout);
  };

/** A rule for integers computed on int64, where no quotient of int32 overflows, and one for floats. */
function byType(floats: Lowering, integers: Lowering): Lowering {
  return composed((g, a, b) => {
    if (a.dtype === 'float32') return floats(g, a, b);
    const wide = (value: Value) => point(g, 'Cast', [value], 'int64', { to: 'int64' });
    return point(g, 'Cast', [integers(g, wide(a), wide(b))], 'int32', { to: 'int32' });
  });
}

/** Integers by a divisor that may be 0, which gives 0: onnxruntime fails or stops the process on it. */
function divided(g: Graph, b: Value, quotient: (divisor: Value) => Value): Value {
  const zero = point(g, 'Equal', [b, g.scalar(0, 'int64')], 'bool');
  return where(g, zero, g.scalar(0, 'int64'), quotient(where(g, zero, g.scalar(1, 'int64'), b)));
}

/** The remainder of integers has the divisor's sign in both. */
const integerMod: Lowering = (g, a, b) => divided(g, b, (divisor) => point(g, 'Mod', [a, divisor]));

const integerFloorDiv: Lowering = (g, a, b) =>
  divided(g, b, (divisor) => point(g, 'Div', [point(g, 'Sub', [a, point(g, 'Mod', [a, divisor])]), divisor]));

const truncatedMod: Lowering = (g, a, b) => point(g, 'Mod', [a, b], a.dtype, { fmod: 1 });

const negative = (g: Graph, x: Value) => point(g, 'Less', [x, g.scalar(0)], 'bool');

/** True if the operands lie on different sides of 0. */
const signsDiffer = (g: Graph, a: Value, b: Value) => point(g, 'Xor', [negative(g, a), negative(g, b)]);

/**
 * The remainder r of truncated division, which is exact; r + b if the signs of a and b differ and r is not 0. NaN for b
 * = ±∞ then, as in tfjs.
 */
const floatMod: Lowering = (g, a, b) => {
  const rest = truncatedMod(g, a, b);
  const nothing = point(g, 'Mul', [b, g.scalar(0)]);
  const isZero = point(g, 'Equal', [rest, g.scalar(0)], 'bool');
  const moved = point(g, 'Add', [point(g, 'Add', [rest, nothing]), where(g, isZero, nothing, b)]);
  return where(g, signsDiffer(g, a, b), moved, rest);
};

/**
 * ⌊a / b⌋ as int32. (a − r) / b with the exact remainder r is a whole number up to rounding; `Floor` of the float
 * quotient is not: 1 by 0.1 (a little more than a tenth) goes 9 times, and the quotient rounds to 10.
 */
const floatFloorDiv: Lowering = (g, a, b) => {
  const rest = truncatedMod(g, a, b);
  const whole = point(g, 'Round', [point(g, 'Div', [point(g, 'Sub', [a, rest]), b])]);
  const some = point(g, 'Not', [point(g, 'Equal', [rest, g.scalar(0)], 'bool')]);
  const below = point(g, 'And', [some, signsDiffer(g, rest, b)]);
  const quotient = where(g, below, point(g, 'Sub', [whole, g.scalar(1)]), whole);
  return cast(g, where(g, isInf(g, b), g.scalar(0), quotient), 'int32');
};

/** Angle of the point (x, y): atan(y/x), half a turn further where x is negative. Zeros count with their signs. */
const atan2: Lowering = (g, y, x) => {
  const minus = (v: Value) => point(g, 'Or', [negative(g, v), negative(g, point(g, 'Reciprocal', [v]))]);
  const both = (test: (v: Value) => Value) => point(g, 'And', [test(y), test(x)]);
  const zeros = both((v) => point(g, 'Equal', [v, g.scalar(0)], 'bool'));
  const infinities = both((v) => isInf(g, v));
  const signs = point(g, 'Mul', [point(g, 'Sign', [y]), point(g, 'Sign', [x])]);
  const slope = where(g, zeros, g.scalar(0), where(g, infinities, signs, point(g, 'Div', [y, x])));
  const halfTurn = where(g, minus(y), g.scalar(-Math.PI), g.scalar(Math.PI));
  return point(g, 'Add', [point(g, 'Atan', [slope]), where(g, minus(x), halfTurn, g.scalar(0))]);
};

/**
 * Powers of integers wrap modulo 2³², exactly so below 2⁵³. 1 to the power of NaN or ±∞ is 1, as in C and TensorFlow;
 * JavaScript, and so tfjs's cpu backend, says NaN.
 */
const pow = byType(
  (g, a, b) => point(g, 'Pow', [a, b]),
  (g, a, b) => point(g, 'Pow', [a, b]),
);

/** x where it is not negative, else `alpha` times x. `PRelu` takes only slopes that fit into x. */
export const prelu: Lowering = composed((g, x, alpha) => {
  const product = point(g, 'Mul', [alpha, x]);
  if (product.dims.every((length, axis) => length === x.dims[axis])) return point(g, 'PRelu', [x, alpha]);
  return where(g, negative(g, x), product, x);
});

export const BINARY: Record<string, Rule> = {
  Add: arithmetic((g, a, b) => addBias(g, a, b) ?? binary(g, 'Add', a, b)),
  Sub: operator('Sub'),
  Multiply: operator('Mul'),
  Maximum: operator('Max'),
  Minimum: operator('Min'),
  RealDiv: onFloats((g, a, b) => binary(g, 'Div', a, b)),
  Pow: arithmetic(pow),
  Mod: arithmetic(byType(floatMod, integerMod)),
  Atan2: onFloats(composed(atan2)),
  FloorDiv: {
    ...arithmetic(byType(floatFloorDiv, integerFloorDiv)),
    outputs: (inputs) => [{ ...broadcastOutput(inputs)[0], dtype: 'int32' }],
  },
  SquaredDifference: arithmetic(
    composed((g, a, b) => {
      const difference = point(g, 'Sub', [a, b]);
      return point(g, 'Mul', [difference, difference]);
    }),
  ),

  Prelu: {
    since: 13,
    inputs: ['x', 'alpha'],
    outputs: (inputs) => [{ ...broadcastOutput(inputs)[0], dtype: 'float32' }],
    lower: (g, [x, alpha]) => [prelu(g, cast(g, x, 'float32'), cast(g, alpha, 'float32'))],
  },

  /** dy · (y + 1) where y is negative, else dy. */
  EluGrad: {
    since: 13,
    inputs: ['dy', 'y'],
    refuses: refusesAllButFloat,
    outputs: same,
    lower: (g, [dy, y]) => [
      composed((_g, a, b) => {
        const slope = point(g, 'Add', [point(g, 'Min', [b, g.scalar(0)]), g.scalar(1)]);
        return point(g, 'Mul', [a, slope]);
      })(g, dy, y),
    ],
  },

  AddN: {
    since: 13,
    inputs: '*',
    refuses: (inputs) => {
      if (inputs[0].dtype === 'bool') return 'dtype bool';
      return inputs.every(({ dtype }) => dtype === inputs[0].dtype) ? undefined : 'mixed dtypes';
    },
    outputs: same,
    lower: (g, [first, ...rest]) => [rest.reduce((sum, value) => binary(g, 'Add', sum, value), first)],
  },
};
