import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DivergenceWatch } from '../../train/divergence.js';

/** The step, from 1, at which the watch speaks, and what it says; undefined if it does not. */
function firstWarning(classes: number, losses: number[]): [step: number, text: string] | undefined {
  const recent: number[] = [];
  for (const [index, loss] of losses.entries()) {
    const text = new DivergenceWatch(classes, recent).observe(loss); // as if resumed at every step
    if (text) return [index + 1, text];
  }
  return undefined;
}

const repeat = (count: number, loss: (index: number) => number) => Array.from({ length: count }, (_, i) => loss(i));

test('speaks at the first loss that is NaN or infinite', () => {
  assert.deepEqual(firstWarning(10, [2.3, Number.NaN]), [2, 'loss is NaN']);
  assert.deepEqual(firstWarning(10, [2.3, 2.4, Number.POSITIVE_INFINITY]), [3, 'loss is Infinity']);
});

test('speaks once 40 losses are above three times ln(classes) and rise', () => {
  const losses = [...repeat(7, () => 2), ...repeat(60, (i) => 7 + i)]; // 3 · ln 10 = 6.91
  assert.deepEqual(firstWarning(10, losses), [
    47,
    '40 losses were above 6.91, 3 times that of guessing among 10 classes, and they rise (mean 16.5, then 36.5)',
  ]);
  assert.equal(firstWarning(100, losses)?.[0], 54); // above 13.8 from the 14th step on
});

test('lets a peak pass, as cifar10-18pct has it at learning rate 0.3', () => {
  const peak = [4.61, 4.6, 4.84, 4.62, 85.9, 53.3, 2440, 23100, 686, 4.62, 4.66, 4.8, 4.64];
  assert.equal(firstWarning(100, [...peak, ...repeat(60, () => 4.6)]), undefined);
});

test('lets a loss be that is high and falls, or comes below the bound now and then', () => {
  assert.equal(
    firstWarning(
      10,
      repeat(200, (i) => 1000 / (i + 1) + 7),
    ),
    undefined,
  );
  assert.equal(
    firstWarning(
      10,
      repeat(400, (i) => (i % 30 === 0 ? 6.9 : 7 + i)),
    ),
    undefined,
  );
});
