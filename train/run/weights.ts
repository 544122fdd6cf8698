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
 * `originalName` is the name without the `_1` that tfjs appends if a process holds two models.
 */
export function modelWeights(model: tfl.LayersModel, which: 'all' | 'trainable'): NamedVariable[] {
  const weights = which === 'all' ? model.weights : model.trainableWeights;
  return weights.map((weight) => ({ name: weight.originalName, variable: weight.read() as tf.Variable }));
}

/** The layer of a weight: `conv1` of `conv1/kernel`. */
export function layerOfWeight(name: string): string {
  return name.slice(0, name.lastIndexOf('/'));
}

/** The weights of layers that are not frozen. @param frozen  names of layers; absent in runs of earlier versions */
export function thawed(weights: NamedVariable[], frozen: readonly string[] = []): NamedVariable[] {
  return weights.filter(({ name }) => !frozen.includes(layerOfWeight(name)));
}
