/** One training step of a model without dropout, everything it computes, and how many session runs it took. */
import assert from 'node:assert/strict';
import type * as tfl from '@tensorflow/tfjs-layers';
import { tf } from '../../base/tfjs/core.js';
import { kernelCounts } from '../../onnx/backend/index.js';
import { softmaxCrossEntropy } from '../../train/loss.js';
import { modelWeights } from '../../train/run/weights.js';
import { Sgd } from '../../train/sgd.js';

/** Gradients and updated weights by name (`conv1/kernel`), in tfjs's order. */
export interface StepValues {
  logits: Float32Array;
  loss: number;
  gradients: Map<string, Float32Array>;
  updated: Map<string, Float32Array>;
  /** Session runs of the step. */
  runs: number;
}

/** Sets all weights of a model from arrays in tfjs's order. */
export function setWeights(model: tfl.LayersModel, valuesOf: (name: string) => Float32Array): void {
  for (const { name, variable } of modelWeights(model, 'all')) {
    tf.tidy(() => void variable.assign(tf.tensor(valuesOf(name), variable.shape)));
  }
}

/** Nothing is read here, so a lazy backend only records. */
function lossAndGradients(model: tfl.LayersModel, images: Float32Array, labels: Int32Array) {
  const x = tf.tensor(images, [labels.length, ...(model.inputs[0].shape.slice(1) as number[])]);
  const y = tf.tensor1d(labels, 'int32');
  let logits!: tf.Tensor2D;
  const weights = modelWeights(model, 'trainable').map(({ variable }) => variable);
  const { value: loss, grads } = tf.variableGrads(() => {
    logits = tf.keep(model.apply(x, { training: false }) as tf.Tensor2D); // outlives the gradient's own tidy
    return softmaxCrossEntropy(logits, y);
  }, weights);
  return { logits, loss, grads };
}

/**
 * Computes loss and gradients, updates the weights by the paper's rule from velocity 0 (ε 0.01, momentum 0.9, decay
 * 0.0005, of biases too as the formula says), and only then reads. Asserts that no kernel was delegated and that all
 * tensors were freed.
 * @param images  float32 NHWC
 */
export function oneStep(model: tfl.LayersModel, images: Float32Array, labels: Int32Array): StepValues {
  const tensorsBefore = tf.memory().numTensors;
  const before = kernelCounts();
  const weights = modelWeights(model, 'trainable');
  const sgd = new Sgd(weights, { momentum: 0.9, weightDecay: 0.0005, decayBiases: true });
  let values!: StepValues;
  tf.tidy(() => {
    const { logits, loss, grads } = lossAndGradients(model, images, labels);
    sgd.apply(grads, 0.01);
    const read = (tensor: tf.Tensor) => tensor.dataSync() as Float32Array;
    values = {
      loss: read(loss)[0], // runs the step
      runs: kernelCounts().runs - before.runs,
      logits: read(logits),
      gradients: new Map(weights.map(({ name, variable }) => [name, read(grads[variable.name])])),
      updated: new Map(weights.map(({ name, variable }) => [name, read(variable)])),
    };
    logits.dispose();
  });
  sgd.dispose();
  assert.equal(kernelCounts().runs - before.runs, values.runs, 'reading the results computed something again');
  assert.deepEqual(kernelCounts().delegated, before.delegated, 'a kernel was delegated to the cpu backend');
  assert.equal(tf.memory().numTensors, tensorsBefore, 'the step left tensors behind');
  return values;
}
