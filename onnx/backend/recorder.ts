/**
 * Records kernel calls: pending ones are computed all at once when a value is read, or handed to a tracer, which writes
 * a file of them.
 */
import { UserError } from '../../base/errors.js';
import { withMemory } from '../../base/out-of-memory.js';
import { type Attrs, type KernelCall, type Operand, type TensorSpec, textOf } from '../kernel-call.js';
import { isIdentity, type Layout, type TensorData } from '../layout.js';
import { neededCalls } from '../lower.js';
import type { Tensor } from '../onnxruntime.js';
import { BufferPool } from './buffer-pool.js';
import { type CompiledProgram, compiled, programBytes } from './compile.js';
import { TensorRecord } from './record.js';

/** A loop that never reads a value would grow the program without bound; a step of AlexNet is about 300 calls. */
const MAX_PENDING = 4096;

/** Why a program cannot be traced. */
export const DEPENDS_ON_DATA =
  'a value was read while the program was being traced, so its graph depends on data; compute with tensors throughout';

interface PendingCall extends KernelCall {
  inputs: readonly (TensorRecord | undefined)[];
  results: TensorRecord[];
}

/** What is kept while a program is traced. */
export interface Tracing {
  /** Layer whose kernels are being recorded. */
  scope: string;
  /** Kernels without a rule, by name and reason, with the scopes that called them. */
  readonly missing: Map<string, Set<string>>;
}

export class Recorder {
  private pending: PendingCall[] = [];
  private readonly pool = new BufferPool();
  /** Session runs since the process started. */
  runs = 0;
  /** Kernel calls run in ONNX. */
  kernels = 0;
  /** Goes with every call recorded from now on, into the names of its nodes: for profiles. */
  label = '';
  private current?: Tracing;

  /**
   * One function for all records. Made in `record`, it would hold that call's scope, and through it every earlier
   * step's tensors.
   */
  readonly compute = (record: TensorRecord) => (this.tracing ? this.computeConstant(record) : this.flush(record));

  /** Records a call. The results are pending. */
  record(
    kernel: string,
    inputs: readonly (TensorRecord | undefined)[],
    attrs: Attrs,
    outputs: readonly TensorSpec[],
  ): TensorRecord[] {
    if (this.pending.length >= MAX_PENDING && !this.tracing) this.flush();
    const results = outputs.map((output) => new TensorRecord(output.shape, output.dtype, this.compute));
    const signature = `${kernel}${textOf(attrs)}`;
    const call: PendingCall = {
      kernel,
      inputs,
      attrs,
      outputs,
      signature,
      scope: this.tracing?.scope ?? this.label,
      results,
    };
    results.forEach((record, output) => {
      record.source = { call, output };
    });
    for (const input of inputs) if (input) input.readers += 1;
    this.pending.push(call);
    return results;
  }

  /** Set while a program is traced: only what does not depend on its inputs may be computed. */
  get tracing(): Tracing | undefined {
    return this.current;
  }

  /**
   * Calls `body` with recording for a tracer: nothing is computed that depends on an input, and what it recorded is
   * forgotten at its end.
   */
  async trace<T>(body: (tracing: Tracing) => Promise<T>): Promise<T> {
    this.flush();
    this.current = { scope: '', missing: new Map() };
    try {
      return await body(this.current);
    } finally {
      this.discard();
      this.current = undefined;
    }
  }

  /** While traced, calls that `body` records carry the name of a layer. */
  inScope<T>(name: string, body: () => T): T {
    const outer = this.current?.scope ?? '';
    this.enterScope(name);
    try {
      return body();
    } finally {
      this.enterScope(outer);
    }
  }

  /** While traced, calls recorded from now on carry this name. */
  enterScope(name: string): void {
    if (this.current) this.current.scope = name;
  }

  /** The calls that `outputs` depend on, for a tracer. */
  callsFor(outputs: readonly Operand[]): KernelCall[] {
    return neededCalls(this.pending, outputs);
  }

  /** Forgets what is pending. */
  private discard(): void {
    this.discardReaders(this.pending);
    this.pending = [];
  }

  private discardReaders(calls: readonly PendingCall[]): void {
    for (const call of calls) for (const input of call.inputs) if (input) this.release(input, -1);
  }

  /** True if the values depend on an input of the program that is being traced. */
  dependsOnInput(record: TensorRecord): boolean {
    if (!record.source) return record.failed;
    const leaves = neededCalls(this.pending, [record]).flatMap((call) => call.inputs as readonly TensorRecord[]);
    return leaves.some((leaf) => leaf && !leaf.source && leaf.failed);
  }

  /** Computes one tensor of a program that is being traced; the program keeps its calls. */
  private computeConstant(record: TensorRecord): void {
    if (this.dependsOnInput(record)) throw new UserError(`${this.tracing!.scope}: ${DEPENDS_ON_DATA}`);
    this.run(neededCalls(this.pending, [record]), [record], new Set([record]));
  }

  /** Computes every pending tensor that is still alive, in one run. @param read  the one that is read next */
  flush(read?: TensorRecord): void {
    const calls = this.pending;
    this.pending = [];
    this.settle(
      calls,
      calls.flatMap((call) => call.results.filter((record) => record.refCount > 0)),
      new Set(read && [read]),
    );
  }

  /**
   * Computes these tensors in one run, with what they depend on; all else stays pending.
   * @param memory  where one is to lie, if it comes in tfjs's order
   */
  computeOnly(memory: ReadonlyMap<TensorRecord, TensorData>): void {
    const calls = neededCalls(this.pending, [...memory.keys()]) as PendingCall[];
    const needed = new Set(calls);
    this.pending = this.pending.filter((call) => !needed.has(call));
    const read = new Set(this.pending.flatMap((call) => call.inputs));
    const isKept = (record: TensorRecord) => record.refCount > 0 || read.has(record);
    this.settle(
      calls,
      calls.flatMap((call) => call.results.filter(isKept)),
      new Set(memory.keys()),
      memory,
    );
  }

  /** Runs the calls that are still pending. */
  private settle(
    calls: readonly PendingCall[],
    kept: readonly TensorRecord[],
    toHost: ReadonlySet<TensorRecord>,
    memory?: ReadonlyMap<TensorRecord, TensorData>,
  ): void {
    try {
      if (kept.length > 0) this.run(neededCalls(calls, kept), kept, toHost, memory);
    } catch (cause) {
      // Whoever reads one of these tensors learns why it has no value; the rest of the program continues.
      for (const record of kept) record.fail(cause as Error);
    }
    this.discardReaders(calls);
  }

  private run(
    calls: readonly KernelCall[],
    alive: readonly TensorRecord[],
    toHost: ReadonlySet<TensorRecord>,
    memory?: ReadonlyMap<TensorRecord, TensorData>,
  ): void {
    let leaves: readonly Operand[] = [];
    try {
      const found = compiled(calls, alive, toHost);
      leaves = found.leaves;
      this.runOn(found.program, leaves as TensorRecord[], alive, memory);
    } catch (error) {
      throw withMemory(error, programBytes(calls, leaves));
    }
    this.runs += 1;
    this.kernels += calls.length;
    this.pool.age();
  }

  private runOn(
    { graph, names, layouts, reads, keepsOutputs }: CompiledProgram,
    leaves: readonly TensorRecord[],
    alive: readonly TensorRecord[],
    memory?: ReadonlyMap<TensorRecord, TensorData>,
  ): void {
    const feeds = leaves.flatMap((leaf, i) => (reads[i] ? [[`i${i}`, leaf.fed(keepsOutputs)] as const] : []));
    const given = alive.map((record, i) => (isIdentity(layouts[i]) ? memory?.get(record) : undefined));
    if (!keepsOutputs)
      alive.forEach((record, i) => {
        const length = record.shape.reduce((product, side) => product * side, 1);
        record.setData(given[i] ?? this.pool.take(record.dtype, length), layouts[i], given[i] !== undefined);
      });
    const fetches = alive.map((record, i) => [names[i], keepsOutputs ? null : record.tensor] as const);
    const outputs = graph.run(Object.fromEntries(feeds), Object.fromEntries(fetches));
    if (keepsOutputs) for (const [i, record] of alive.entries()) take(record, outputs[names[i]], layouts[i], given[i]);
  }

  /** A tensor lost a reader or, with 0, its last tfjs reference: once it has neither, its memory is free for others. */
  release(record: TensorRecord, readers: number): void {
    record.readers += readers;
    if (record.refCount > 0 || record.readers > 0) return;
    const memory = record.free();
    if (memory) this.pool.give(record.dtype, memory);
  }
}

/** Makes what onnxruntime allocated a record's, or copies it to the memory given for it. */
function take(record: TensorRecord, output: Tensor, layout: Layout, given: TensorData | undefined): void {
  if (output.location === 'cpu') {
    const data = output.data as TensorData;
    given?.set(data);
    record.setData(given ?? data, layout, true);
  } else record.setDevice(output, layout);
}
