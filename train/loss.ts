/**
 * Softmax cross-entropy (Krizhevsky et al. 2012, §3: "multinomial logistic regression") and the number of right
 * answers.
 */
import { tf } from '../base/tfjs/core.js';

/**
 * Mean over the batch of −log softmax(logits)[label], or of that times the image's weight: Σ_i w_i ℓ_i / N. Divided by
 * the number of images and not, as PyTorch does, by the batch's Σ w_i: weights whose mean over the training images is 1
 * (`data/class-weights.ts`) thus count as much in every batch, and micro-batches add up to the batch.
 *
 * @param logits   float32 [N, classes]
 * @param labels   int32 [N], 0 … classes − 1
 * @param weights  float32 [N]; default: all 1
 * @returns        scalar, natural logarithm; differentiable; the caller disposes it
 */
export function softmaxCrossEntropy(logits: tf.Tensor2D, labels: tf.Tensor1D, weights?: tf.Tensor1D): tf.Scalar {
  const oneHot = tf.oneHot(labels, logits.shape[1], 1, 0, 'float32');
  const logLikelihood = tf.sum(tf.mul(oneHot, tf.logSoftmax(logits)), 1); // [N]
  return tf.neg(tf.mean(weights ? tf.mul(logLikelihood, weights) : logLikelihood)) as tf.Scalar;
}

/** Images of the batch whose largest logit is the label's; scalar float32. Shapes as above. */
export function countRight(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar {
  return tf.sum(tf.cast(tf.equal(tf.argMax(logits, 1), labels), 'float32')) as tf.Scalar;
}
