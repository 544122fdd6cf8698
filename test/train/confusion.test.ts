import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Confusion } from '../../train/evaluate/confusion.js';
import type { ImagePrediction } from '../../train/evaluate/evaluate.js';
import { WorstAnswers } from '../../train/report/worst-answers.js';

/**
 * Four classes: 0 is right twice and taken for 2 and 1 once each; 1 is taken for 3 twice; 2 is always right; 3 has no
 * image.
 */
function byHand(): Confusion {
  const confusion = new Confusion(4);
  const answers = [
    [0, 0],
    [0, 2],
    [1, 3],
    [2, 2],
    [0, 1],
    [1, 3],
    [0, 0],
  ];
  for (const [label, predicted] of answers) confusion.add(label, predicted);
  return confusion;
}

test('counts images by true and predicted class', () => {
  const confusion = byHand();
  const matrix = [0, 1, 2, 3].map((label) => [0, 1, 2, 3].map((predicted) => confusion.at(label, predicted)));
  assert.deepEqual(matrix, [
    [2, 1, 1, 0],
    [0, 0, 0, 2],
    [0, 0, 1, 0],
    [0, 0, 0, 0],
  ]);
});

test('gives each class its images, its errors and its most frequent mistake, of equal ones the lower class', () => {
  assert.deepEqual(byHand().byClass(), [
    { label: 0, images: 4, wrong: 2, mistake: { predicted: 1, images: 1 } },
    { label: 1, images: 2, wrong: 2, mistake: { predicted: 3, images: 2 } },
    { label: 2, images: 1, wrong: 0 },
    { label: 3, images: 0, wrong: 0 },
  ]);
});

test('orders classes by their share of errors, without those that have no images', () => {
  assert.deepEqual(
    byHand()
      .worstFirst()
      .map(({ label }) => label),
    [1, 0, 2],
  );
});

test('orders confused pairs by images, then by class', () => {
  assert.deepEqual(byHand().pairs(), [
    { label: 1, predicted: 3, images: 2 },
    { label: 0, predicted: 1, images: 1 },
    { label: 0, predicted: 2, images: 1 },
  ]);
});

test('keeps the answers with the greatest losses, of equal ones the earlier', () => {
  const losses = [0.5, 3, 1, 3, 0.1, 2, 3];
  const worst = new WorstAnswers(4);
  const prediction = (loss: number): ImagePrediction => ({ name: 'x', label: 0, top5: [1], probability: 0.5, loss });
  losses.forEach((loss, index) => {
    worst.add(prediction(loss), index);
  });
  assert.deepEqual(
    worst.answers.map(({ index }) => index),
    [1, 3, 6, 5],
  );
});
