/**
 * Response normalisations of an ONNX graph: the operator LRN, and the same written with others, y = x / (bias +
 * alpha/size · Σ x²)^beta:
 *   PyTorch's LocalResponseNorm: Div(x, Pow(Add(Mul(AveragePool(x²), alpha), bias), beta)), with padding and reshapes around the pooling;
 *   "alexnet export --lrn conv": Div(x, Pow(s, beta)) with s = Conv(x²) by a band matrix, and √s · √√s for beta = ¾.
 */
import { readBy } from '../../onnx/file/cut-graph.js';
import { float, int, ints, type OnnxGraph } from '../../onnx/file/onnx-graph.js';
import { tidy } from './choose-lrn.js';
import type { SourceLrn } from './source.js';

type NodeProto = import('onnx-proto').onnx.INodeProto;

export interface FoundLrn {
  constants: SourceLrn;
  /** What it is made of, besides the node that gives its result. */
  parts: ReadonlySet<NodeProto>;
}

/** By the node that gives the result. */
export async function findLrns(graph: OnnxGraph): Promise<Map<NodeProto, FoundLrn>> {
  const found = new Map<NodeProto, FoundLrn>();
  for (const node of graph.nodes) {
    const lrn =
      node.opType === 'LRN' ? { constants: lrnOf(node), parts: new Set<NodeProto>() } : await composed(graph, node);
    if (lrn) found.set(node, lrn);
  }
  return found;
}

function lrnOf(node: NodeProto): SourceLrn {
  return {
    size: int(node, 'size', 0),
    alpha: float(node, 'alpha', 1e-4),
    beta: float(node, 'beta', 0.75),
    bias: float(node, 'bias', 1),
  };
}

async function composed(graph: OnnxGraph, { opType, input }: NodeProto): Promise<FoundLrn | undefined> {
  const [x, divisor] = input ?? [];
  if (opType !== 'Div' || graph.constant(divisor)) return undefined;
  const power = await powerOf(graph, divisor);
  const parts = power && nodesBetween(graph, x, divisor);
  if (!parts || !squares(parts, x)) return undefined;
  const sum = (await pooledSum(graph, power.base, parts)) ?? (await bandSum(graph, power.base));
  return sum && { constants: { ...sum, beta: power.beta }, parts };
}

/** What `value` is a power of. */
async function powerOf(graph: OnnxGraph, value: string): Promise<{ base: string; beta: number } | undefined> {
  const node = graph.producer(value);
  const [a, b] = node?.input ?? [];
  if (node?.opType === 'Pow') {
    const beta = await scalar(graph, b);
    return beta === undefined ? undefined : { base: a, beta };
  }
  const roots = [a, b].map((name) => graph.producer(name)).filter((root) => root?.opType === 'Sqrt');
  const isThreeQuarters = node?.opType === 'Mul' && roots.length === 2 && roots[1]?.input?.[0] === a;
  return isThreeQuarters ? { base: roots[0]?.input?.[0] ?? '', beta: 0.75 } : undefined;
}

type Sum = Omit<SourceLrn, 'beta'>;

/** bias + alpha · mean over a window of channels. */
async function pooledSum(graph: OnnxGraph, value: string, parts: ReadonlySet<NodeProto>): Promise<Sum | undefined> {
  const added = await withConstant(graph, value, 'Add');
  const scaled = added && (await withConstant(graph, added.rest, 'Mul'));
  const pools = [...parts].filter(({ opType }) => opType === 'AveragePool');
  const [size, ...others] = (pools.length === 1 && ints(pools[0], 'kernel_shape')) || [];
  if (!scaled || size === undefined || others.some((side) => side !== 1)) return undefined;
  return { size, alpha: scaled.constant, bias: added.constant };
}

/** A 1×1 convolution with one number around the diagonal and one bias. */
async function bandSum(graph: OnnxGraph, value: string): Promise<Sum | undefined> {
  const node = graph.producer(value);
  const [kernel, bias] = (node?.input ?? []).slice(1).map((name) => graph.constant(name));
  if (node?.opType !== 'Conv' || !kernel || !bias || kernel.dims[0] !== kernel.dims[1]) return undefined;
  const [numbers, [k]] = [await kernel.read(), await bias.read()];
  const channels = kernel.dims[0];
  const middle = Math.floor(channels / 2);
  const row = numbers.subarray(middle * channels, (middle + 1) * channels);
  const size = row.filter((number) => number !== 0).length;
  return { size, alpha: tidy(row[middle]) * size, bias: k };
}

/** A stored number and the value that `opType` joins it with. */
async function withConstant(graph: OnnxGraph, value: string, opType: string) {
  const node = graph.producer(value);
  if (node?.opType !== opType) return undefined;
  const [a, b] = node.input ?? [];
  for (const [rest, other] of [
    [a, b],
    [b, a],
  ]) {
    const constant = await scalar(graph, other);
    if (constant !== undefined) return { rest, constant };
  }
  return undefined;
}

async function scalar(graph: OnnxGraph, value: string | undefined): Promise<number | undefined> {
  const tensor = graph.constant(value);
  return tensor?.dims.every((length) => length === 1) ? (await tensor.read())[0] : undefined;
}

function squares(parts: ReadonlySet<NodeProto>, x: string): boolean {
  return [...parts].some(({ opType, input }) => {
    const [a, b] = input ?? [];
    return a === x && (opType === 'Pow' || (opType === 'Mul' && b === x));
  });
}

/** The nodes that compute `value` from `x`. */
function nodesBetween(graph: OnnxGraph, x: string, value: string): Set<NodeProto> {
  const nodes = new Set<NodeProto>();
  for (const open = [value]; open.length > 0; ) {
    const name = open.pop()!;
    const node = name === x ? undefined : graph.producer(name);
    if (!node || nodes.has(node)) continue;
    nodes.add(node);
    open.push(...readBy(node));
  }
  return nodes;
}
