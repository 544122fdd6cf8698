/**
 * Corrects tfjs's gradient of average pooling on the cpu backend, which serves as an oracle: where padding cuts a
 * window, the forward pass divides by the pixels that are left, the gradient kernel by the whole window. Multiplied
 * beforehand by whole / left, it comes out right. Importing this file replaces the gradient on the backend `cpu`, in
 * this process.
 */
import { tf } from '../../base/tfjs/core.js';
// Registers the gradients of tfjs-core's kernels.
import '../../base/tfjs/layers.js';

const original = tf.getGradient('AvgPool').gradFunc;

/** Whole window / pixels inside the image, for every window; float32 [1, H', W', 1]. */
function wholeByLeft(height: number, width: number, attrs: tf.AvgPoolAttrs): tf.Tensor4D {
  const ones = tf.ones<tf.Rank.R4>([1, height, width, 1]);
  const { filterSize, strides, pad } = attrs;
  const { padInfo } = tf.backend_util.computePool2DInfo(ones.shape, filterSize, strides, 1, pad as 'same' | 'valid');
  const { top, bottom, left, right } = padInfo;
  const padded = tf.pad(ones, [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ]);
  return tf.div(1, tf.avgPool(padded as tf.Tensor4D, filterSize, strides, 'valid'));
}

tf.unregisterGradient('AvgPool');
tf.registerGradient({
  kernelName: 'AvgPool',
  inputsToSave: ['x'],
  gradFunc: (dy, saved, attrs) => {
    if (tf.getBackend() !== 'cpu') return original(dy, saved, attrs);
    const [, height, width] = saved[0].shape;
    const scale = wholeByLeft(height, width, attrs as unknown as tf.AvgPoolAttrs);
    return original(tf.mul(dy as tf.Tensor4D, scale), saved, attrs);
  },
});
