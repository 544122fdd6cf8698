import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Float16Array } from '@petamoriken/float16';
import { random } from '../../../base/random.js';
import { sumAsHalves, toHalves } from '../../../train/distributed/half-sum.js';
import { processes } from './in-one-process.js';

test('rounds to float16 as the standard says', () => {
  const stream = random('patterns');
  const words = new Uint32Array(20_000).map(() => stream.bits());
  // Both sides of every place where the form changes: 0, subnormal, normal, infinite.
  words.set([0, 0x80000000, 0x33000000, 0x33000001, 0x387fffff, 0x38800000, 0x477fefff, 0x477ff000, 0x7f800000]);
  const values = new Float32Array(words.buffer).map((value) => (Number.isNaN(value) ? 1.5 : value));
  const halves = new Uint16Array(values.length);
  toHalves(values, 1, halves);
  assert.deepEqual(halves, new Uint16Array(Float16Array.from(values).buffer));
});

test('sums of three processes are equal everywhere, and right to 11 bits of every number', async () => {
  const stream = random('gradients');
  // 11 places are not a multiple of 3; gradients of all sizes, some far below float16's smallest number.
  const own = [0, 1, 2].map(() =>
    Float32Array.from({ length: 11 }, (_, i) => 10 ** ((i >> 2) - 10) * (1 + stream.uniform())),
  );
  const sums = own.map((values) => values.slice());
  await Promise.all(processes(3).map((group, rank) => sumAsHalves(group, sums[rank])));
  assert.deepEqual(sums[1], sums[0]);
  assert.deepEqual(sums[2], sums[0]);
  sums[0].forEach((sum, i) => {
    const exact = own[0][i] + own[1][i] + own[2][i];
    assert.ok(Math.abs(sum - exact) <= 2 ** -10 * exact, `place ${i}: ${sum}, not ${exact}`);
  });
});

test('what is not a finite number stays so', async () => {
  const sums = [Float32Array.of(1, Number.NaN, 3), Float32Array.of(1, 2, Number.NEGATIVE_INFINITY)];
  await Promise.all(processes(2).map((group, rank) => sumAsHalves(group, sums[rank])));
  assert.deepEqual([...sums[0]], [2, Number.NaN, Number.NEGATIVE_INFINITY]);
});
