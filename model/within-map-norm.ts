/**
 * Response normalisation within a map (cuda-convnet `rnorm`, Caffe's WITHIN_CHANNEL):
 *   b = a / (1 + scale / size² · Σ a²)^pow, the sum over size × size neighbours in the same channel.
 * At the border too the sum is divided by size²: neighbours outside count as 0.
 */
import { tf } from '../base/tfjs/core.js';
import { tfl } from '../base/tfjs/layers.js';
import { single } from './single-input.js';

export interface WithinMapNormArgs {
  name?: string;
  /** Side of the window, odd. */
  size: number;
  scale: number;
  pow: number;
}

/** @param x  float32 [N, H, W, C]; the result has the same shape */
export function withinMapNorm(x: tf.Tensor4D, size: number, scale: number, pow: number): tf.Tensor4D {
  const edge: [number, number] = [(size - 1) / 2, (size - 1) / 2];
  const squares = tf.pad(tf.square(x), [[0, 0], edge, edge, [0, 0]]) as tf.Tensor4D;
  const s = tf.add(tf.mul(tf.avgPool(squares, size, 1, 'valid'), scale), 1);
  return tf.div(x, power(s, pow));
}

/** s^pow; the usual ¾ as two square roots, several times faster. */
function power(s: tf.Tensor, pow: number): tf.Tensor {
  if (pow !== 0.75) return tf.pow(s, pow);
  const root = tf.sqrt(s);
  return tf.mul(root, tf.sqrt(root));
}

export class WithinMapNorm extends tfl.layers.Layer {
  static className = 'WithinMapNorm';

  constructor(private readonly args: WithinMapNormArgs) {
    super(args);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const { size, scale, pow } = this.args;
    return tf.tidy(() => withinMapNorm(single(inputs) as tf.Tensor4D, size, scale, pow));
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { size, scale, pow } = this.args;
    return { ...super.getConfig(), size, scale, pow };
  }
}

tf.serialization.registerClass(WithinMapNorm);
