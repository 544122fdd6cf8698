/**
 * Gradient clipping by the norm over all weights together (Pascanu, Mikolov, Bengio 2013, algorithm 1). Not in the
 * AlexNet paper.
 */
import { tf } from '../base/tfjs/core.js';

/**
 * Scales all gradients by `maxNorm` / norm if their common Euclidean norm exceeds `maxNorm`.
 * @returns new tensors under the same names; the caller disposes them and keeps ownership of `gradients`
 */
export function clipByGlobalNorm(gradients: tf.NamedTensorMap, maxNorm: number): tf.NamedTensorMap {
  return tf.tidy(() => {
    const limit = tf.scalar(maxNorm);
    const squares = Object.values(gradients).map((gradient) => tf.sum(tf.square(gradient)));
    const norm = tf.sqrt(tf.addN(squares));
    const scale = tf.div(limit, tf.maximum(norm, limit));
    return Object.fromEntries(Object.entries(gradients).map(([name, gradient]) => [name, tf.mul(gradient, scale)]));
  });
}
