/**
 * The layers of a graph: nodes that belong together, each with the value that they end with. In our own files a layer's
 * values are named after it (`conv1.conv`, `conv1`; onnx/names.ts); in others a layer is a node, with the activation
 * function that alone reads it.
 */
import type { OnnxGraph } from '../../../onnx/file/onnx-graph.js';

type NodeProto = import('onnx-proto').onnx.INodeProto;

export interface Layer {
  name: string;
  /** Name of the value it ends with. */
  value: string;
  /** What it does; undefined if several operators together make it. */
  main?: NodeProto;
  /** Operator of the function that follows. */
  activation?: string;
  /** In the order of the graph. */
  nodes: NodeProto[];
}

const ACTIVATIONS = new Set([
  'Relu',
  'LeakyRelu',
  'PRelu',
  'Elu',
  'Selu',
  'Sigmoid',
  'Tanh',
  'Clip',
  'HardSwish',
  'Gelu',
]);

/** Operators that may have their bias added by another. */
const PRODUCTS = new Set(['Conv', 'ConvTranspose', 'MatMul', 'Gemm']);

export function isActivation({ opType }: NodeProto): boolean {
  return ACTIVATIONS.has(opType ?? '');
}

/** Operators that move or retype numbers and make none. */
const PLUMBING = new Set([
  'Identity',
  'Cast',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'Dropout',
  'Shape',
]);
for (const op of ['Constant', 'QuantizeLinear', 'DequantizeLinear', 'Slice', 'Gather', 'Concat', 'Pad'])
  PLUMBING.add(op);

/**
 * In the order of the graph.
 * @param nodes  those of the network itself, without what cuts crops and averages them
 */
export function findLayers(graph: OnnxGraph, nodes: readonly NodeProto[], isOwn: boolean): Layer[] {
  return isOwn ? namedLayers(graph, nodes) : structuralLayers(graph, nodes);
}

function namedLayers(graph: OnnxGraph, nodes: readonly NodeProto[]): Layer[] {
  const groups = new Map<string, NodeProto[]>();
  for (const node of nodes) {
    if (node.output?.[0]?.includes('/')) continue; // codes and decoded weights of int8 files
    const name = layerName(node);
    groups.set(name, [...(groups.get(name) ?? []), node]);
  }
  return [...groups].flatMap(([name, group]): Layer[] => {
    const made = group.filter(({ opType }) => !PLUMBING.has(opType ?? ''));
    if (made.length === 0) return [];
    const last = made.at(-1)!;
    const value = group.at(-1)!.output?.[0] ?? '';
    const activation = made.length > 1 && isActivation(last) ? (last.opType ?? '') : undefined;
    const body = activation === undefined ? made : made.slice(0, -1);
    const product = body.find(({ opType }) => PRODUCTS.has(opType ?? ''));
    const telling = body.filter(({ opType }) => !product || opType !== 'Add'); // its bias
    return [{ name, value, main: telling.length === 1 ? telling[0] : undefined, activation, nodes: group }];
  });

  /** A layer that ends with an output of the file is recognised by its weights: `logits` is made with `fc8/kernel`. */
  function layerName({ input, output }: NodeProto): string {
    const [value = ''] = output ?? [];
    const isOutput = graph.model.graph?.output?.some(({ name }) => name === value);
    const weights = isOutput ? input?.find((name) => name.includes('/')) : undefined;
    return (weights ?? value).split(/[./]/)[0];
  }
}

function structuralLayers(graph: OnnxGraph, nodes: readonly NodeProto[]): Layer[] {
  const layers: Layer[] = [];
  const taken = new Set<NodeProto>();
  for (const node of nodes) {
    if (taken.has(node) || PLUMBING.has(node.opType ?? '')) continue;
    const group = [node];
    for (let next = follower(node); next; next = group.length > 2 ? undefined : follower(next)) {
      group.push(next);
      taken.add(next);
    }
    const last = group.at(-1)!;
    const activation = group.length > 1 && isActivation(last) ? (last.opType ?? '') : undefined;
    const value = last.output?.[0] ?? '';
    layers.push({ name: value, value, main: node, activation, nodes: group });
  }
  return layers;

  /** What alone reads a layer's result and belongs to it: a bias of its own, an activation function. */
  function follower(node: NodeProto): NodeProto | undefined {
    const [value] = node.output ?? [];
    const next = graph.onlyConsumer(value);
    if (!next || !nodes.includes(next)) return undefined;
    const isBias =
      PRODUCTS.has(node.opType ?? '') && next.opType === 'Add' && next.input?.some((name) => graph.constant(name));
    return isBias || (isActivation(next) && !isActivation(node)) ? next : undefined;
  }
}
