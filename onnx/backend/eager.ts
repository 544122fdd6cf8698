/**
 * Runs programs that are not worth compiling: call by call, with the kernels of tfjs's cpu backend. What a program costs
 * there is estimated from its calls; it is compiled once it has cost as much as compiling it would, so that one whose
 * shapes change with every step is never compiled, and one that returns soon is. Estimates depend on the program alone:
 * a run gives the same numbers whenever it is repeated.
 */
import type { backend_util, DataType, TensorInfo } from '@tensorflow/tfjs-core';
import { LRUCache } from 'lru-cache';
import { cpu } from '../../base/tfjs/backend-cpu.js';
import { tf } from '../../base/tfjs/core.js';
import type { KernelCall, Operand, TensorSpec } from '../kernel-call.js';
import { identity, type TensorData } from '../layout.js';
import { LOWERINGS } from '../lowerings/index.js';
import { LOOSE } from '../lowerings/loose.js';
import { asArray } from './buffer-pool.js';
import { activeProvider } from './choose-provider.js';
import { cpuKernel } from './cpu-kernels.js';
import { KEEPS_TENSORS } from './provider.js';
import { isNumeric, type TensorRecord } from './record.js';

/** Of tfjs's cpu kernels, in microseconds. */
export const CPU_CALL = 4;
const ELEMENT = 0.03;
const MULTIPLICATION = 0.0015;

/** Of compiling a program, in microseconds: its session, and what each call adds. */
const SESSION = 1500;
const COMPILED_CALL = 250;

/** What a session's run takes more than the calls in it, in microseconds. */
export const TINY = 150;

/** Their time on the cpu kernels does not follow from the sizes of their tensors. */
const HEAVY = /Conv|Pool|LRN|Resize|Dilation|Einsum|Crop|SegmentSum|ScatterNd|SparseToDense/;

/** What tfjs's cpu kernels compute wrong: where an axis goes and another has a step, over another axis than the last. */
const WRONG = /^(?:StridedSlice|FusedBatchNorm)$/;

/** They read no more than they give. */
const PICKING = /Slice|Gather/;

/** Programs remembered. */
export const KNOWN = 4096;

/** Microseconds that programs of each form have cost so far, and how often one was compiled and given up again. */
const known = new LRUCache<number, { spent: number; given: number }>({ max: KNOWN });

let always = process.env.ALEXNET_COMPILE === 'always' || process.env.ALEXNET_DELEGATION === 'off';

/**
 * Compiles every program at its first run: a resumed run then computes with the same kernels as one that was never
 * interrupted. @returns what was set before
 */
export function compileAlways(wanted = true): boolean {
  const before = always;
  always = wanted;
  return before;
}

/** True where every program is compiled at its first run. */
export const compilesAlways = () => always;

/** True where programs that are small or new are not compiled. */
export const spares = () => !always && !KEEPS_TENSORS[activeProvider()];

/** What tells the cost of a call, and calls apart. */
export interface CallForm extends Pick<KernelCall, 'kernel' | 'attrs' | 'outputs'> {
  readonly inputs: readonly (TensorSpec | undefined)[];
}

const mixed = (form: number, number: number) => Math.imul(form ^ number, 0x01000193);

function mixedText(form: number, text: string): number {
  let result = form;
  for (let i = 0; i < text.length; i++) result = mixed(result, text.charCodeAt(i));
  return result;
}

/** A number for a sequence of calls: that of all but the last, and the last. Equal sequences have equal ones. */
export function formOf(before: number, { kernel, attrs, outputs }: CallForm): number {
  let form = mixedText(before, kernel);
  for (const { shape } of outputs) for (const length of shape) form = mixed(form, length);
  if (LOOSE[kernel]) return form;
  for (const name in attrs) {
    const value = attrs[name];
    form = Number.isInteger(value) ? mixed(form, value) : mixedText(form, `${value}`);
  }
  return form;
}

function size({ shape }: TensorSpec): number {
  let product = 1;
  for (const length of shape) product *= length;
  return product;
}

/** By kernel: true if its time on the cpu backend can be estimated. */
const knowable = new Map<string, boolean>();

function isKnown(kernel: string): boolean {
  let known = knowable.get(kernel);
  if (known === undefined) {
    known = !HEAVY.test(kernel) && !WRONG.test(kernel) && tf.getKernel(kernel, 'cpu') !== undefined;
    knowable.set(kernel, known);
  }
  return known;
}

/** Microseconds on the cpu kernels; infinite if there is no such kernel, or nobody knows. */
export function costOf({ kernel, inputs, outputs, attrs }: CallForm): number {
  if (!isKnown(kernel)) return Number.POSITIVE_INFINITY;
  let elements = 0;
  if (!PICKING.test(kernel)) for (const tensor of inputs) if (tensor) elements = Math.max(elements, size(tensor));
  for (const tensor of outputs) elements = Math.max(elements, size(tensor));
  const product = kernel.endsWith('MatMul') ? size(outputs[0]) * inputs[0]!.shape.at(attrs.transposeA ? -2 : -1)! : 0;
  return CPU_CALL + ELEMENT * elements + MULTIPLICATION * product;
}

const total = (calls: readonly KernelCall[]) => calls.reduce((sum, call) => sum + costOf(call), 0);

/** True for a program that has so little to compute that a session's run takes longer; each call costs about the same. */
export function isTiny(calls: readonly KernelCall[]): boolean {
  if (!spares()) return false;
  let left = TINY;
  for (const call of calls) {
    left -= costOf(call) - CPU_CALL;
    if (left < 0) return false;
  }
  return true;
}

const compiling = (calls: number) => SESSION + COMPILED_CALL * calls;

/** True if so many calls cost more on the cpu kernels, once, than compiling them. */
export const isWorthCompiling = (cost: number, calls: number) => cost > compiling(calls);

/** Notes what calls cost on the cpu kernels. @returns true once programs of this form cost as much as compiling one */
export function isDue(form: number, cost: number, calls: number): boolean {
  const entry = known.get(form) ?? { spent: 0, given: 0 };
  known.set(form, entry);
  entry.spent += cost;
  return entry.spent >= compiling(calls) * 2 ** entry.given;
}

/** True if a program that is not compiled is to run on the cpu kernels this time. */
export function runsEagerly(form: number, calls: readonly KernelCall[]): boolean {
  if (!spares()) return false;
  const cost = total(calls);
  if (isWorthCompiling(cost, calls.length)) return false;
  if (!isDue(form, cost, calls.length)) return true;
  const entry = known.get(form)!;
  entry.spent = 0;
  entry.given += 1;
  return false;
}

/** Inputs as a kernel of tfjs gets them: by name, or as a list. */
function named(kernel: string, infos: readonly (TensorInfo | undefined)[]): Record<string, TensorInfo> {
  const { inputs } = LOWERINGS.get(kernel)!;
  if (inputs === '*') return infos as unknown as Record<string, TensorInfo>;
  const byName: Record<string, TensorInfo> = {};
  for (const [i, name] of inputs.entries()) if (infos[i]) byName[name.replace('?', '')] = infos[i];
  return byName;
}

/** Holds the tensors of one program, each in an array of its type. */
class ScratchBackend extends cpu.MathBackendCPU {
  constructor() {
    super();
    Object.assign(this, { firstUse: false }); // no banner that advertises tfjs-node
  }

  override write(values: backend_util.BackendValues, shape: number[], dtype: DataType): object {
    return super.write(isNumeric(dtype) ? asArray(dtype, values as TensorData) : values, shape, dtype);
  }
}

/**
 * Computes calls in order, and gives `alive` their values; some may share memory with others, or with leaves.
 * @param memory  where one is to lie
 */
export function computeEagerly(
  calls: readonly KernelCall[],
  alive: readonly TensorRecord[],
  memory?: ReadonlyMap<TensorRecord, TensorData>,
): void {
  const backend = new ScratchBackend();
  const results = new Map<KernelCall, TensorInfo[]>();
  const leaves = new Map<Operand, TensorInfo>();
  const leafOf = (operand: Operand): TensorInfo => {
    const { shape, dtype } = operand;
    const known = leaves.get(operand);
    if (known) return known;
    const info = backend.makeTensorInfo([...shape], dtype, (operand as TensorRecord).sizedValues);
    leaves.set(operand, info);
    return info;
  };
  const infoOf = (operand: Operand) =>
    operand.source ? results.get(operand.source.call)![operand.source.output] : leafOf(operand);
  const compute = (call: KernelCall) => {
    const inputs = named(
      call.kernel,
      call.inputs.map((input) => input && infoOf(input)),
    );
    results.set(call, [cpuKernel(call.kernel)!({ inputs, backend, attrs: call.attrs })].flat());
  };
  tf.engine().startScope(); // a few kernels make tensors that tfjs counts
  try {
    calls.forEach(compute);
    const values = alive.map((record) => backend.data.get(infoOf(record).dataId).values as TensorData);
    for (const [i, record] of alive.entries()) {
      const given = memory?.get(record);
      given?.set(values[i]);
      record.setData(given ?? asArray(record.dtype, values[i]), identity(record.shape.length), true);
    }
  } finally {
    tf.engine().endScope();
  }
}
