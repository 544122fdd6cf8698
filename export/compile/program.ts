/**
 * From a tensor program to the parts of a model file: traced for several lengths of its free axes, lowered, the axes
 * freed, constants folded, values named.
 */

import { allFinite } from '../../base/all-finite.js';
import { UserError } from '../../base/errors.js';
import type { ModelParts, ValueInfo } from '../../onnx/file/proto.js';
import { Graph, type GraphNode, type LengthSource, type Target, type Value } from '../../onnx/graph.js';
import type { KernelCall, Operand } from '../../onnx/kernel-call.js';
import { distinctOutputs, liveNodes, lower } from '../../onnx/lower.js';
import { LOWERINGS } from '../../onnx/lowerings/index.js';
import type { DynamicLengths } from './dynamic-lengths.js';
import { foldConstants } from './fold-constants.js';
import { BATCH, type FreeAxis, type FreeProgram, fixedAxes, freeAxes, type LoweredProgram } from './free-axes.js';
import { nameGraph } from './names.js';
import { checkRepeats } from './repeats.js';
import type { Trace } from './trace.js';

/** Operator sets that can be written. */
export const OPSETS = { lowest: 13, highest: 22, default: 13 } as const;

/**
 * The number of rows as a free axis. Not traced with 1: an axis of length 1 moves without a `Transpose`. Primes that few
 * layers have as a length, so that nothing is equal by accident in one of the graphs.
 */
export const FREE_BATCH: ProgramAxis = {
  name: BATCH,
  what: 'the number of rows',
  advice: 'export it for a fixed number with batch (--batch)',
  traced: [53, 59, 1009],
  input: 0,
  axis: 0,
};

/** A free axis of a program's inputs. */
export interface ProgramAxis extends FreeAxis {
  /** The first input that has it, and where. */
  input: number;
  axis: number;
}

/** Lowers the traced calls on these inputs. */
export type Network = (inputs: Value[]) => Value[];

/** What is to be written. */
export interface Program {
  /** Records the calls for a length of each of `axes`, and for lengths that data decide. */
  trace(lengths: readonly number[], dynamic: DynamicLengths): Promise<Trace>;
  /** Names of stored tensors, e.g. `conv1/kernel`; asked after the first trace. */
  weightNames(): ReadonlyMap<Operand, string>;
  /** Makes the graph's inputs, lowers the network on them, makes the outputs. */
  build(g: Graph, lengths: readonly number[], network: Network): { inputs: Value[]; outputs: Value[] };
  /** Default: `output`, `output1`, … */
  outputNames?: readonly string[];
  target: Target;
  /** What is free. */
  axes: readonly ProgramAxis[];
}

/** What all files share; name, doc and metadata are the caller's. */
export type ProgramParts = Pick<
  ModelParts,
  'opset' | 'nodes' | 'nodeDoc' | 'initializers' | 'inputs' | 'outputs' | 'valueInfo'
>;

/**
 * @throws {UserError} naming all kernels that have no lowering rule, or none at this operator set; also if the graph
 *   depends on data or on the length of a free axis, or draws random numbers; for an operator set out of range
 */
export async function compileProgram(program: Program): Promise<ProgramParts> {
  const { opset } = program.target;
  if (!Number.isInteger(opset) || opset < OPSETS.lowest || opset > OPSETS.highest) {
    throw new UserError(`opset: expected ${OPSETS.lowest} to ${OPSETS.highest}, got ${opset}`);
  }
  const { free, g } = await freed(program);
  const { initializers } = g;
  const outputNames = namesOfOutputs(free, program.outputNames);
  const nodes = await foldConstants({ ...free, initializers }, opset);
  const named = nameGraph(nodes, initializers, free.inputs, free.outputs, outputNames);
  const shapes = new Map([...free.dims].map(([name, dims]) => [named.names.get(name), dims]));
  const info = ({ name, dtype }: Value): ValueInfo => ({ name, dtype, dims: shapes.get(name)! });
  const isOutput = new Set(named.outputs.map((value) => value.name));
  const between = named.nodes.flatMap((node) => node.outputs).filter((value) => !isOutput.has(value.name));
  return {
    opset,
    nodes: named.nodes,
    nodeDoc: (node) => shapesOf(node, shapes),
    initializers: named.initializers,
    inputs: named.inputs.map(info),
    outputs: named.outputs.map(info),
    valueInfo: between.map(info),
  };
}

/** Which of the traced lengths an axis takes: those of inputs first, then those that data decide. */
type Point = (which: number) => 0 | 1 | 2;

/** Lowers the program for as many lengths as its free axes need. */
async function freed(program: Program): Promise<{ free: FreeProgram; g: Graph }> {
  const { axes } = program;
  const selectable: FreeAxis[] = [];
  const traceAt = async (point: Point) => {
    const lengths = axes.map(({ traced }, which) => traced[point(which)]);
    const dynamic: DynamicLengths = { point: (index) => point(axes.length + index), axes: selectable };
    return { traced: await program.trace(lengths, dynamic), lengths };
  };
  const lowerAt = async (point: Point) => {
    const { traced, lengths } = await traceAt(point);
    return lowered(program, traced, lengths);
  };
  const first = await traceAt(() => 0);
  checkRepeats(first.traced, (await traceAt(() => 0)).traced);
  const base = lowered(program, first.traced, first.lengths);
  // Of what the data select, that which the outputs need is in the graph.
  const selections = [...base.g.selected.keys()].sort((a, b) => a - b);
  const sources: LengthSource[] = [
    ...axes.map(({ input, axis }) => ({ value: base.inputs[input], axis })),
    ...selections.map((index) => base.g.selected.get(index)!),
  ];
  if (sources.length === 0) return { free: fixedAxes(base), g: base.g };
  const all = [...axes, ...selections.map((index) => selectable[index])];
  const changed: LoweredProgram[] = [];
  for (const [i, axis] of all.entries()) {
    const free = i < axes.length ? i : axes.length + selections[i - axes.length];
    const other = await lowerAt((which) => (which === free ? 1 : 0));
    // A length that changes how much there is to compute, such as a loop's, is refused at once.
    if (other.nodes.length !== base.nodes.length) refuseAxis(axis, sources[i], base, other);
    changed.push(other);
  }
  const proof = await lowerAt(() => 2);
  return { free: freeAxes(all, sources, { base, changed, proof }), g: base.g };
}

/** @throws {UserError} naming where two programs of different sizes begin to differ */
function refuseAxis(axis: FreeAxis, source: LengthSource, base: LoweredProgram, other: LoweredProgram): void {
  const [from, to] = axis.traced;
  freeAxes([{ ...axis, traced: [from, to, to] }], [source], { base, changed: [other], proof: other });
}

/** An output that is an input as well, under the same name, is the input's copy under another. */
function namesOfOutputs({ inputs, outputs }: FreeProgram, names: readonly string[] | undefined): readonly string[] {
  const count = outputs.length;
  const given = names ?? Array.from({ length: count }, (_, i) => (i === 0 ? 'output' : `output${i}`));
  if (given.length !== count || new Set(given).size !== count)
    throw new UserError(`outputs: expected ${count} different names, got ${given.join(', ')}`);
  const taken = new Set(inputs.map(({ name }) => name));
  return given.map((name) => {
    let free = name;
    for (let n = 1; taken.has(free) || (n > 1 && given.includes(free)); n++) free = `${name}_output${n === 1 ? '' : n}`;
    taken.add(free);
    return free;
  });
}

/** `[N, 3, 227, 227] → [N, 96, 55, 55]`, for readers of the graph. */
function shapesOf(node: GraphNode, shapes: ReadonlyMap<string | undefined, readonly (number | string)[]>): string {
  const text = (values: readonly (Value | undefined)[]) =>
    values.flatMap((value) => (value && shapes.has(value.name) ? [`[${shapes.get(value.name)!.join(', ')}]`] : []));
  return `${text(node.inputs).join(', ')} → ${text(node.outputs).join(', ')}`;
}

function lowered(program: Program, traced: Trace, lengths: readonly number[]): LoweredProgram {
  checkOpset(traced.calls, program.target.opset);
  const names = program.weightNames();
  const g = new Graph(program.target);
  const { inputs, outputs } = program.build(g, lengths, (values) => {
    const leaves = new Map(traced.inputs.map((operand, i) => [operand, values[i]]));
    return lower(g, traced.calls, traced.outputs, (operand) => {
      const value = leaves.get(operand) ?? stored(g, operand, names.get(operand));
      leaves.set(operand, value);
      return value;
    });
  });
  const computed = distinctOutputs(g, outputs);
  return { g, nodes: liveNodes(g.nodes, computed), inputs: inputs.map((value) => g.memory(value)), outputs: computed };
}

/** A tensor that the program uses and does not compute: a named weight, or a constant that the program made. */
function stored(g: Graph, { dtype, shape, data, layout }: Operand, weight: string | undefined): Value {
  if (weight !== undefined && !allFinite(data!))
    throw new UserError(`weight ${weight} holds NaN or infinity: the model is broken, and was not exported`);
  const name = weight ?? 'constant';
  let unique = name;
  for (let n = 2; g.initializers.has(unique); n++) unique = `${name}.${n}`;
  return g.initializer(unique, { dtype, shape, data: data!, layout, weight: data });
}

function checkOpset(calls: readonly KernelCall[], opset: number): void {
  const late = calls.filter(({ kernel }) => (LOWERINGS.get(kernel)?.since ?? 0) > opset);
  if (late.length === 0) return;
  const needs = new Set(
    late.map(({ kernel, scope }) => {
      const { since } = LOWERINGS.get(kernel)!;
      return `${kernel}${scope && ` in ${scope}`} needs ${since}`;
    }),
  );
  throw new UserError(
    `opset ${opset} is too old for this program: ${[...needs].join('; ')}; export with a later opset (--opset)`,
  );
}
