/**
 * What element-wise rules share: nodes that pass any layout through, broadcasting as tfjs and ONNX both do, and tfjs's
 * type conversion.
 */
import { backend_util } from '../../base/tfjs/core.js';
import type { Attributes, ElementType, Graph, Value } from '../graph.js';
import type { DType, TensorSpec } from '../kernel-call.js';
import { isIdentity, type Layout, toMemory } from '../layout.js';

/** Output like the first input. */
export const same = ([x]: TensorSpec[]): TensorSpec[] => [{ shape: x.shape, dtype: x.dtype }];

const broadcast = (a: readonly number[], b: readonly number[]): number[] =>
  backend_util.assertAndGetBroadcastShape([...a], [...b]);

/** Output of two inputs, of the first one's type. Throws if the shapes do not fit. */
export const broadcastOutput = ([a, b]: TensorSpec[]): TensorSpec[] => [
  { shape: broadcast(a.shape, b.shape), dtype: a.dtype },
];

/**
 * An element-wise node on values that already lie alike (scalars fit all); of the first input's type unless said
 * otherwise.
 */
export function point(
  g: Graph,
  op: string,
  inputs: readonly Value[],
  dtype: ElementType = inputs[0].dtype,
  attributes: Attributes = {},
): Value {
  return g.node(op, inputs, attributes, inputs.map((input) => input.dims).reduce(broadcast), dtype);
}

/** `mask ? yes : no`, element by element, on values that already lie alike. onnxruntime has no such node on bool. */
export function where(g: Graph, mask: Value, yes: Value, no: Value): Value {
  return point(g, 'Where', [mask, yes, no], yes.dtype);
}

/** Where `x`, float32 in memory order, is no number. */
export function isNan(g: Graph, x: Value): Value {
  if (g.has('IsNaN')) return point(g, 'IsNaN', [x], 'bool');
  return point(g, 'Not', [point(g, 'Equal', [x, x], 'bool')]);
}

/** Where `x`, float32 in memory order, is infinite. */
export function isInf(g: Graph, x: Value): Value {
  if (g.has('IsInf')) return point(g, 'IsInf', [x], 'bool');
  return point(g, 'Equal', [point(g, 'Abs', [x]), g.scalar(Infinity)], 'bool');
}

/** An element-wise node on one value, layout kept. */
export function unary(g: Graph, op: string, x: Value, dtype = x.dtype, attributes: Attributes = {}): Value {
  return g.view(point(g, op, [g.memory(x)], dtype, attributes), x.layout);
}

/** Two values in one layout, that of the larger, ready to be broadcast: axes aligned at the end, length 1 stretched. */
export function aligned(g: Graph, a: Value, b: Value): { a: Value; b: Value; layout: Layout; dims: number[] } {
  const shape = broadcast(a.shape, b.shape);
  const size = (value: Value) => value.dims.reduce((product, length) => product * length, 1);
  const full = [a, b].filter((value) => value.shape.length === shape.length).sort((p, q) => size(q) - size(p));
  // Between operands of one size prefer the one that ONNX computed: kernels then stay in its layout from the first
  // update on.
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

/**
 * tfjs's type conversion. A float becomes an integer as in JavaScript: cut off, modulo 2³², NaN and infinities 0. A
 * bare `Cast` to int32 gives −2³¹ for all of those; to int64 it gives −2⁶³, which is 0 modulo 2³². (`Mod` also keeps
 * onnxruntime from joining the casts.)
 */
export function cast(g: Graph, x: Value, dtype: DType): Value {
  if (x.dtype === dtype) return x;
  if (x.dtype !== 'float32' || dtype !== 'int32' || g.target.finite) return unary(g, 'Cast', x, dtype, { to: dtype });
  const whole = point(g, 'Cast', [g.memory(x)], 'int64', { to: 'int64' });
  const low = point(g, 'Mod', [whole, g.scalar(2 ** 32, 'int64')]);
  return g.view(point(g, 'Cast', [low], 'int32', { to: 'int32' }), x.layout);
}
