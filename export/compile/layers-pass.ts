/** What a layers model computes, as a program that can be traced. */
import type * as tfl from '@tensorflow/tfjs-layers';
import { tf } from '../../base/tfjs/core.js';
import { type OnnxruntimeBackend, recorder } from '../../onnx/backend/onnxruntime-backend.js';
import type { Operand } from '../../onnx/kernel-call.js';
import { callWithoutReading } from './layer-calls.js';

/**
 * A layers model's inference pass as a function of its inputs, in their order. Kernel calls that it makes while it is
 * traced carry the name of the layer that made them, `outer/inner` within models used as layers.
 */
export function inferencePass(model: tfl.LayersModel): (inputs: tf.Tensor[]) => tf.Tensor[] {
  return (inputs) => {
    const restore = labelLayers(model, '');
    try {
      const outputs = [model.apply(inputs.length === 1 ? inputs[0] : inputs, { training: false }) as tf.Tensor].flat();
      return model.outputs.map((output) => outputs[model.outputs.indexOf(output)]); // of two equal ones tfjs gives the first
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
    return recorder.inScope(name, () => callWithoutReading(this, call, args));
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
