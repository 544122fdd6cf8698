/**
 * Probabilities from a tfjs model: softmax of its logits, averaged over crops (Krizhevsky et al. 2012, §4.1: ten
 * crops).
 */
import type * as tfl from '@tensorflow/tfjs-layers';
import type { Crop, CropGeometry } from '../../base/crops.js';
import { tf } from '../../base/tfjs/core.js';
import { croppedBatch } from '../data/batches/augment.js';
import type { Predict } from './evaluate.js';

/** How images are cut and fed. */
export interface CropOptions extends Omit<CropGeometry, 'inputPx'> {
  crops: Crop[];
  /** Images a call, fixed: a smaller last batch is filled up, so that a compiling backend compiles once. */
  batch: number;
  seed: number;
}

/** The positions filled up to `batch` with the last. */
const filledUp = (indices: Uint32Array, batch: number) =>
  Uint32Array.from({ length: batch }, (_, i) => indices[Math.min(i, indices.length - 1)]);

/** @param features  of images at these positions, in place of their pixels; the layers after them are `head` */
export function featurePredictor(
  head: tfl.LayersModel,
  features: (indices: Uint32Array) => tf.Tensor,
  { batch }: Pick<CropOptions, 'batch'>,
): Predict {
  return async (indices) => {
    const probabilities = tf.tidy(() => {
      const logits = head.apply(features(filledUp(indices, batch)), { training: false }) as tf.Tensor2D;
      return tf.softmax(logits).dataSync() as Float32Array;
    });
    return probabilities.slice(0, (probabilities.length / batch) * indices.length);
  };
}

export function checkpointPredictor(model: tfl.LayersModel, options: CropOptions): Predict {
  const inputPx = model.inputs[0].shape[1]!;
  const { imagePx, mean, crops, batch, seed } = options;
  const geometry = { imagePx, inputPx, mean };
  return async (indices, split) => {
    const filled = filledUp(indices, batch);
    let sum: Float64Array | undefined;
    for (const crop of crops) {
      const { images } = croppedBatch(split, geometry, filled, crop, seed);
      const probabilities = tf.tidy(() => {
        const input = tf.tensor(images, [batch, inputPx, inputPx, 3]);
        return tf.softmax(model.apply(input, { training: false }) as tf.Tensor2D).dataSync();
      });
      sum ??= new Float64Array(probabilities.length);
      for (let i = 0; i < sum.length; i++) sum[i] += probabilities[i] / crops.length;
    }
    const classes = sum!.length / batch;
    return Float32Array.from(sum!.subarray(0, indices.length * classes));
  };
}
