import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import '../../base/tfjs/backend-cpu.js';
import '../../base/tfjs/layers.js'; // registers the gradients
import { countRight, softmaxCrossEntropy } from '../../train/loss.js';

const LOGITS = [
  [1.5, -2, 0.25],
  [0, 40, -7],
  [-3, -3, -3.5],
  [2, 2.5, 90],
  [0.1, 0.2, 0.3],
];
const LABELS = [0, 2, 1, 2, 0];

const WEIGHTS = [0.5, 3, 1, 0.25, 2];

/** −log of the softmax at the label times the weight, in float64, mean over the images. */
function slowLoss(logits: number[][], weights = [1, 1, 1, 1, 1]): number {
  let sum = 0;
  logits.forEach((row, n) => {
    let denominator = 0;
    for (const logit of row) denominator += Math.exp(logit);
    sum -= weights[n] * Math.log(Math.exp(row[LABELS[n]]) / denominator);
  });
  return sum / logits.length;
}

test('equals the mean of −log softmax at the label', () => {
  const loss = softmaxCrossEntropy(tf.tensor2d(LOGITS), tf.tensor1d(LABELS, 'int32')).dataSync()[0];
  // 1e-6 of a loss near 10: float32 has 24 bits
  assert.ok(Math.abs(loss - slowLoss(LOGITS)) < 1e-5, `expected ${slowLoss(LOGITS)}, got ${loss}`);
});

test('weighs images, and divides by their number', () => {
  const [logits, labels] = [tf.tensor2d(LOGITS), tf.tensor1d(LABELS, 'int32')];
  const loss = softmaxCrossEntropy(logits, labels, tf.tensor1d(WEIGHTS)).dataSync()[0];
  const expected = slowLoss(LOGITS, WEIGHTS);
  assert.ok(Math.abs(loss - expected) < 1e-5, `expected ${expected}, got ${loss}`);
});

for (const weights of [undefined, WEIGHTS]) {
  test(`has the slope that differences of the slow loss show${weights ? ', weighted' : ''}`, () => hasSlope(weights));
}

function hasSlope(weights?: number[]): void {
  const labels = tf.tensor1d(LABELS, 'int32');
  const weighted = weights && tf.tensor1d(weights);
  const gradient = tf
    .grad((logits) => softmaxCrossEntropy(logits as tf.Tensor2D, labels, weighted))(tf.tensor2d(LOGITS))
    .arraySync() as number[][];
  const h = 1e-5;
  LOGITS.forEach((row, n) => {
    row.forEach((_, c) => {
      const shifted = (by: number) =>
        slowLoss(
          LOGITS.map((r, i) => r.map((v, j) => (i === n && j === c ? v + by : v))),
          weights,
        );
      const expected = (shifted(h) - shifted(-h)) / (2 * h);
      // differences of step 1e-5 in float64 are good to about 1e-9, the float32 softmax to 1e-7
      assert.ok(
        Math.abs(gradient[n][c] - expected) < 1e-6,
        `[${n}, ${c}]: expected ${expected}, got ${gradient[n][c]}`,
      );
    });
  });
}

test('stays finite for logits whose exponential overflows float32', () => {
  const loss = softmaxCrossEntropy(tf.tensor2d([[200, 0]]), tf.tensor1d([1], 'int32')).dataSync()[0];
  assert.equal(loss, 200);
});

test('counts the images whose largest logit is the label', () => {
  // images 0 and 3; 2 ties at class 0
  assert.equal(countRight(tf.tensor2d(LOGITS), tf.tensor1d(LABELS, 'int32')).dataSync()[0], 2);
});
