/** A recorded program as a runnable graph, cached by its structure: kernels, attributes, shapes, types and layouts. */
import { usableCores } from '../../base/process/usable-cores.js';
import { byteLength, encodeModel } from '../file/proto.js';
import { Graph, type GraphNode, type Target } from '../graph.js';
import type { KernelCall, Operand, TensorSpec } from '../kernel-call.js';
import type { Layout } from '../layout.js';
import { distinctOutputs, liveNodes, lower } from '../lower.js';
import { NativeGraph } from './binding.js';
import { blockSize } from './block-size.js';
import { BLOCKED_DOMAIN, blockConvolutions } from './blocked-convolutions.js';
import { activeProvider } from './choose-provider.js';
import { KEEPS_TENSORS, LACKS } from './provider.js';

/** ScatterElements adds from operator set 16 on; reductions still take axes as attributes at 17. */
const TARGET = { opset: 17, lrn: 'conv', accurate: true } as const;

/** Sessions kept. Those of all but large programs hold an arena of memory each; a training run needs a handful. */
const MAX_SESSIONS = 32;

/** Of all sessions kept: programs of changing length must not pile up. A session takes some 5 kB a node. */
const MAX_NODES = 50_000;

/**
 * From this size on a program gives its memory back after each run. AlexNet's update alone computes 1.5 GB, its
 * gradients 1.0 GB at batch 8; with micro-batches these are programs of their own, and several forms of them are kept.
 * A step of cifar10-18pct at 128 computes 0.5 GB.
 */
const LARGE_PROGRAM_BYTES = 0.6e9;

/**
 * Below this, operands included, one thread runs a program: at most two multiplications of matrices of 100 by 100, over
 * before another thread is awake. Those that onnxruntime starts for every graph spin while they wait, which under load
 * costs much more than the program.
 */
const SMALL_PROGRAM_BYTES = 2 ** 18;

export interface CompiledProgram {
  readonly graph: NativeGraph;
  readonly names: readonly string[];
  /** Memory layout of each output. */
  readonly layouts: readonly Layout[];
  /** True if outputs lie on the device, all but those asked for in the host's memory. */
  readonly keepsOutputs: boolean;
  /** Which leaves the graph reads, by position. */
  readonly reads: readonly boolean[];
  readonly nodes: number;
  /** Calls it computes. */
  readonly kernels: number;
}

/** The program's text: equal for programs that one compiled graph can run. Leaves are numbered by first use. */
function programKey(calls: readonly KernelCall[], outputs: readonly Operand[]): { key: string; leaves: Operand[] } {
  const numbers = new Map<KernelCall, number>(calls.map((call, i) => [call, i]));
  const leafNumbers = new Map<Operand, number>();
  const leaves: Operand[] = [];
  const name = (operand: Operand | undefined): string => {
    if (!operand) return '-';
    if (operand.source) return `${numbers.get(operand.source.call)}.${operand.source.output}`;
    let number = leafNumbers.get(operand);
    if (number !== undefined) return `L${number}`;
    number = leaves.length;
    leafNumbers.set(operand, number);
    leaves.push(operand);
    return `L${number}:${operand.dtype}[${operand.shape}]${operand.layout}`;
  };
  const lines = calls.map(({ signature, inputs, loose }) => {
    const read = loose ? [...inputs, loose.numbers] : inputs;
    return `${loose?.signature ?? signature}(${read.map(name).join(' ')})`;
  });
  return { key: `${lines.join('\n')}\n→${outputs.map(name).join(' ')}`, leaves };
}

const sessions = new Map<string, CompiledProgram>();

/**
 * Compiles a program, or finds it. Least recently used graphs are released.
 * @param toHost  those of the outputs that are wanted in the host's memory, wherever the others lie
 * @param isNotWorthCompiling  asked for a program that is not compiled: true if it is not worth it; then there is none
 */
export function compiled(
  calls: readonly KernelCall[],
  outputs: readonly Operand[],
  toHost: ReadonlySet<Operand>,
  isNotWorthCompiling = () => false,
): { program?: CompiledProgram; leaves: readonly Operand[] } {
  const { key: text, leaves } = programKey(calls, outputs);
  const onDevice = outputs.map((output) => KEEPS_TENSORS[activeProvider()] && !toHost.has(output));
  const key = onDevice.includes(true) ? `${text}\n${onDevice.map(Number)}` : text;
  let program = sessions.get(key);
  if (!program && isNotWorthCompiling()) return { leaves };
  const isNew = program === undefined;
  sessions.delete(key);
  program ??= compile(calls, leaves, outputs, onDevice);
  sessions.set(key, program);
  if (isNew) giveUpOldest();
  return { program, leaves };
}

function giveUpOldest(): void {
  const nodes = () => [...sessions.values()].reduce((sum, program) => sum + program.nodes, 0);
  while (sessions.size > MAX_SESSIONS || (sessions.size > 2 && nodes() > MAX_NODES)) {
    const [oldest] = sessions.keys();
    sessions.get(oldest)!.graph.release();
    sessions.delete(oldest);
  }
}

function compile(
  calls: readonly KernelCall[],
  leaves: readonly Operand[],
  outputs: readonly Operand[],
  onDevice: readonly boolean[],
): CompiledProgram {
  compilations += 1;
  const computed = bytesOf(calls.flatMap((call) => call.outputs));
  const target: Target = { ...TARGET, block: blockSize(), lacks: LACKS[activeProvider()] };
  const g = new Graph(target);
  const inputs = new Map(leaves.map((leaf, i) => [leaf, g.input(`i${i}`, leaf.dtype, leaf.shape, leaf.layout)]));
  const results = lower(g, calls, outputs, (operand) => inputs.get(operand)!);
  const named = distinctOutputs(g, results);
  const nodes = blockConvolutions(g, liveNodes(g.nodes, named), named, blockSize());
  const read = new Set(nodes.flatMap((node) => node.inputs.map((value) => value?.name)));
  const reads = leaves.map((_, i) => read.has(`i${i}`));
  const model = encodeModel({
    graphName: 'program',
    opset: TARGET.opset,
    domains: [BLOCKED_DOMAIN],
    nodes,
    nodeName,
    initializers: g.initializers,
    inputs: g.inputs.filter((_, i) => reads[i]).map((value) => g.memory(value)),
    outputs: named,
  });
  return {
    graph: new NativeGraph(model, {
      provider: activeProvider(),
      threads: bytesOf(leaves) + computed < SMALL_PROGRAM_BYTES ? 1 : usableCores(),
      keepArena: computed < LARGE_PROGRAM_BYTES,
      deviceOutputs: named.filter((_, i) => onDevice[i]).map((value) => value.name),
    }),
    keepsOutputs: KEEPS_TENSORS[activeProvider()],
    names: named.map((value) => value.name),
    layouts: results.map((value) => value.layout),
    reads,
    nodes: nodes.length,
    kernels: calls.length,
  };
}

/** Labels show in onnxruntime's profiles. */
function nodeName({ scope, outputs }: GraphNode): string {
  return scope ? `${scope}|${outputs[0].name}` : outputs[0].name;
}

/** Memory that a program takes if none of its results is freed before its end: an upper bound. */
export function programBytes(calls: readonly KernelCall[], leaves: readonly Operand[]): number {
  return bytesOf(leaves) + bytesOf(calls.flatMap((call) => call.outputs));
}

/** Of tensors that all lie side by side. */
function bytesOf(tensors: readonly TensorSpec[]): number {
  return tensors.reduce((sum, { dtype, shape }) => sum + byteLength({ dtype, dims: shape }), 0);
}

let compilations = 0;

/** Number of graphs compiled since the process started; for tests. */
export const compilationCount = () => compilations;

/** Number of graphs compiled and kept; for tests and reports. */
export function sessionCount(): number {
  return sessions.size;
}
