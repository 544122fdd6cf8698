/**
 * How much of a far set is read at one time: an epoch is shuffled by parts of its files, as many together as make a
 * window.
 */

import { BLOCK_BYTES } from './remote-files.js';

/** What a process reads at one time, and the cache should hold of each: the more, the better the order is shuffled. */
const WINDOW_BYTES = 2 * 2 ** 30;

/**
 * Of a tar, whose images lie across the edges of blocks: a block at the edge of a part is fetched for both, one in
 * sixteen.
 */
export const PART_BYTES = 16 * BLOCK_BYTES;

/** @param bytes  of a part */
export const partsTogether = (bytes: number): number => Math.max(1, Math.floor(WINDOW_BYTES / bytes));
