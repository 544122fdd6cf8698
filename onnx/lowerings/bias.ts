/**
 * A bias added to a convolution or matrix product becomes the operator's own third input: tfjs runs the two apart while
 * it records gradients, and the sum would otherwise take a pass over memory of its own.
 */
import type { Graph, GraphNode, Value } from '../graph.js';

/** Operators with a bias per output channel, ONNX's axis 1. */
function acceptsBias(node: GraphNode | undefined): node is GraphNode {
  return node !== undefined && (node.op === 'Conv' || node.op === 'Gemm') && node.inputs.length === 2;
}

/**
 * `a + b` where one is the result of a `Conv` or `Gemm` used nowhere else and the other a vector over its last axis.
 * @returns undefined if that is not so
 */
export function addBias(g: Graph, a: Value, b: Value): Value | undefined {
  const [product, bias] = b.shape.length === 1 ? [a, b] : [b, a];
  const last = product.shape.length - 1;
  const channels = product.shape[last];
  // Transposed, or convolved as NCHW, the last axis is not the operator's channels.
  if (product.layout[1] !== last) return undefined;
  if (bias.shape.length !== 1 || bias.shape[0] !== channels || product.uses !== 1) return undefined;
  const node = g.producer(product);
  if (!acceptsBias(node) || node.domain !== '') return undefined;
  return g.view(g.node(node.op, [...node.inputs, g.memory(bias)], node.attributes, product.dims), product.layout);
}
