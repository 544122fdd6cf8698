/**
 * Registers the backend `onnxruntime` and, for it, every kernel of the cpu backend: lowered if a rule takes it, else
 * delegated.
 */
import '../../base/tfjs/backend-cpu.js';
import type { KernelConfig, KernelFunc, NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs-core';
import { UserError } from '../../base/errors.js';
import { tf, util } from '../../base/tfjs/core.js';
import type { Attrs, TensorSpec } from '../kernel-call.js';
import type { TensorData } from '../layout.js';
import { LOWERINGS } from '../lowerings/index.js';
import type { Rule } from '../rule.js';
import { traffic } from './binding.js';
import { cpuKernel } from './cpu-kernels.js';
import { OnnxruntimeBackend, recorder } from './onnxruntime-backend.js';
import { isNumeric, type TensorRecord } from './record.js';
import { dependsOnData, type Tracing } from './recorder.js';

export const BACKEND_NAME = 'onnxruntime';

/** Above wasm (2) and webgl (2): importing this module makes it tfjs's default. */
const PRIORITY = 3;

/**
 * `ALEXNET_DELEGATION=off`: a call that a rule refuses is an error, so that a test shows how far the rules reach by
 * themselves.
 */
const DELEGATION_OFF = process.env.ALEXNET_DELEGATION === 'off';

const delegated = new Map<string, number>();

/** What ran where, since the process started. */
export interface KernelCounts {
  /** Kernel calls computed by onnxruntime. */
  onnx: number;
  /** Calls left to tfjs's cpu backend, by kernel (and reason, if a rule exists but refused). */
  delegated: Record<string, number>;
  /** Calls of programs that were too small or too new to be compiled: tfjs's cpu kernels computed them. */
  eager: number;
  /** Session runs. */
  runs: number;
  /** Copied to another provider than cpu as inputs of runs, and back as outputs; what nodes copy that run on the CPU is not counted. */
  bytesToDevice: number;
  bytesToHost: number;
}

export function kernelCounts(): KernelCounts {
  const { kernels, eager, runs } = recorder;
  return { onnx: kernels, delegated: Object.fromEntries(delegated), eager, runs, ...traffic };
}

/** The tensor as an operand; one record may be shown under several shapes and types. */
function operandOf(backend: OnnxruntimeBackend, { dataId, shape, dtype }: TensorInfo): TensorRecord {
  return recorder.shown(backend.recordOf(dataId), shape, dtype as TensorSpec['dtype']);
}

/** Kernel inputs in the order of these names, absent ones as undefined. */
function ordered(names: readonly string[] | undefined, inputs: NamedTensorInfoMap): (TensorInfo | undefined)[] {
  if (!names) return Object.values(inputs) as TensorInfo[];
  return names.map((name) => inputs[name] ?? undefined);
}

function haveValues(backend: OnnxruntimeBackend, inputs: readonly (TensorInfo | undefined)[]): boolean {
  for (const input of inputs) {
    const record = input && backend.recordOf(input.dataId);
    if (record?.source || record?.failed) return false;
  }
  return true;
}

function refusal(rule: Rule, inputs: (TensorInfo | undefined)[], attrs: Attrs): string | undefined {
  for (const input of inputs) {
    if (input && !isNumeric(input.dtype)) return `dtype ${input.dtype}`;
    if (input?.shape.includes(0) && !rule.takesEmpty) return 'empty tensor';
  }
  return rule.refuses?.(inputs as TensorSpec[], attrs);
}

const isEmpty = ({ shape }: TensorSpec) => shape.includes(0);

function refusalOfValues(
  backend: OnnxruntimeBackend,
  rule: Rule,
  inputs: (TensorInfo | undefined)[],
  attrs: Attrs,
): string | undefined {
  if (recorder.tracing) return undefined;
  const values = (input: number) => backend.recordOf(inputs[input]!.dataId).values as TensorData;
  return rule.refusesValues?.(values, inputs as TensorSpec[], attrs);
}

type KernelCallArguments = Parameters<KernelFunc>[0];

function inputRecords({ inputs, backend }: KernelCallArguments): TensorRecord[] {
  const infos = Object.values(inputs).flat() as (TensorInfo | undefined)[];
  return infos.flatMap((info) => (info ? [(backend as OnnxruntimeBackend).recordOf(info.dataId)] : []));
}

function dependsOnInput(call: KernelCallArguments): boolean {
  return inputRecords(call).some((record) => recorder.dependsOnInput(record));
}

/**
 * A kernel that cannot be exported, met while tracing: noted, and the program continues with results of the shape that
 * zeros give, so that one error names all such kernels.
 */
function standIn(
  { missing, scope }: Tracing,
  kernel: string,
  onCpu: KernelFunc | undefined,
  call: KernelCallArguments,
): ReturnType<KernelFunc> {
  missing.set(kernel, (missing.get(kernel) ?? new Set()).add(scope));
  const backend = call.backend as OnnxruntimeBackend;
  const zeros = ({ shape, dtype }: TensorInfo): TensorInfo => {
    if (dtype !== 'complex64') return backend.makeTensorInfo(shape, dtype, new Float32Array(util.sizeFromShape(shape)));
    const part: TensorInfo = { dataId: {}, shape, dtype: 'float32' };
    return tf.getKernel('Complex', 'cpu').kernelFunc({
      inputs: { real: zeros(part), imag: zeros(part) },
      backend,
    }) as TensorInfo;
  };
  const inputs = Object.fromEntries(
    Object.entries(call.inputs).map(([name, info]) => [name, info && zeros(info as TensorInfo)]),
  );
  try {
    const results = onCpu!({ ...call, inputs });
    for (const { dataId } of [results].flat()) backend.recordOf(dataId).fail(dependsOnData(scope));
    return results;
  } catch {
    throw missingKernels(missing); // what comes after it has no known shape
  }
}

/** The error that names every kernel without a rule and where it was called. */
export function missingKernels(missing: Tracing['missing']): UserError {
  const lines = [...missing].map(([kernel, scopes]) => {
    const layers = [...scopes].filter((scope) => scope !== '');
    return `  ${kernel}${layers.length > 0 ? ` in ${layers.join(', ')}` : ''}`;
  });
  return new UserError(
    `no ONNX lowering for ${missing.size === 1 ? 'a tfjs kernel' : `${missing.size} tfjs kernels`} of this program; ` +
      `replace the layers that call ${missing.size === 1 ? 'it' : 'them'}:\n${lines.join('\n')}`,
  );
}

function kernelFunc(kernelName: string, rule: Rule | undefined, onCpu: KernelFunc | undefined): KernelFunc {
  const delegate: (reason: string, ...call: Parameters<KernelFunc>) => ReturnType<KernelFunc> = (reason, call) => {
    if (recorder.tracing && dependsOnInput(call))
      return standIn(recorder.tracing, reason ? `${kernelName} (${reason})` : kernelName, onCpu, call);
    if (!onCpu)
      throw new Error(
        `${kernelName}: the onnxruntime backend cannot take ${reason}, and the cpu backend has no such kernel`,
      );
    if (DELEGATION_OFF && reason) throw new Error(`delegation is off: ${kernelName} (${reason})`);
    const name = reason ? `${kernelName} (${reason})` : kernelName;
    delegated.set(name, (delegated.get(name) ?? 0) + 1);
    return onCpu(call);
  };
  if (!rule) return (call) => delegate('', call);
  const names = rule.inputs === '*' ? undefined : rule.inputs.map((name) => name.replace('?', ''));
  return (call) => {
    const backend = call.backend as OnnxruntimeBackend;
    const attrs = (call.attrs ?? {}) as Attrs;
    const inputs = ordered(names, call.inputs);
    const refused = refusal(rule, inputs, attrs);
    if (refused) return delegate(refused, call);
    const outputs = rule.outputs(inputs as TensorSpec[], attrs);
    const form = { kernel: kernelName, inputs: inputs as TensorSpec[], attrs, outputs };
    if (onCpu && haveValues(backend, inputs) && recorder.takesDirectly(form)) return onCpu(call);
    const reason = outputs.some(isEmpty) ? 'empty result' : refusalOfValues(backend, rule, inputs, attrs);
    if (reason) return delegate(reason, call);
    recorder.makeRoom();
    const operands = inputs.map((input) => input && operandOf(backend, input));
    const results = recorder.record(kernelName, operands, attrs, outputs).map((record) => backend.register(record));
    return results.length === 1 && !rule.list ? results[0] : results;
  };
}

/** Assignments tell the recorder where a step ends. */
function watchAssignments(): void {
  const { assign } = tf.Variable.prototype;
  tf.Variable.prototype.assign = function (value) {
    const backend = tf.backend();
    if (backend instanceof OnnxruntimeBackend)
      recorder.assigning(this, backend.data.has(this.dataId) ? backend.recordOf(this.dataId) : undefined);
    return assign.call(this, value);
  };
}

function register(): void {
  tf.registerBackend(BACKEND_NAME, () => new OnnxruntimeBackend(), PRIORITY);
  const onCpu = new Map<string, KernelConfig>(
    tf.getKernelsForBackend('cpu').map((config) => [config.kernelName, config]),
  );
  for (const kernelName of new Set([...onCpu.keys(), ...LOWERINGS.keys()])) {
    const config = onCpu.get(kernelName);
    const lowered = kernelFunc(kernelName, LOWERINGS.get(kernelName), cpuKernel(kernelName));
    // A clone is a second reference to the same data: nothing to compute, and tfjs counts data to find leaks.
    // As is a reshaped tensor, but for a tracer, which names the node after the layer that reshapes.
    const shared: KernelFunc = (call) => (recorder.tracing ? lowered : config!.kernelFunc)(call);
    const isReshape = kernelName === 'Reshape' || kernelName === 'ExpandDims';
    const func = kernelName === 'Identity' ? config!.kernelFunc : isReshape ? shared : lowered;
    tf.registerKernel({ ...config, kernelName, backendName: BACKEND_NAME, kernelFunc: func });
  }
}

watchAssignments();
register();
