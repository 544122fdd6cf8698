import { test } from 'node:test';
import '../../base/tfjs/backend-cpu.js';
import type * as tf from '@tensorflow/tfjs-core';
import { LocalResponseNormalization } from '../../model/lrn.js';
import { assertClose, at, noise } from './close.js';

/** §3.3 as printed: the sum runs from max(0, i − n/2) to min(C − 1, i + n/2), α is not divided by n. */
function slowLrn(x: Float32Array, shape: number[], { n, k, alpha, beta }: Record<string, number>): number[] {
  const [batch, height, width, channels] = shape;
  const y: number[] = [];
  for (let p = 0; p < batch; p++)
    for (let r = 0; r < height; r++)
      for (let c = 0; c < width; c++)
        for (let i = 0; i < channels; i++) {
          let sum = 0;
          for (let j = Math.max(0, i - Math.floor(n / 2)); j <= Math.min(channels - 1, i + Math.floor(n / 2)); j++) {
            sum += x[at(shape, p, r, c, j)] ** 2;
          }
          y.push(x[at(shape, p, r, c, i)] / (k + alpha * sum) ** beta);
        }
  return y;
}

test('normalises over neighbouring channels as the paper prints it', () => {
  const shape = [2, 3, 5, 7] as [number, number, number, number];
  const x = noise<tf.Rank.R4>('lrn', shape);
  const layer = new LocalResponseNormalization({ depthRadius: 2, bias: 2, alpha: 0.3, beta: 0.75 });
  const y = layer.apply(x) as tf.Tensor;
  // float32 sums of 5 squares and a power: a few units in the last of 7 digits
  assertClose(y.dataSync(), slowLrn(x.dataSync() as Float32Array, shape, { n: 5, k: 2, alpha: 0.3, beta: 0.75 }), 2e-6);
});

test('normalises over a window of 9 with another constant', () => {
  const shape = [1, 2, 3, 13] as [number, number, number, number];
  const x = noise<tf.Rank.R4>('lrn 9', shape);
  const layer = new LocalResponseNormalization({ depthRadius: 4, bias: 1, alpha: 0.2, beta: 0.5 });
  const y = layer.apply(x) as tf.Tensor;
  assertClose(y.dataSync(), slowLrn(x.dataSync() as Float32Array, shape, { n: 9, k: 1, alpha: 0.2, beta: 0.5 }), 2e-6);
});
