/**
 * Runs a tensor program without numbers and keeps the kernel calls it made. Works on the backend `onnxruntime`, which records calls
 * anyway; here nothing is computed, and reading a value is an error.
 */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { UserError } from '../model/errors.js';
import { type OnnxruntimeBackend, program } from './backend/onnxruntime-backend.js';
import { BACKEND_NAME } from './backend/register.js';
import type { KernelCall, Operand, TensorSpec } from './kernel-call.js';

const DEPENDS_ON_DATA = 'an input was read while the program was being traced, so its graph depends on data';

/** A program as recorded: `calls` in order, leaves being its inputs and whatever tensors it used. */
export interface Trace {
  readonly inputs: Operand[];
  readonly outputs: Operand[];
  readonly calls: KernelCall[];
}

/**
 * @param run     any function of tensors; called once, inside `tf.tidy`
 * @param inputs  shapes and types of its arguments; values that depend on other lengths than the batch's are fixed by these
 * @throws {UserError} where the program reads a value: its graph would depend on data
 */
export async function trace(run: (inputs: tf.Tensor[]) => tf.Tensor[], inputs: readonly TensorSpec[]): Promise<Trace> {
  await tf.setBackend(BACKEND_NAME);
  const backend = tf.backend() as OnnxruntimeBackend;
  program.flush();
  const recordOf = (tensor: tf.Tensor) => backend.recordOf(tensor.dataId);
  program.tracing = { scope: '' };
  tf.engine().startScope('trace');
  try {
    const placeholders = inputs.map(({ shape, dtype }) =>
      tf.engine().makeTensorFromTensorInfo(backend.makeTensorInfo([...shape], dtype)),
    );
    const fed = placeholders.map(recordOf);
    for (const record of fed) record.fail(new UserError(DEPENDS_ON_DATA));
    const outputs = run(placeholders).map(recordOf);
    return { inputs: fed, outputs, calls: program.callsFor(outputs) };
  } finally {
    tf.engine().endScope();
    program.discard();
    program.tracing = undefined;
  }
}

/**
 * Traces a layers model's inference pass. Kernel calls carry the name of the layer that made them.
 * @param batch  length of the first axis while tracing
 */
export async function traceModel(model: tfl.LayersModel, batch: number): Promise<Trace> {
  const inputs = model.inputs.map((input) => ({
    shape: [batch, ...input.shape.slice(1).map((length) => length!)],
    dtype: input.dtype as TensorSpec['dtype'],
  }));
  const restore = model.layers.map(labelCalls);
  try {
    return await trace(
      (tensors) => ([] as tf.Tensor[]).concat(model.apply(tensors, { training: false }) as tf.Tensor[]),
      inputs,
    );
  } finally {
    for (const undo of restore) undo();
  }
}

/** Makes a layer name the kernel calls it makes; returns what undoes it. */
function labelCalls(layer: tfl.layers.Layer): () => void {
  const call = layer.call;
  layer.call = function (...args) {
    const outer = program.tracing!.scope;
    program.tracing!.scope = layer.name;
    try {
      return call.apply(this, args);
    } finally {
      program.tracing!.scope = outer;
    }
  };
  return () => {
    layer.call = call;
  };
}

/** Names of a model's weights by the tensor that holds them, e.g. `conv1/kernel`. */
export function weightNames(model: tfl.LayersModel): Map<Operand, string> {
  const backend = tf.backend() as OnnxruntimeBackend;
  return new Map(model.weights.map((weight) => [backend.recordOf(weight.read().dataId), weight.originalName]));
}
