import assert from 'node:assert/strict';
import { test } from 'node:test';
import { permutation, random } from '../../../base/random.js';
import { type EpochOptions, epochBatches } from '../../../train/data/batches/epoch-batches.js';
import type { Split } from '../../../train/data/dataset.js';

/** A split of this many images; of shards where their lengths are given, numbered 10, 11, … */
function splitOf(length: number, shards?: { lengths: number[]; together: number }): Split {
  const of = Uint32Array.from(shards?.lengths.flatMap((count, shard) => Array(count).fill(10 + shard)) ?? []);
  assert.equal(of.length, shards ? length : 0);
  return {
    length,
    labels: new Uint16Array(length),
    name: String,
    pixels: () => new Uint8Array(),
    ...(shards && { shards: { of, together: shards.together } }),
  };
}

const batches = (split: Split, options: EpochOptions, position?: number): number[][] =>
  Array.from(epochBatches(split, options, position), (indices) => [...indices]);
const sorted = (values: Iterable<number>): number[] => [...values].sort((a, b) => a - b);
const all = (length: number): number[] => Array.from({ length }, (_, i) => i);

/** Seven shards of 1 to 9 images, 29 in all, two of which are shuffled together. */
const LENGTHS = [4, 9, 1, 3, 5, 2, 5];
const far = splitOf(29, { lengths: LENGTHS, together: 2 });
const shardOf = (image: number): number => far.shards!.of[image];

test('every step has a whole batch of all processes together, and an epoch every image once', () => {
  for (const split of [far, splitOf(29)]) {
    for (const size of [1, 2, 3, 5, 11]) {
      for (const batch of [4, 7, 29]) {
        const ranks = all(size).map((rank) => batches(split, { seed: 3, epoch: 2, batch, rank, size }));
        const steps = Math.ceil(29 / batch);
        for (const rank of ranks) assert.equal(rank.length, steps);
        for (let step = 0; step < steps; step++) {
          const lengths = ranks.map((rank) => rank[step].length);
          const expected = Math.min(batch, 29 - step * batch);
          assert.equal(
            lengths.reduce((sum, length) => sum + length),
            expected,
          );
          assert.ok(Math.max(...lengths) - Math.min(...lengths) <= 1, `${lengths}`);
        }
        assert.deepEqual(sorted(ranks.flat(2)), all(29));
      }
    }
  }
});

test('of images that are near, the processes together have the batches that one alone would have', () => {
  const split = splitOf(29);
  const options = { seed: 3, epoch: 2, batch: 7 };
  const alone = batches(split, { ...options, rank: 0, size: 1 });
  const order = permutation(29, random(3, 'shuffle', 2));
  assert.deepEqual(alone.flat(), [...order]);
  const ranks = all(3).map((rank) => batches(split, { ...options, rank, size: 3 }));
  assert.deepEqual(
    alone,
    alone.map((_, step) => ranks.flatMap((rank) => rank[step])),
  );
});

test('a process reads shards of its own, and shares at most the first and the last', () => {
  for (const size of [2, 3, 4, 11]) {
    for (const epoch of [1, 2, 3]) {
      const ranks = all(size).map((rank) => batches(far, { seed: 3, epoch, batch: 11, rank, size }).flat());
      const readers = new Map<number, Set<number>>();
      ranks.forEach((images, rank) => {
        for (const image of images) readers.set(shardOf(image), (readers.get(shardOf(image)) ?? new Set()).add(rank));
      });
      const reads = [...readers.values()].reduce((sum, { size }) => sum + size, 0);
      assert.ok(reads <= LENGTHS.length + size - 1, `${size} processes read ${reads} shards`);
      // The processes that share a shard are neighbours.
      for (const sharing of readers.values())
        assert.equal(Math.max(...sharing) - Math.min(...sharing), sharing.size - 1);
    }
  }
});

test('reads the shards of one window at a time, in an order of the epoch’s own', () => {
  // 40 shards of 3 images, 5 together: an image is moved by fewer than 15 places.
  const split = splitOf(120, { lengths: Array(40).fill(3), together: 5 });
  const orders = [1, 2].map((epoch) => batches(split, { seed: 8, epoch, batch: 9, rank: 0, size: 1 }).flat());
  for (const [i, order] of orders.entries()) {
    const shards = permutation(40, random(8, 'shards', i + 1));
    const unshuffled = Array.from(shards, (shard) => [3 * shard, 3 * shard + 1, 3 * shard + 2]).flat();
    const moves = order.map((image, place) => Math.abs(unshuffled.indexOf(image) - place));
    assert.ok(Math.max(...moves) < 15, `${moves}`);
    assert.ok(moves.reduce((sum, move) => sum + move) / 120 > 2, 'and is moved');
  }
  assert.notDeepEqual(orders[0], orders[1]);
  const other = batches(split, { seed: 9, epoch: 1, batch: 9, rank: 0, size: 1 }).flat();
  assert.notDeepEqual(orders[0], other);
});

test('takes up an epoch at any step, in the same order', () => {
  for (const split of [far, splitOf(29)]) {
    for (const [rank, size] of [
      [0, 1],
      [1, 3],
      [4, 11],
    ]) {
      const options = { seed: 3, epoch: 5, batch: 6, rank, size };
      const whole = batches(split, options);
      for (let step = 0; step <= 5; step++) assert.deepEqual(batches(split, options, step), whole.slice(step));
    }
  }
});

test('images that are far away but shuffled all together have the order of those that are near', () => {
  const options = { seed: 3, epoch: 2, batch: 7, rank: 1, size: 2 };
  const fits = splitOf(29, { lengths: LENGTHS, together: 7 });
  assert.deepEqual(batches(fits, options), batches(splitOf(29), options));
  assert.notDeepEqual(batches(far, options), batches(splitOf(29), options));
});
