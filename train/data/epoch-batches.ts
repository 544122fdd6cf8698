/** Which pictures a process trains on, step by step of an epoch: every process its own part of every batch, and no picture twice. */
import { permutation, random } from '../../model/random.js';
import type { Split } from './dataset.js';
import { batchesOf } from './read-ahead.js';

/** One of the processes that train together. */
export interface Rank {
  /** From 0. */
  rank: number;
  /** How many processes there are. */
  size: number;
}

/** Pictures that the process takes of so many: neighbouring ranks' parts are neighbours, of lengths that differ by one at most. */
export function partOf(count: number, { rank, size }: Rank): { start: number; end: number } {
  return { start: Math.floor((rank * count) / size), end: Math.floor(((rank + 1) * count) / size) };
}

export interface EpochOptions extends Rank {
  seed: number;
  epoch: number;
  /** Pictures of a step, of all processes together. */
  batch: number;
}

/**
 * The process's pictures of every step, in an order drawn from seed and epoch; together the processes' are the batches that one
 * process alone would have.
 * @param position  of the first step, from 0
 */
export function* epochBatches(split: Split, options: EpochOptions, position = 0): Generator<Uint32Array> {
  const order = permutation(split.length, random(options.seed, 'shuffle', options.epoch));
  for (const indices of batchesOf(order, options.batch, position)) {
    const { start, end } = partOf(indices.length, options);
    yield indices.subarray(start, end);
  }
}
