/**
 * A part of an ONNX graph as a model of its own, that gives values which the file keeps to itself. Nothing of what it
 * computes is changed.
 */
import { onnx } from './onnx-proto.js';

type ModelProto = onnx.IModelProto;
type NodeProto = onnx.INodeProto;
type ValueInfo = onnx.IValueInfoProto;

/**
 * The nodes that lead from `inputs` to `outputs`.
 * @param inputs   values that are fed, in place of what computes them
 * @param outputs  names of values, whatever their types: onnxruntime infers them
 */
export function cutGraph(
  model: ModelProto,
  { inputs, outputs }: { inputs: readonly ValueInfo[]; outputs: readonly string[] },
): ModelProto {
  const graph = model.graph ?? {};
  const given = new Set(inputs.map(({ name }) => name ?? ''));
  const producers = new Map((graph.node ?? []).flatMap((node) => (node.output ?? []).map((name) => [name, node])));
  const needed = new Set<NodeProto>();
  const read = new Set<string>();
  for (const open = [...outputs]; open.length > 0; ) {
    const name = open.pop()!;
    if (name === '' || read.has(name)) continue;
    read.add(name);
    const node = given.has(name) ? undefined : producers.get(name);
    if (!node || needed.has(node)) continue;
    needed.add(node);
    open.push(...readBy(node));
  }
  return {
    ...model,
    graph: {
      ...graph,
      node: (graph.node ?? []).filter((node) => needed.has(node)),
      initializer: (graph.initializer ?? []).filter(({ name }) => read.has(name ?? '')),
      input: inputs.filter(({ name }) => read.has(name ?? '')),
      output: outputs.map((name) => ({ name })),
      valueInfo: (graph.valueInfo ?? []).filter(({ name }) => !given.has(name ?? '') && !outputs.includes(name ?? '')),
    },
  };
}

/** Values that a node reads, those of its subgraphs included. */
export function readBy({ input, attribute }: NodeProto): string[] {
  const subgraphs = (attribute ?? []).flatMap(({ g, graphs }) => [...(g ? [g] : []), ...(graphs ?? [])]);
  const inner = subgraphs.flatMap(({ node }) => (node ?? []).flatMap(readBy));
  return [...(input ?? []), ...inner];
}

/**
 * @param elemType  as in onnx.proto
 * @param shape     −1 is a length that is free
 */
export function valueInfo(name: string, elemType: number, shape: readonly number[]): ValueInfo {
  const dim = shape.map((length, axis) => (length === -1 ? { dimParam: `axis${axis}` } : { dimValue: length }));
  return onnx.ValueInfoProto.create({ name, type: { tensorType: { elemType, shape: { dim } } } });
}
