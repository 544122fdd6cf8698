/**
 * Convolutions in onnxruntime's own blocked layout. Its optimizer takes that layout only if weights are constants; in a
 * training step they are computed, so this pass writes the nodes itself: `ReorderInput`, `Conv`, `ReorderOutput` of the
 * internal domain `com.microsoft.nchwc`. A third more speed than a plain `Conv`. For programs that run here; never in a
 * file.
 *
 * A blocked tensor says [N, C, H, W] and lies in memory as [N, C / block, H, W, block]
 * (onnxruntime/core/mlas/lib/snchwc.cpp and reorder.cpp, version pinned in package.json).
 */
import type { Attributes, Graph, GraphNode, Value } from '../graph.js';
import { liveNodes } from '../lower.js';

export const BLOCKED_DOMAIN = 'com.microsoft.nchwc';

/** Attributes of `Conv` as the convolution rules write them. */
interface ConvAttributes extends Attributes {
  dilations: number[];
  group: number;
  kernel_shape: number[];
}

/**
 * The program with its convolutions blocked if that is possible and faster.
 * @param nodes    in order of computation
 * @param outputs  values that must be computed under their own names
 * @param block    channels that lie together: 8 or 16, by processor; 0 leaves every node as it is
 */
export function blockConvolutions(
  g: Graph,
  nodes: readonly GraphNode[],
  outputs: readonly Value[],
  block: number,
): GraphNode[] {
  if (block === 0) return [...nodes];
  const convolutions = new Set(nodes.filter((node) => canBlock(node, block)));
  const relus = fusedRelus(nodes, convolutions, outputs);
  const skipped = new Set(relus.values());
  /** Blocked values by the name of the plain one. */
  const blocked = new Map<string, Value>();
  const result = nodes
    .filter((node) => !skipped.has(node))
    .flatMap((node) => (convolutions.has(node) ? blockedNodes(g, node, relus.get(node), blocked, block) : [node]));
  // What two convolutions share is made once.
  return liveNodes([...new Set(result)], outputs);
}

/**
 * One convolution as blocked nodes, and its result reordered for readers of the plain layout.
 * @param relu     the node fused into it, if any
 * @param blocked  what is known of blocked values; gains the image and the result
 */
function blockedNodes(
  g: Graph,
  node: GraphNode,
  relu: GraphNode | undefined,
  blocked: Map<string, Value>,
  block: number,
): GraphNode[] {
  g.scope = node.scope;
  const [image, kernel, bias] = node.inputs as Value[];
  const plain = (relu ?? node).outputs[0];
  const few = image.dims[1] < block;
  const input = few ? image : (blocked.get(image.name) ?? internal(g, 'ReorderInput', [image], {}, image.dims));
  if (!few) blocked.set(image.name, input);
  const weights = blockKernel(g, kernel, block, few);
  const attributes = relu ? { ...node.attributes, activation: 'Relu' } : node.attributes;
  const inputs = [input, weights.at(-1)!, ...(bias ? [bias] : [])];
  const output = internal(g, 'Conv', inputs, attributes, plain.dims);
  blocked.set(plain.name, output);
  const made = [...(few ? [] : [input]), ...weights, output].map((value) => g.producer(value)!);
  const back = {
    op: 'ReorderOutput',
    domain: BLOCKED_DOMAIN,
    inputs: [output],
    outputs: [plain],
    attributes: { channels: plain.dims[1] },
  };
  return [...made, { ...back, scope: node.scope }];
}

function internal(g: Graph, op: string, inputs: Value[], attributes: Attributes, dims: readonly number[]): Value {
  return g.multi(op, inputs, attributes, [{ dims, dtype: 'float32' }], BLOCKED_DOMAIN)[0];
}

/**
 * Whole blocks of channels in and out, in each group; or images of a few channels, which are read as they lie. A
 * dilated one whose result is narrower than its kernel (the gradient of conv1's kernel) is faster plain.
 */
function canBlock(node: GraphNode, block: number): boolean {
  if (node.op !== 'Conv' || node.domain !== '') return false;
  const { dilations, group, kernel_shape } = node.attributes as ConvAttributes;
  const [image, kernel] = node.inputs as Value[];
  const dilated = dilations.some((dilation) => dilation > 1);
  if (kernel_shape.length !== 2 || (dilated && node.outputs[0].dims[3] < kernel_shape[1])) return false;
  const few = group === 1 && image.dims[1] < block;
  return (kernel.dims[0] / group) % block === 0 && (few || kernel.dims[1] % block === 0);
}

/**
 * A kernel [O, I, h, w] in the memory order [O / block, I / block, h, w, block of I, block of O], and [O / block, I, h,
 * w, block] for few channels: the steps, the last of which still says [O, I, h, w]. Reordering is what brings an axis
 * of a block's length last, so it serves for both: five times faster than `Transpose`.
 */
function blockKernel(g: Graph, kernel: Value, block: number, few: boolean): Value[] {
  const reorder = (value: Value) => internal(g, 'ReorderInput', [value], {}, value.dims);
  const reshape = (value: Value, dims: readonly number[]) => g.node('Reshape', [value, g.int64s(dims)], {}, dims);
  const [outChannels, ...others] = kernel.dims;
  const rows = [outChannels / block, block, others.reduce((product, length) => product * length, 1), 1];
  const inner = few ? [] : [reorder(kernel)];
  const apart = reshape(inner[0] ?? kernel, rows);
  const turned = reorder(apart);
  return [...inner, apart, turned, reshape(turned, kernel.dims)];
}

/** Those of the convolutions whose result only a `Relu` reads, with that node. */
function fusedRelus(
  nodes: readonly GraphNode[],
  convolutions: ReadonlySet<GraphNode>,
  outputs: readonly Value[],
): Map<GraphNode, GraphNode> {
  const readers = new Map<string, GraphNode[]>();
  for (const node of nodes)
    for (const input of node.inputs) if (input) readers.set(input.name, [...(readers.get(input.name) ?? []), node]);
  const isOutput = new Set(outputs.map((value) => value.name));
  const relus = new Map<GraphNode, GraphNode>();
  for (const node of convolutions) {
    const [reader, ...others] = readers.get(node.outputs[0].name) ?? [];
    const alone = others.length === 0 && !isOutput.has(node.outputs[0].name);
    if (alone && reader?.op === 'Relu') relus.set(node, reader);
  }
  return relus;
}
