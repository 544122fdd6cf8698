import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALEXNET } from '../../model/alexnet.js';
import { afterEpoch, learningRateAt, type ScheduleSettings, startSchedule } from '../../train/schedule.js';
import { resolveSettings } from '../../train/settings/config.js';

const PAPER = resolveSettings(ALEXNET.recipe, {});

const settings = (changes: Partial<ScheduleSettings>): ScheduleSettings => ({
  ...PAPER,
  learningRate: 0.08,
  ...changes,
});

test('constant never changes', () => {
  const constant = settings({ schedule: 'constant' });
  assert.equal(learningRateAt(constant, startSchedule(), 0, 7), 0.08);
  assert.equal(learningRateAt(constant, startSchedule(), 9999, 7), 0.08);
});

test('step divides by 10 from the first step after each milestone epoch', () => {
  const step = settings({ schedule: 'step', milestones: [2, 3] });
  const rates = [13, 14, 20, 21].map((at) => learningRateAt(step, startSchedule(), at, 7));
  assert.deepEqual(rates, [0.08, 0.008, 0.008, 0.0008]);
});

test('plateau divides by 10 three times, each after patience epochs without a better error, then ends', () => {
  const plateau = settings({ schedule: 'plateau', patience: 2 });
  let state = startSchedule();
  const rates: number[] = [];
  const errors = [0.9, 0.8, 0.8, 0.85, 0.7, 0.7, 0.7, 0.7, 0.71, 0.9, 0.7];
  for (const error of errors) {
    assert.equal(state.ended, false);
    rates.push(learningRateAt(plateau, state, 0, 7));
    state = afterEpoch(plateau, state, error);
  }
  assert.deepEqual(rates, [0.08, 0.08, 0.08, 0.08, 0.008, 0.008, 0.008, 0.0008, 0.0008, 0.08 / 1000, 0.08 / 1000]);
  assert.equal(state.ended, true);
});

test('plateau continues alike after its state went through JSON', () => {
  const plateau = settings({ schedule: 'plateau', patience: 2 });
  const state = afterEpoch(plateau, afterEpoch(plateau, startSchedule(), 0.5), 0.6);
  const restored = JSON.parse(JSON.stringify(state));
  assert.deepEqual(afterEpoch(plateau, restored, 0.6), afterEpoch(plateau, state, 0.6));
  assert.equal(afterEpoch(plateau, restored, 0.6).reductions, 1);
});

test('cosine falls from the full rate through half of it to nearly 0', () => {
  const cosine = settings({ schedule: 'cosine', epochs: 10 });
  const at = (step: number) => learningRateAt(cosine, startSchedule(), step, 6);
  assert.equal(at(0), 0.08);
  assert.ok(Math.abs(at(30) - 0.04) < 1e-12);
  assert.ok(Math.abs(at(20) - 0.06) < 1e-12); // cos(π/3) = 1/2
  assert.ok(at(59) > 0 && at(59) < 1e-4);
});

test('warm-up climbs linearly to the full rate, and cosine takes the epochs that are left', () => {
  const warm = settings({ schedule: 'cosine', epochs: 10, warmupEpochs: 2 });
  const rates = [0, 5, 11, 12, 36].map((step) => learningRateAt(warm, startSchedule(), step, 6));
  [0.08 / 12, 0.04, 0.08, 0.08, 0.04].forEach((expected, i) => {
    assert.ok(Math.abs(rates[i] - expected) < 1e-12, `rate ${i}: expected ${expected}, got ${rates[i]}`);
  });
});
