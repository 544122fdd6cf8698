/** Activations that tfjs fuses into FusedConv2D and _FusedMatMul. */
import type { Graph, Value } from '../graph.js';
import type { Attrs } from '../kernel-call.js';
import { unary } from './elementwise.js';

const OPERATORS: Record<string, string> = { relu: 'Relu', sigmoid: 'Sigmoid', elu: 'Elu' };

/** Activations that need more than one operator are left to the cpu backend. */
export function refusesActivation({ activation }: Attrs): string | undefined {
  return !activation || activation === 'linear' || OPERATORS[activation] ? undefined : `activation ${activation}`;
}

export function activate(g: Graph, x: Value, { activation }: Attrs): Value {
  return activation && activation !== 'linear' ? unary(g, OPERATORS[activation], x) : x;
}
