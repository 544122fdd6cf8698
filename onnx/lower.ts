/** Drives the lowering table over a recorded program. */
import { UserError } from '../base/errors.js';
import type { Graph, GraphNode, Value } from './graph.js';
import type { KernelCall, Operand } from './kernel-call.js';
import { LOWERINGS } from './lowerings/index.js';
import { LOOSE } from './lowerings/loose.js';

/** The calls that the outputs depend on, in recorded order. Iterative: a program may be thousands of calls deep. */
export function neededCalls(calls: readonly KernelCall[], outputs: readonly Operand[]): KernelCall[] {
  const needed = new Set<KernelCall>();
  const mark = (operand: Operand | undefined) => operand?.source && needed.add(operand.source.call);
  outputs.forEach(mark);
  for (let i = calls.length - 1; i >= 0; i--) if (needed.has(calls[i])) calls[i].inputs.forEach(mark);
  return calls.filter((call) => needed.has(call));
}

/** How often each call's outputs are read, by later calls or from outside. */
function countUses(calls: readonly KernelCall[], outputs: readonly Operand[]): Map<KernelCall, number[]> {
  const uses = new Map(calls.map((call) => [call, new Array<number>(call.outputs.length).fill(0)]));
  const count = (operand: Operand | undefined) => {
    if (operand?.source) uses.get(operand.source.call)![operand.source.output] += 1;
  };
  for (const call of calls) call.inputs.forEach(count);
  outputs.forEach(count);
  return uses;
}

/**
 * Lowers `calls` into `g`.
 * @param calls    in an order in which every call follows those it reads
 * @param leaf     value of an operand that no call computes
 * @returns        one value an output
 * @throws {UserError} naming all kernels that have no rule
 */
export function lower(
  g: Graph,
  calls: readonly KernelCall[],
  outputs: readonly Operand[],
  leaf: (operand: Operand) => Value,
): Value[] {
  const missing = [...new Set(calls.filter((call) => !LOWERINGS.has(call.kernel)).map((call) => call.kernel))];
  if (missing.length > 0) throw new UserError(`no ONNX lowering for the tfjs kernels ${missing.join(', ')}`);
  const uses = countUses(calls, outputs);
  const results = new Map<KernelCall, Value[]>();
  const resultOf = (operand: Operand): Value =>
    operand.source ? results.get(operand.source.call)![operand.source.output] : leaf(operand);
  for (const call of calls) {
    g.scope = call.scope;
    const inputs = call.inputs.map((input) => (input ? resultOf(input) : undefined));
    const { loose } = call;
    const values = loose
      ? [LOOSE[call.kernel].lower(g, inputs as Value[], resultOf(loose.numbers), loose.attrs)]
      : LOWERINGS.get(call.kernel)!.lower(g, inputs as Value[], call.attrs);
    const count = uses.get(call)!;
    results.set(
      call,
      values.map((value, i) => ({ ...value, uses: count[i] })),
    );
  }
  return outputs.map(resultOf);
}

/** Operators that may be written with fewer outputs than they have; `TopK` and `Split` may not. */
const HAS_OPTIONAL_OUTPUTS = new Set(['MaxPool']);

/** The nodes that the outputs depend on; outputs that nothing reads are cut from a node's end where that is allowed. */
export function liveNodes(nodes: readonly GraphNode[], outputs: readonly Value[]): GraphNode[] {
  const live = new Set(outputs.map((value) => value.name));
  const kept: GraphNode[] = [];
  for (const node of nodes.toReversed()) {
    const last = node.outputs.map((value) => live.has(value.name)).lastIndexOf(true);
    if (last < 0) continue;
    const count = HAS_OPTIONAL_OUTPUTS.has(node.op) ? last + 1 : node.outputs.length;
    kept.push({ ...node, outputs: node.outputs.slice(0, count) });
    for (const input of node.inputs) if (input) live.add(input.name);
  }
  return kept.reverse();
}

/** Results as values that ONNX accepts as outputs: computed by a node, each named once. */
export function distinctOutputs(g: Graph, results: readonly Value[]): Value[] {
  const taken = new Set<string>();
  return results.map((result) => {
    const value = g.memory(result);
    const output = taken.has(value.name) || !g.producer(value) ? g.copy(value) : value;
    taken.add(output.name);
    return output;
  });
}
