/** Layers of tfjs whose own call cannot be traced, or fails in any model. */
import type * as tfl from '@tensorflow/tfjs-layers';
import { tf } from '../../base/tfjs/core.js';
import { recorder } from '../../onnx/backend/onnxruntime-backend.js';

type Call = tfl.layers.Layer['call'];

/** Calls a layer; the two that need it, in another way with the same result. */
export function callWithoutReading(layer: tfl.layers.Layer, call: Call, args: Parameters<Call>): ReturnType<Call> {
  const [inputs, kwargs] = args;
  const name = layer.getClassName();
  // It hands the list that every layer gets to a function that takes a tensor.
  if (name === 'Resizing') return call.call(layer, [inputs].flat()[0], kwargs);
  if (name === 'CategoryEncoding' && recorder.tracing) return encodeCategories(layer, [inputs].flat()[0], kwargs);
  return call.apply(layer, args);
}

/** Without its look at the values, which says whether all are categories. */
function encodeCategories(layer: tfl.layers.Layer, input: tf.Tensor, kwargs: Parameters<Call>[1]): tf.Tensor {
  const { numTokens, outputMode } = layer.getConfig() as { numTokens: number; outputMode: string };
  return tf.tidy(() => {
    const categories = tf.cast(input, 'int32');
    const hot = tf.cast(tf.oneHot(categories as tf.Tensor2D, numTokens), 'float32'); // [N, positions, categories]
    if (outputMode !== 'count') return tf.max(hot, -2);
    const weights = [kwargs?.countWeights as tf.Tensor | undefined].flat()[0];
    return tf.sum(weights ? tf.mul(hot, tf.expandDims(weights, -1)) : hot, -2);
  });
}
