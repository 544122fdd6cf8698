import '../../../base/tfjs/backend-cpu.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tf } from '../../../base/tfjs/core.js';
import '../../../onnx/backend/index.js';
import { GradientSum } from '../../../train/distributed/gradient-sum.js';
import { processes } from './in-one-process.js';

const SHAPES = { conv: [2, 3, 4], bias: [4], fc: [7, 5] };

/** Of process `rank`; convolved, so that the backend computes the first in an order of its own. */
function gradients(rank: number): tf.NamedTensorMap {
  const x = tf.mul(tf.reshape(tf.range(0, 24), [2, 3, 4]), rank + 1);
  return {
    conv: tf.transpose(tf.relu(tf.transpose(x, [2, 0, 1])), [1, 2, 0]),
    bias: tf.sum(x, [0, 1]),
    fc: tf.add(tf.zeros([7, 5]), rank + 10),
  };
}

for (const backend of ['onnxruntime', 'cpu']) {
  for (const bucketBytes of [1, 60, 1e9]) {
    test(`${backend}: sums of two processes in buckets of at least ${bucketBytes} bytes, step after step`, async () => {
      await tf.setBackend(backend);
      const weights = Object.entries(SHAPES).map(([name, shape]) => tf.variable(tf.zeros(shape), true, `${name}`));
      const group = processes(2);
      const sums = group.map((process) => new GradientSum(process, weights, 'float32', bucketBytes));
      const before = tf.memory().numTensors;
      for (const scale of [1, 100]) {
        const own = [0, 1].map((rank) =>
          tf.tidy(() =>
            Object.fromEntries(Object.entries(gradients(rank)).map(([name, value]) => [name, tf.mul(value, scale)])),
          ),
        );
        const added = await Promise.all(sums.map((sum, rank) => sum.sum(own[rank])));
        for (const sum of added) {
          const values = (name: string) => Array.from(sum[name].dataSync());
          assert.deepEqual(sum.conv.shape, [2, 3, 4]);
          // 1 + 2 times 0 … 23; columns of six; 10 + 11.
          assert.deepEqual(
            values('conv'),
            Array.from({ length: 24 }, (_, i) => 3 * i * scale),
          );
          assert.deepEqual(
            values('bias'),
            [60, 66, 72, 78].map((column) => 3 * column * scale),
          );
          assert.deepEqual(values('fc'), new Array(35).fill(21 * scale));
        }
        tf.dispose([own, added]);
      }
      assert.equal(tf.memory().numTensors, before);
      tf.dispose(weights);
    });
  }
}
