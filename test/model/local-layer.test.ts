import assert from 'node:assert/strict';
import { test } from 'node:test';
import '../../base/tfjs/backend-cpu.js';
import type * as tf from '@tensorflow/tfjs-core';
import { LocallyConnected2D } from '../../model/local-layer.js';
import { assertClose, at, noise } from './close.js';

test('applies another kernel and bias at every place', () => {
  const [shape, kernelShape, biasShape] = [
    [2, 4, 3, 6],
    [12, 54, 5],
    [12, 5],
  ];
  const x = noise('local x', shape);
  const kernel = noise('local kernel', kernelShape);
  const bias = noise('local bias', biasShape);
  const layer = new LocallyConnected2D({ channels: 5, kernel: 3, pad: 1, relu: true });
  layer.build(shape);
  layer.setWeights([kernel, bias]);
  const y = layer.apply(x) as tf.Tensor;
  assert.deepEqual(y.shape, [2, 4, 3, 5]);

  const [xs, ks, bs] = [x, kernel, bias].map((tensor) => tensor.dataSync());
  const expected: number[] = [];
  for (let p = 0; p < 2; p++)
    for (let r = 0; r < 4; r++)
      for (let c = 0; c < 3; c++)
        for (let o = 0; o < 5; o++) {
          let sum = bs[at(biasShape, r * 3 + c, o)];
          for (let i = 0; i < 3; i++)
            for (let j = 0; j < 3; j++)
              for (let k = 0; k < 6; k++) {
                const [row, column] = [r + i - 1, c + j - 1];
                if (row < 0 || row >= 4 || column < 0 || column >= 3) continue;
                sum += xs[at(shape, p, row, column, k)] * ks[at(kernelShape, r * 3 + c, (i * 3 + j) * 6 + k, o)];
              }
          expected.push(Math.max(0, sum));
        }
  assertClose(y.dataSync(), expected, 2e-5); // float32 sums of 54 products
});
