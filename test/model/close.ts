/** Comparison of numbers and tensors made for tests. */
import assert from 'node:assert/strict';
import { random } from '../../base/random.js';
import { tf } from '../../base/tfjs/core.js';

/** Fails with the largest difference and its index. */
export function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, atol: number): void {
  assert.equal(actual.length, expected.length);
  let worst = 0;
  for (let i = 0; i < actual.length; i++) {
    // A NaN is no difference at all to `>`, so it is asked for by name.
    if (Number.isNaN(actual[i]) || Math.abs(actual[i] - expected[i]) > Math.abs(actual[worst] - expected[worst]))
      worst = i;
  }
  const difference = Math.abs(actual[worst] - expected[worst]);
  assert.ok(
    difference <= atol,
    `index ${worst}: ${actual[worst]} instead of ${expected[worst]}, off by ${difference} > ${atol}`,
  );
}

/** Normal numbers named by `name`, stddev 1. */
export function noise<R extends tf.Rank>(name: string, shape: tf.ShapeMap[R]): tf.Tensor<R> {
  const stream = random('test', name);
  const values = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => stream.normal());
  return tf.tensor(values, shape);
}

/** Position in row-major order. */
export function at(shape: readonly number[], ...index: number[]): number {
  return index.reduce((offset, position, axis) => offset * shape[axis] + position, 0);
}
