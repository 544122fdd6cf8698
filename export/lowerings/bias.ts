/**
 * A bias added to a convolution or matrix product becomes the operator's own third input: tfjs runs the two apart while it records
 * gradients, and the sum would otherwise take a pass over memory of its own.
 */
import type { Graph, GraphNode, Value } from '../graph.js';

/** Operators with a bias per output channel, and the axis of the tensor that it runs along. */
function acceptsBias(node: GraphNode | undefined): node is GraphNode {
  return node !== undefined && (node.op === 'Conv' || node.op === 'Gemm') && node.inputs.length === 2;
}

/**
 * `a + b` where one is the result of a `Conv` or `Gemm` used nowhere else and the other a vector over its last axis.
 * @returns undefined where that is not so
 */
export function addBias(g: Graph, a: Value, b: Value): Value | undefined {
  const [product, bias] = b.shape.length === 1 ? [a, b] : [b, a];
  const channels = product.shape[product.shape.length - 1];
  if (bias.shape.length !== 1 || bias.shape[0] !== channels || product.uses !== 1) return undefined;
  const node = g.producer(product);
  if (!acceptsBias(node) || node.domain !== '') return undefined;
  return g.view(g.node(node.op, [...node.inputs, g.memory(bias)], node.attributes, product.dims), product.layout);
}
