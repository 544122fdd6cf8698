/** The weights of a tf.LayersModel as named variables: `conv1/kernel`, `conv1/bias`, …. */
import type * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

/** A weight by the name it has in the checkpoint; the model owns the variable. */
export interface NamedVariable {
  name: string;
  variable: tf.Variable;
}

/**
 * Weights in the order of the layers.
 * `originalName` is the name without the `_1` that tfjs appends where a process holds two models.
 */
export function modelWeights(model: tfl.LayersModel, which: 'all' | 'trainable'): NamedVariable[] {
  const weights = which === 'all' ? model.weights : model.trainableWeights;
  return weights.map((weight) => ({ name: weight.originalName, variable: weight.read() as tf.Variable }));
}
