/** Activations that tfjs fuses into convolutions and matrix products. */
import type { Graph, Value } from '../graph.js';
import type { Attrs } from '../kernel-call.js';
import { prelu } from './binary.js';
import { point, unary } from './elementwise.js';
import { elu, sigmoid } from './exponential.js';

const ACTIVATIONS: Record<string, (g: Graph, x: Value, attrs: Attrs, slope: Value | undefined) => Value> = {
  linear: (_g, x) => x,
  relu: (g, x) => unary(g, 'Relu', x),
  relu6: (g, x) => g.view(point(g, 'Clip', [g.memory(x), g.scalar(0), g.scalar(6)]), x.layout),
  elu,
  sigmoid,
  leakyrelu: (g, x, { leakyreluAlpha }) => unary(g, 'LeakyRelu', x, x.dtype, { alpha: { float: leakyreluAlpha } }),
  prelu: (g, x, _attrs, slope) => prelu(g, x, slope!),
};

/** Activations that tfjs's cpu backend does not know either: it says so at the call. */
export function refusesActivation({ activation }: Attrs): string | undefined {
  return !activation || ACTIVATIONS[activation] ? undefined : `activation ${activation}`;
}

/** @param slope  prelu's, of any shape that fits x */
export function activate(g: Graph, x: Value, attrs: Attrs, slope?: Value): Value {
  return attrs.activation ? ACTIVATIONS[attrs.activation](g, x, attrs, slope) : x;
}
