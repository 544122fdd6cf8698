/**
 * Runs a tensor program without numbers and keeps the kernel calls it made. Works on the backend `onnxruntime`, which
 * records calls anyway; here nothing is computed that depends on an input, and reading such a value is an error.
 */
import type * as tfl from '@tensorflow/tfjs-layers';
import { UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import { type OnnxruntimeBackend, recorder } from '../../onnx/backend/onnxruntime-backend.js';
import type { TensorRecord } from '../../onnx/backend/record.js';
import { DEPENDS_ON_DATA } from '../../onnx/backend/recorder.js';
import { BACKEND_NAME, missingKernels } from '../../onnx/backend/register.js';
import type { KernelCall, Operand, TensorSpec } from '../../onnx/kernel-call.js';

/** A program as recorded: `calls` in order, leaves being its inputs and whatever tensors it used. */
export interface Trace {
  readonly inputs: Operand[];
  readonly outputs: Operand[];
  readonly calls: KernelCall[];
}

/**
 * @param run     any function of tensors; called once, inside `tf.tidy`
 * @param inputs  shapes and types of its arguments; values that depend on other lengths than the batch's are fixed by
 *   these
 * @throws {UserError} if the program reads a value, so that its graph would depend on data, or if kernels have no
 *   lowering
 *                     rule: all of them are named, with the layers that call them
 */
export async function trace(run: (inputs: tf.Tensor[]) => tf.Tensor[], inputs: readonly TensorSpec[]): Promise<Trace> {
  await tf.setBackend(BACKEND_NAME);
  const backend = tf.backend() as OnnxruntimeBackend;
  const recordOf = (tensor: tf.Tensor) => backend.recordOf(tensor.dataId);
  return recorder.trace(({ missing }) => {
    tf.engine().startScope('trace');
    try {
      const placeholders = inputs.map(({ shape, dtype }) =>
        tf.engine().makeTensorFromTensorInfo(backend.makeTensorInfo([...shape], dtype)),
      );
      const fed = placeholders.map(recordOf);
      for (const record of fed) record.fail(new UserError(DEPENDS_ON_DATA));
      const outputs = run(placeholders).map(recordOf);
      if (missing.size > 0) throw missingKernels(missing);
      const calls = recorder.callsFor(outputs);
      // Whoever holds the trace holds these arrays: no later tensor may be computed into them.
      for (const leaf of calls.flatMap((call) => call.inputs as readonly TensorRecord[]))
        if (leaf?.data) leaf.shared = true;
      return { inputs: fed, outputs, calls };
    } finally {
      tf.engine().endScope();
    }
  });
}

/**
 * A layers model's inference pass as a function of its inputs, in their order. Kernel calls that it makes while it is
 * traced carry the name of the layer that made them, `outer/inner` within models used as layers.
 */
export function inferencePass(model: tfl.LayersModel): (inputs: tf.Tensor[]) => tf.Tensor[] {
  return (inputs) => {
    const restore = labelLayers(model, '');
    try {
      return ([] as tf.Tensor[]).concat(
        model.apply(inputs.length === 1 ? inputs[0] : inputs, { training: false }) as tf.Tensor[],
      );
    } finally {
      for (const undo of restore) undo();
    }
  };
}

function labelLayers(model: tfl.LayersModel, prefix: string): (() => void)[] {
  return model.layers.flatMap((layer) => {
    const inner = (layer as Partial<tfl.LayersModel>).layers;
    const name = prefix + layer.name;
    return [labelCalls(layer, name), ...(inner ? labelLayers(layer as tfl.LayersModel, `${name}/`) : [])];
  });
}

/** Makes a layer name the kernel calls it makes; returns what undoes it. */
function labelCalls(layer: tfl.layers.Layer, name: string): () => void {
  const call = layer.call;
  layer.call = function (...args) {
    return recorder.inScope(name, () => call.apply(this, args));
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
