import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import '../../base/tfjs/backend-cpu.js';
import { clipByGlobalNorm } from '../../train/clip.js';
import { Sgd } from '../../train/sgd.js';

/** float32 arithmetic on numbers near 1: a few units in the last place, 6e-8 each. */
const ROUNDING = 1e-6;

function assertClose(actual: ArrayLike<number>, expected: number[]): void {
  assert.equal(actual.length, expected.length);
  expected.forEach((value, i) => {
    assert.ok(Math.abs(actual[i] - value) < ROUNDING, `value ${i}: expected ${value}, got ${actual[i]}`);
  });
}

function variables(kernel: number[], bias: number[]) {
  return [
    { name: 'fc/kernel', variable: tf.variable(tf.tensor1d(kernel)) },
    { name: 'fc/bias', variable: tf.variable(tf.tensor1d(bias)) },
  ];
}

test('keeps the old rate in the velocity when the learning rate drops', () => {
  const weights = variables([2], [0]);
  const sgd = new Sgd(weights, { momentum: 0.5, weightDecay: 0.25 });
  const gradients = { [weights[0].variable.name]: tf.tensor1d([1]), [weights[1].variable.name]: tf.tensor1d([0]) };
  const seen: number[] = [];
  for (const rate of [0.1, 0.1, 0.01]) {
    sgd.apply(gradients, rate);
    seen.push(weights[0].variable.dataSync()[0], sgd.velocities[0].variable.dataSync()[0]);
  }
  // v1 = −0.1 (1 + 0.25 · 2) = −0.15                           w1 = 1.85
  // v2 = 0.5 · −0.15 − 0.1 (1 + 0.25 · 1.85) = −0.22125         w2 = 1.62875
  // v3 = 0.5 · −0.22125 − 0.01 (1 + 0.25 · 1.62875) = −0.124696875   w3 = 1.504053125
  assertClose(seen, [1.85, -0.15, 1.62875, -0.22125, 1.504053125, -0.124696875]);
});

test('decays kernels and not biases, and lets biases learn at their own factor', () => {
  const weights = variables([1, -3], [4]);
  const sgd = new Sgd(weights, { momentum: 0.9, weightDecay: 0.5, biasLearningRateFactor: 2 });
  sgd.apply({ [weights[0].variable.name]: tf.tensor1d([0, 1]), [weights[1].variable.name]: tf.tensor1d([3]) }, 0.1);
  assertClose(weights[0].variable.dataSync(), [1 - 0.1 * 0.5, -3 - 0.1 * (1 - 1.5)]);
  assertClose(weights[1].variable.dataSync(), [4 - 0.2 * 3]);
});

test('decays biases too when told, as the formula of the paper reads literally', () => {
  const weights = variables([1], [4]);
  const sgd = new Sgd(weights, { momentum: 0.9, weightDecay: 0.5, decayBiases: true });
  sgd.apply({ [weights[0].variable.name]: tf.tensor1d([0]), [weights[1].variable.name]: tf.tensor1d([0]) }, 0.1);
  assertClose(weights[1].variable.dataSync(), [4 - 0.1 * 0.5 * 4]);
});

test('takes the decay of a single layer over the general one', () => {
  const weights = [
    { name: 'conv1/kernel', variable: tf.variable(tf.tensor1d([1])) },
    { name: 'fc10/kernel', variable: tf.variable(tf.tensor1d([1])) },
  ];
  const sgd = new Sgd(weights, { momentum: 0, weightDecay: 0.004, weightDecayByLayer: { fc10: 1 } });
  const zero = tf.tensor1d([0]);
  sgd.apply({ [weights[0].variable.name]: zero, [weights[1].variable.name]: zero }, 0.1);
  assertClose(weights[0].variable.dataSync(), [1 - 0.1 * 0.004]);
  assertClose(weights[1].variable.dataSync(), [0.9]);
});

test('scales all gradients by their common norm when it exceeds the limit', () => {
  const gradients = { a: tf.tensor2d([[3, 0]]), b: tf.tensor1d([0, 4, 12]) }; // norm √(9 + 16 + 144) = 13
  const clipped = clipByGlobalNorm(gradients, 6.5);
  assertClose(clipped.a.dataSync(), [1.5, 0]);
  assertClose(clipped.b.dataSync(), [0, 2, 6]);
});

test('leaves gradients below the limit as they are', () => {
  const clipped = clipByGlobalNorm({ a: tf.tensor1d([3, 4]) }, 5.5);
  assertClose(clipped.a.dataSync(), [3, 4]);
});

test('frees what it made', () => {
  const weights = variables([1, 2], [3]);
  const before = tf.memory().numTensors;
  new Sgd(weights, { momentum: 0.9, weightDecay: 0.1 }).dispose();
  assert.equal(tf.memory().numTensors, before);
});
