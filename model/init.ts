/**
 * Initial weights (Krizhevsky et al. 2012, §5: normal with mean 0 and stddev 0.01, some biases 1), from streams named
 * by seed and weight. They are drawn once for a new network and are no tfjs initialisers, so that loading a checkpoint
 * draws nothing; tfjs's randomNormal would take more than 10 s for AlexNet's 61 million.
 */
import type * as tfl from '@tensorflow/tfjs-layers';
import { type Random, random } from '../base/random.js';
import { tf } from '../base/tfjs/core.js';
import type { KernelInit } from './spec.js';

/** Normal numbers, mean 0 (Box and Muller, both of each pair). */
export function normals(length: number, stddev: number, stream: Random): Float32Array {
  const values = new Float32Array(length);
  for (let i = 0; i < length; i += 2) {
    const radius = stddev * Math.sqrt(-2 * Math.log(1 - stream.uniform()));
    const angle = 2 * Math.PI * stream.uniform();
    values[i] = radius * Math.cos(angle);
    if (i + 1 < length) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

function uniforms(length: number, bound: number, stream: Random): Float32Array {
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = bound * (2 * stream.uniform() - 1);
  return values;
}

/**
 * Draws a layer's kernel and bias.
 * @param layer   with the weights `kernel`, its last axis the outputs, and `bias`
 * @param stddev  of the kernel, or `fan-in`, see `KernelInit`
 * @param bias    every bias, unless `fan-in`
 */
export function drawWeights(layer: tfl.layers.Layer, stddev: KernelInit, bias: number, seed: number): void {
  const [kernelShape, biasShape] = layer.weights.map((weight) => weight.shape as number[]);
  const fanIn = kernelShape[kernelShape.length - 2] * (kernelShape.length === 4 ? kernelShape[0] * kernelShape[1] : 1);
  const draw = (name: string, shape: number[], constant?: number): tf.Tensor => {
    const stream = random(seed, 'init', `${layer.name}/${name}`);
    const size = tf.util.sizeFromShape(shape);
    if (stddev === 'fan-in') return tf.tensor(uniforms(size, 1 / Math.sqrt(fanIn), stream), shape);
    return tf.tensor(
      constant === undefined ? normals(size, stddev, stream) : new Float32Array(size).fill(constant),
      shape,
    );
  };
  tf.tidy(() => layer.setWeights([draw('kernel', kernelShape), draw('bias', biasShape, bias)]));
}
