/**
 * Functions of e^x. onnxruntime's own `Sigmoid` is 0 from −18 down (e^x is 1.5e-8 there), so that its logarithm is −∞ and
 * a gradient NaN; its `Elu` and `Selu` subtract 1 from e^x, which leaves few digits near 0. Graphs that train get other
 * forms, files the operator.
 */
import type { Graph, Value } from '../graph.js';
import { point, unary, where } from './elementwise.js';

/** e^x − 1 = (e^x + 1) · tanh(x/2), accurate near 0. */
export function expm1(g: Graph, x: Value): Value {
  const half = point(g, 'Tanh', [point(g, 'Mul', [x, g.scalar(0.5)])]);
  return point(g, 'Mul', [point(g, 'Add', [point(g, 'Exp', [x]), g.scalar(1)]), half]);
}

/** From here on the logistic function is 1 in float32. */
const SATURATED = 40;

/** e^x / (1 + e^x), x cut off before e^x overflows. */
export function sigmoid(g: Graph, x: Value): Value {
  if (!g.target.accurate) return unary(g, 'Sigmoid', x);
  const power = point(g, 'Exp', [point(g, 'Min', [g.memory(x), g.scalar(SATURATED)])]);
  return g.view(point(g, 'Div', [power, point(g, 'Add', [power, g.scalar(1)])]), x.layout);
}

/** x where it is positive, else scale · (e^x − 1). */
function exponentialUnit(g: Graph, x: Value, scale: number): Value {
  const memory = g.memory(x);
  const below = expm1(g, memory);
  const scaled = scale === 1 ? below : point(g, 'Mul', [below, g.scalar(scale)]);
  return g.view(where(g, point(g, 'Greater', [memory, g.scalar(0)], 'bool'), memory, scaled), x.layout);
}

export function elu(g: Graph, x: Value): Value {
  return g.target.accurate ? exponentialUnit(g, x, 1) : unary(g, 'Elu', x);
}

/** tfjs's constants, which are ONNX's too. */
const SELU = { scale: 1.0507009873554805, alpha: 1.6732632423543772 };

export function selu(g: Graph, x: Value): Value {
  if (!g.target.accurate) return unary(g, 'Selu', x);
  const { scale, alpha } = SELU;
  return g.view(point(g, 'Mul', [g.memory(exponentialUnit(g, x, alpha)), g.scalar(scale)]), x.layout);
}
