/** Which tensors of a graph are kept in eight bits, and which of them share one scale. */

import type { ModelParts } from '../../onnx/file/proto.js';
import type { GraphNode, Value } from '../../onnx/graph.js';

/** Plan of a quantisation. */
export interface QuantizationPlan {
  /** Convolutions and matrix products computed with integers. */
  products: ReadonlySet<GraphNode>;
  /** Every tensor in eight bits → the tensor whose scale it has: itself, or what it was moved from. */
  tensors: ReadonlyMap<string, string>;
}

/** Move numbers without changing them, or pick among them: their result has their input's scale. */
const MOVERS = new Set(['MaxPool', 'Reshape', 'Flatten', 'Transpose', 'Squeeze', 'Unsqueeze', 'Slice']);
/** With a kernel for integers: not for many matrices in one, as those of layers that share no weights between places. */
const hasKernel = (op: string, { dims }: Value) =>
  op === 'Conv' || ((op === 'Gemm' || op === 'MatMul') && dims.length === 2);
/** Joined to the operator before them: what they cut off needs no code. */
const ACTIVATIONS = new Set(['Relu', 'Clip']);

/**
 * Products with stored weights take their input in eight bits; their result is in eight bits too, except where no
 * further product follows: the last layer's sums, which rank the classes, stay float32.
 * @param keep  layers that stay in float32, by the name of their result
 */
export function planQuantization(
  { nodes, initializers, outputs }: ModelParts,
  keep: ReadonlySet<string>,
): QuantizationPlan {
  const readers = new Map<string, GraphNode[]>();
  for (const node of nodes) {
    for (const value of node.inputs) if (value) readers.set(value.name, [...(readers.get(value.name) ?? []), node]);
  }
  const isOutput = new Set(outputs.map(({ name }) => name));
  const hasWeights = ({ op, inputs: [, weights] }: GraphNode) =>
    weights !== undefined && initializers.get(weights.name)?.weight !== undefined && hasKernel(op, weights);
  const products = new Set(nodes.filter((node) => hasWeights(node) && !keep.has(node.scope)));
  const leadsToProduct = followedBy(nodes, products);
  const tensors = new Map<string, string>();
  const add = (name: string) => !isOutput.has(name) && !initializers.has(name) && tensors.set(name, name);
  for (const node of products) {
    add(node.inputs[0]!.name);
    const [after, ...others] = readers.get(node.outputs[0].name) ?? [];
    const result = after && others.length === 0 && ACTIVATIONS.has(after.op) ? after.outputs[0] : node.outputs[0];
    if (leadsToProduct.has(result.name)) add(result.name);
  }
  for (const node of [...nodes].reverse()) {
    if (node.op === 'MaxPool' && tensors.has(node.outputs[0].name)) add(node.inputs[0]!.name);
  }
  for (const node of nodes) {
    const shared = MOVERS.has(node.op) ? tensors.get(node.inputs[0]?.name ?? '') : undefined;
    const [{ name }] = node.outputs;
    if (shared !== undefined && !isOutput.has(name) && leadsToProduct.has(name)) tensors.set(name, shared);
  }
  return { products, tensors };
}

/** Values that a product depends on. */
function followedBy(nodes: readonly GraphNode[], products: ReadonlySet<GraphNode>): Set<string> {
  const leads = new Set<string>();
  for (const node of [...nodes].reverse()) {
    if (!products.has(node) && !node.outputs.some((value) => leads.has(value.name))) continue;
    for (const value of node.inputs) if (value) leads.add(value.name);
  }
  return leads;
}
