/**
 * Records kernel calls: pending ones are computed all at once when a value is read, or handed to a tracer, which writes
 * a file of them.
 */
import { UserError } from '../../base/errors.js';
import { OutOfMemoryError, withMemory } from '../../base/out-of-memory.js';
import type { Attrs, DType, KernelCall, Operand, TensorSpec } from '../kernel-call.js';
import { identity, sameNumbers, type TensorData } from '../layout.js';
import { neededCalls } from '../lower.js';
import { LOOP_BEGIN } from '../lowerings/loop.js';
import { BufferPool } from './buffer-pool.js';
import { compiled, programBytes } from './compile.js';
import { DeviceLostError } from './device-lost.js';
import { DirectCalls } from './direct.js';
import { type CallForm, computeEagerly, formOf, isTiny, runsEagerly } from './eager.js';
import { PendingCall } from './pending-call.js';
import { TensorRecord } from './record.js';
import { runProgram } from './run-program.js';
import { leftBy, splitAgain, splitWhenDue } from './shuffled.js';
import { lastRepetition, StepWatch } from './steps.js';

/** A loop that never reads a value would grow the program without bound; a step of AlexNet is about 300 calls. */
const MAX_PENDING = 8192;

/** Pending calls after which, and after as many again, a loop is looked for. */
const LOOK_EVERY = 1024;

/**
 * Of values that only pending calls still hold, such as batches of a loop that reads nothing; not counted is what
 * variables held: an update of AlexNet alone holds 0.5 GB of weights and velocities.
 */
const MAX_HELD_BYTES = 2 ** 28;

/** Why a program cannot be traced. */
export const DEPENDS_ON_DATA =
  'a value was read while the program was being traced, so its graph depends on data; compute with tensors throughout';

/** @param scope  layer that read the value; '' where there are none */
export function dependsOnData(scope: string): UserError {
  return new UserError(scope === '' ? DEPENDS_ON_DATA : `${scope}: ${DEPENDS_ON_DATA}`);
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
  /** Kernel calls of programs that were not worth compiling. */
  eager = 0;
  /** Goes with every call recorded from now on, into the names of its nodes: for profiles. */
  label = '';
  private current?: Tracing;
  private readonly steps = new StepWatch();
  private readonly direct = new DirectCalls();
  /** Calls that are being run, of which some may be left out. */
  private settling: readonly PendingCall[] = [];
  private heldBytes = 0;
  /** Pending calls that show a tensor under another shape or type. */
  private views = new Map<TensorRecord, Map<string, TensorRecord>>();

  /**
   * One function for all records. Made in `record`, it would hold that call's scope, and through it every earlier
   * step's tensors.
   */
  readonly compute = (record: TensorRecord) => (this.tracing ? this.computeConstant(record) : this.flush(record));

  /** Call before a kernel records anything. */
  makeRoom(): void {
    const { length } = this.pending;
    if (this.tracing || length === 0) return;
    const isFull = length >= MAX_PENDING || this.heldBytes > MAX_HELD_BYTES;
    if (!isFull && (length % LOOK_EVERY > 0 || this.steps.isTraining || this.steps.end > 0)) return;
    const end = this.steps.end || lastRepetition(this.pending);
    if (end > 0) this.runFirst(end);
    else if (isFull) this.flush();
  }

  /**
   * Call before a variable gets a new value.
   * @param old  the one it has, if it lies here
   */
  assigning(variable: object, old?: TensorRecord): void {
    if (this.tracing) return;
    if (old) old.wasVariable = true;
    if (!this.steps.note(variable, this.pending.length)) return;
    this.runFirst(this.steps.end);
    this.steps.note(variable, this.pending.length);
  }

  /** Computes what the first pending calls leave for others. */
  private runFirst(count: number): void {
    if (count > 0) this.runSome(this.pending.slice(0, count), new Set());
    else {
      this.steps.restart();
      this.stretchEnds();
    }
  }

  /** True if a cpu kernel is to compute this call, whose inputs have values, now: it is not worth recording. */
  takesDirectly(call: CallForm): boolean {
    if (this.tracing || this.pending.length > 0 || !this.direct.computesNow(call)) return false;
    this.eager += 1;
    return true;
  }

  /** Call when a value was read. */
  stretchEnds(): void {
    if (this.pending.length > 0) return;
    this.steps.restart();
    this.direct.endStretch();
  }

  /** Computes of these pending calls what tfjs or the other pending calls still need. */
  private runSome(
    calls: readonly PendingCall[],
    toHost: ReadonlySet<TensorRecord>,
    memory?: ReadonlyMap<TensorRecord, TensorData>,
  ): void {
    const some = new Set(calls);
    this.pending = this.pending.filter((call) => !some.has(call));
    const read = new Set(this.pending.flatMap((call) => call.inputs));
    const isKept = (record: TensorRecord) => record.refCount > 0 || read.has(record);
    const kept = calls.flatMap((call) => call.results.filter(isKept));
    this.settle(calls, kept, toHost, memory);
  }

  /** Records a call. The results are pending. */
  record(
    kernel: string,
    inputs: readonly (TensorRecord | undefined)[],
    attrs: Attrs,
    outputs: readonly TensorSpec[],
  ): TensorRecord[] {
    const results = outputs.map((output) => new TensorRecord(output.shape, output.dtype, this.compute));
    const scope = this.tracing?.scope ?? this.label;
    const call = new PendingCall(
      { kernel, inputs, attrs, outputs, results, scope },
      this.tracing ? undefined : this.leaf,
    );
    results.forEach((record, output) => {
      record.source = { call, output };
    });
    for (const input of inputs) if (input) input.readers += 1;
    this.pending.push(call);
    return results;
  }

  /** A row of numbers that a call reads. */
  private readonly leaf = (dtype: DType, data: TensorData): TensorRecord => {
    const record = new TensorRecord([data.length], dtype, this.compute);
    record.setData(data, identity(1), true);
    return record;
  };

  /** A tensor under another shape or type: itself, or a call that is recorded once for all its readers. */
  shown(record: TensorRecord, shape: readonly number[], dtype: DType): TensorRecord {
    if (record.dtype === dtype && sameNumbers(record.shape, shape)) return record;
    const key = `${dtype}[${shape}]`;
    const views = this.views.get(record) ?? new Map<string, TensorRecord>();
    this.views.set(record, views);
    const view = views.get(key) ?? this.view(record, shape, dtype);
    views.set(key, view);
    return view;
  }

  private view(record: TensorRecord, shape: readonly number[], dtype: DType): TensorRecord {
    const cast =
      record.dtype === dtype ? record : this.between('Cast', record, { dtype }, { shape: record.shape, dtype });
    return sameNumbers(cast.shape, shape) ? cast : this.between('Reshape', cast, { shape }, { shape, dtype });
  }

  /** A result that pending calls alone will read. */
  private between(kernel: string, record: TensorRecord, attrs: Attrs, spec: TensorSpec): TensorRecord {
    const [result] = this.record(kernel, [record], attrs, [spec]);
    result.refCount = 0;
    return result;
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
    this.views.clear();
  }

  private discardReaders(calls: readonly PendingCall[]): void {
    for (const call of calls) for (const input of call.inputs) if (input) this.release(input, -1);
  }

  /** True if the values depend on an input of the program that is being traced, or on the round of a loop. */
  dependsOnInput(record: TensorRecord): boolean {
    if (!record.source) return record.failed;
    const calls = neededCalls(this.pending, [record]) as PendingCall[];
    const isUnknown = (leaf: TensorRecord | undefined) => leaf !== undefined && !leaf.source && leaf.failed;
    return calls.some(({ kernel, inputs }) => kernel === LOOP_BEGIN || inputs.some(isUnknown));
  }

  /** Computes one tensor of a program that is being traced; the program keeps its calls. */
  private computeConstant(record: TensorRecord): void {
    if (this.dependsOnInput(record)) throw dependsOnData(this.tracing!.scope);
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
    this.runSome(calls, new Set(memory.keys()), memory);
  }

  /** Runs the calls that are still pending. */
  private settle(
    calls: readonly PendingCall[],
    kept: readonly TensorRecord[],
    toHost: ReadonlySet<TensorRecord>,
    memory?: ReadonlyMap<TensorRecord, TensorData>,
  ): void {
    this.views.clear();
    this.steps.restart();
    passOnFailures(calls);
    this.settling = calls;
    const possible = kept.filter((record) => !record.failed);
    this.computeEach(calls, possible, toHost, memory);
    this.settling = [];
    this.direct.endStretch();
    this.discardReaders(calls);
  }

  /**
   * Computes these tensors in one run or, if that fails, each half of them by itself, down to those that depend on what
   * fails: whoever reads one of those learns why it has no value.
   */
  private computeEach(
    calls: readonly PendingCall[],
    kept: readonly TensorRecord[],
    toHost: ReadonlySet<TensorRecord>,
    memory?: ReadonlyMap<TensorRecord, TensorData>,
  ): void {
    if (kept.length === 0) return;
    try {
      this.run(neededCalls(calls, kept), kept, toHost, memory);
    } catch (cause) {
      const left = kept.filter(({ source }) => source); // a small beginning may have been computed
      const isHopeless = cause instanceof OutOfMemoryError || cause instanceof DeviceLostError;
      if (left.length === 1 || isHopeless) {
        for (const record of left) record.fail(cause as Error);
        return;
      }
      const middle = left.length >> 1;
      for (const half of [left.slice(0, middle), left.slice(middle)]) this.computeEach(calls, half, toHost, memory);
    }
  }

  /** @param formOfAll  by which it is decided whether the program is compiled */
  private run(
    calls: readonly KernelCall[],
    alive: readonly TensorRecord[],
    toHost: ReadonlySet<TensorRecord>,
    memory?: ReadonlyMap<TensorRecord, TensorData>,
    formOfAll = () => this.settling.reduce(formOf, this.direct.form),
  ): void {
    if (!this.tracing && isTiny(calls)) {
      this.runEagerly(calls, alive, memory);
      return;
    }
    let leaves: readonly Operand[] = [];
    let small: ReadonlySet<KernelCall> = new Set();
    const isNotWorthCompiling = () => {
      if (this.tracing) return false;
      small = splitAgain(calls);
      if (small.size > 0 || runsEagerly(formOfAll(), calls)) return true;
      small = splitWhenDue(calls);
      return small.size > 0;
    };
    try {
      const found = compiled(calls, alive, toHost, isNotWorthCompiling);
      leaves = found.leaves;
      this.direct.noteRecorded(found.program !== undefined);
      if (found.program) {
        runProgram(found.program, leaves as TensorRecord[], { results: alive, memory, pool: this.pool });
        this.runs += 1;
        this.kernels += found.program.kernels;
      } else if (small.size > 0) {
        const rest = calls.filter((call) => !small.has(call));
        this.runEagerly([...small], leftBy(small, rest, alive), memory);
        const late = alive.filter(({ source }) => source);
        this.run(rest, late, toHost, memory, () => rest.reduce(formOf, 0));
      } else this.runEagerly(calls, alive, memory);
    } catch (error) {
      throw withMemory(error, programBytes(calls, leaves));
    }
  }

  private runEagerly(
    calls: readonly KernelCall[],
    alive: readonly TensorRecord[],
    memory?: ReadonlyMap<TensorRecord, TensorData>,
  ): void {
    computeEagerly(calls, alive, memory);
    this.eager += calls.length;
  }

  /** A tensor lost a reader or, with 0, its last tfjs reference: once it has neither, its memory is free for others. */
  release(record: TensorRecord, readers: number): void {
    record.readers += readers;
    if (record.refCount > 0) return;
    this.heldBytes -= record.heldBytes;
    record.heldBytes = record.readers > 0 && !record.wasVariable ? record.hostBytes : 0;
    this.heldBytes += record.heldBytes;
    if (record.readers > 0) return;
    const memory = record.free();
    if (memory) this.pool.give(record.dtype, memory);
  }
}

/** What depends on a tensor that has no value has none either. */
function passOnFailures(calls: readonly PendingCall[]): void {
  for (const { inputs, results } of calls) {
    const failed = inputs.find((input) => input?.failed);
    if (failed) for (const record of results) record.fail(failed.failure!);
  }
}
