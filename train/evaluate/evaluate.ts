/** Counts a classifier's top-1 and top-5 errors over a split, whatever computes the probabilities. */
import { setImmediate } from 'node:timers/promises';
import { allFinite } from '../../base/all-finite.js';
import type { Split } from '../data/dataset.js';
import { batchesOf, loadAhead } from '../data/stream/read-ahead.js';

/** Probabilities of the images at these positions of a split, float32 [indices.length, classes]. */
export type Predict = (indices: Uint32Array, loaded: Split) => Promise<Float32Array>;

/** Errors are fractions; top-5 counts the best min(5, classes). */
export interface Evaluation {
  images: number;
  /**
   * Mean cross-entropy, −log of the true class's probability; without dropout, unlike a training loss. Infinite if a
   * probability is not finite.
   */
  loss: number;
  top1Error: number;
  top5Error: number;
}

/** One image's prediction, as a line of `--predictions` has it. */
export interface ImagePrediction {
  name: string;
  /** Its true class. */
  label: number;
  /** The best classes, most probable first. */
  top5: number[];
  /** Of the first. */
  probability: number;
  /** Cross-entropy, −log of the true class's probability. */
  loss: number;
}

export interface EvaluateOptions {
  /** Images a call of `predict`. */
  batch: number;
  /** Images from `start` up to `end`; default: all. */
  part?: { start: number; end: number };
  /** In place of a part: at most this many images, see `spreadOver`. */
  images?: number;
  /** @param index  position in the split */
  onImage?(prediction: ImagePrediction, index: number): void;
  onProgress?(done: number, total: number): void;
  /** Asked between batches; true ends the evaluation early. */
  stopped?(): boolean;
}

/** Smallest normal float32: a probability that was rounded to 0 costs 87, not infinity. */
const SMALLEST_PROBABILITY = 2 ** -126;

/** @returns null when `stopped` ended it */
export async function evaluate(predict: Predict, split: Split, options: EvaluateOptions): Promise<Evaluation | null> {
  let wrongTop1 = 0;
  let wrongTop5 = 0;
  let lossSum = 0;
  const { part, images = split.length } = options;
  const order = part
    ? Uint32Array.from({ length: part.end - part.start }, (_, i) => part.start + i)
    : spreadOver(split, images);
  let done = 0;
  for await (const { indices, images: loaded } of loadAhead(split, batchesOf(order, options.batch))) {
    const count = indices.length;
    const probabilities = await predict(indices, loaded);
    const classes = probabilities.length / count;
    for (let i = 0; i < count; i++) {
      const row = probabilities.subarray(i * classes, (i + 1) * classes);
      const label = split.labels[indices[i]];
      const top5 = topClasses(row, 5);
      const usable = allFinite(row); // else the order of the classes means nothing
      const loss = usable ? -Math.log(Math.max(row[label], SMALLEST_PROBABILITY)) : Number.POSITIVE_INFINITY;
      lossSum += loss;
      if (!usable || top5[0] !== label) wrongTop1 += 1;
      if (!usable || !top5.includes(label)) wrongTop5 += 1;
      const prediction = { name: split.name(indices[i]), label, top5, probability: row[top5[0]], loss };
      options.onImage?.(prediction, indices[i]);
    }
    done += count;
    options.onProgress?.(done, order.length);
    await setImmediate(); // lets signals in
    if (options.stopped?.()) return null;
  }
  const mean = (sum: number) => sum / order.length;
  return { images: order.length, loss: mean(lossSum), top1Error: mean(wrongTop1), top5Error: mean(wrongTop5) };
}

/** Positions of at most `count` images spread evenly over a split, and so over its classes. */
export function spreadOver({ length }: Pick<Split, 'length'>, count: number): Uint32Array {
  const used = Math.min(count, length);
  return Uint32Array.from({ length: used }, (_, i) => Math.floor((i * length) / used));
}

/** Indices of the `count` largest values, largest first; of equal ones the lower index first. */
export function topClasses(probabilities: Float32Array, count: number): number[] {
  const order = Array.from(probabilities, (_, index) => index);
  return order.sort((a, b) => probabilities[b] - probabilities[a] || a - b).slice(0, count);
}
