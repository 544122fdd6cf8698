/**
 * Which images a process trains on, step by step of an epoch: every process its own part of every batch, and no image
 * twice.
 */
import { permutation, type Random, random } from '../../../base/random.js';
import type { Shards, Split } from '../dataset.js';
import { batchesOf } from '../stream/read-ahead.js';

/** One of the processes that train together. */
export interface Rank {
  /** From 0. */
  rank: number;
  /** How many processes there are. */
  size: number;
}

/**
 * Images that this process takes of `count`: neighbouring ranks' parts are neighbours, of lengths that differ by one at
 * most.
 */
export function partOf(count: number, { rank, size }: Rank): { start: number; end: number } {
  return { start: Math.floor((rank * count) / size), end: Math.floor(((rank + 1) * count) / size) };
}

/** Whether an epoch's order is one of shards: then it depends on the number of processes too. */
export function isReadByShards({ shards }: Split): boolean {
  return shards !== undefined && new Set(shards.of).size > shards.together;
}

export interface EpochOptions extends Rank {
  seed: number;
  epoch: number;
  /** Images of a step, of all processes together. */
  batch: number;
}

/**
 * The process's images of every step, in an order drawn from seed and epoch; together the processes' are the batches
 * that one process alone would have. Of a split in more shards than are shuffled together, each process reads shards of
 * its own instead, and shares at most the first and the last of them.
 * @param position  of the first step, from 0
 */
export function* epochBatches(split: Split, options: EpochOptions, position = 0): Generator<Uint32Array> {
  if (split.shards && isReadByShards(split)) {
    yield* batchesOfShards(imagesByShard(split.shards), split.shards.together, options, position);
    return;
  }
  const order = permutation(split.length, random(options.seed, 'shuffle', options.epoch));
  for (const indices of batchesOf(order, options.batch, position)) {
    const { start, end } = partOf(indices.length, options);
    yield indices.subarray(start, end);
  }
}

function imagesByShard({ of }: Shards): number[][] {
  const shards = new Map<number, number[]>();
  of.forEach((shard, index) => {
    const images = shards.get(shard);
    if (images) images.push(index);
    else shards.set(shard, [index]);
  });
  return [...shards.values()];
}

/**
 * The shards one after another in an order of the epoch's own, cut into a part for each process; each part is shuffled.
 */
function* batchesOfShards(
  shards: number[][],
  together: number,
  { seed, epoch, batch, rank, size }: EpochOptions,
  position: number,
): Generator<Uint32Array> {
  const sequence = Array.from(
    permutation(shards.length, random(seed, 'shards', epoch)),
    (shard) => shards[shard],
  ).flat();
  const steps = Math.floor(sequence.length / batch);
  const [whole, rest] = [batch, sequence.length % batch].map((count) => partOf(count, { rank, size }));
  const part = sequence.slice(steps * whole.start + rest.start, steps * whole.end + rest.end);
  const window = Math.ceil((sequence.length * together) / shards.length);
  const order = shuffled(part, window, random(seed, 'shuffle', epoch, rank));
  const each = whole.end - whole.start;
  for (let step = position; step < steps; step++) yield order.subarray(step * each, (step + 1) * each);
  if (position <= steps && sequence.length % batch > 0) yield order.subarray(steps * each);
}

/**
 * Every image is moved back by a random share of the window, so that what is read at any time lies within one window,
 * which moves on evenly. Whole windows shuffled one by one would each begin with a stop to fetch nearly all of the
 * next.
 */
function shuffled(images: number[], window: number, { uniform }: Random): Uint32Array {
  const keys = Float64Array.from(images, (_, place) => place + window * uniform());
  const places = Uint32Array.from(images, (_, place) => place).sort((a, b) => keys[a] - keys[b] || a - b);
  return places.map((place) => images[place]);
}
