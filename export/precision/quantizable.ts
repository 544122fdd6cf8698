/** Which tensors of a graph are kept in eight bits, and which of them share one scale. */

import type { ModelParts } from '../../onnx/file/proto.js';
import type { GraphNode, Value } from '../../onnx/graph.js';

/** Plan of a quantisation. */
export interface QuantizationPlan {
  /** Convolutions and matrix products computed with integers. */
  products: ReadonlySet<GraphNode>;
  /** Every tensor in eight bits → the tensor whose scale it has: itself, or what it was moved from. */
  tensors: ReadonlyMap<string, string>;
  /** Nodes that move codes. */
  movers: ReadonlySet<GraphNode>;
}

/** Move numbers without changing them: codes as well as what they stand for. */
const MOVERS = new Set(['Reshape', 'Flatten', 'Transpose', 'Squeeze', 'Unsqueeze', 'Slice', 'Concat']);
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
  const origins = originsOf(nodes);
  const source = (node: GraphNode) => commonSource(node, origins);
  for (const node of [...nodes].reverse()) {
    if (!tensors.has(node.outputs[0].name)) continue;
    if (node.op === 'MaxPool') add(node.inputs[0]!.name);
    else if (source(node) !== undefined) for (const { name } of movedBy(node)) add(name);
  }
  const movers = new Set<GraphNode>();
  for (const node of nodes) {
    const [{ name }] = node.outputs;
    const isMover = source(node) !== undefined && movedBy(node).every((value) => tensors.has(value.name));
    const shared = isMover || node.op === 'MaxPool' ? tensors.get(node.inputs[0]?.name ?? '') : undefined;
    if (shared === undefined || isOutput.has(name) || !leadsToProduct.has(name)) continue;
    tensors.set(name, shared);
    if (isMover) movers.add(node);
  }
  return { products, tensors, movers };
}

/** What a mover moves; its other inputs say how. */
export function movedBy({ op, inputs }: GraphNode): Value[] {
  return inputs.slice(0, op === 'Concat' ? undefined : 1) as Value[];
}

/** The value whose numbers a node moves, if it is one for all of them: only then they have one scale. */
function commonSource(node: GraphNode, origins: ReadonlyMap<string, string>): string | undefined {
  if (!MOVERS.has(node.op)) return undefined;
  const [first, ...others] = movedBy(node).map(({ name }) => origins.get(name) ?? name);
  return others.every((other) => other === first) ? first : undefined;
}

/** The result of every mover → the value that its numbers come from. */
function originsOf(nodes: readonly GraphNode[]): Map<string, string> {
  const origins = new Map<string, string>();
  for (const node of nodes) {
    const source = commonSource(node, origins);
    if (source !== undefined) origins.set(node.outputs[0].name, source);
  }
  return origins;
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
