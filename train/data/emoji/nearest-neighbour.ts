/**
 * What a classifier must beat: the nearest training image in raw pixels, both shrunk to 16×16, by Euclidean distance.
 * Cost grows with train × test images (6,000 × 500 take seconds): meant for small sets.
 */
import { random } from '../../../base/random.js';
import type { Split } from '../dataset.js';

const GRID = 16;
const LENGTH = GRID * GRID * 3;

/**
 * @param imagePx       side of both splits' images, pixels, at least 16
 * @param options.seed  names the draws of images that are made at each use
 * @returns             fractions; the top five are the classes of the nearest images, each class counted once
 */
export function nearestNeighbour(
  train: Split,
  test: Split,
  imagePx: number,
  options: { seed: number },
): { top1Error: number; top5Error: number } {
  const known = shrinkAll(train, imagePx, options.seed);
  const asked = shrinkAll(test, imagePx, options.seed);
  const classes = 1 + train.labels.reduce((largest, label) => Math.max(largest, label), 0);
  let wrong1 = 0;
  let wrong5 = 0;
  for (let index = 0; index < test.length; index++) {
    const nearest = classDistances(known, train.labels, classes, asked.subarray(index * LENGTH, (index + 1) * LENGTH));
    const own = nearest[test.labels[index]] ?? Number.POSITIVE_INFINITY;
    const nearer = nearest.reduce((count, distance) => count + (distance < own ? 1 : 0), 0);
    if (nearer >= 1) wrong1 += 1;
    if (nearer >= 5) wrong5 += 1;
  }
  return { top1Error: wrong1 / test.length, top5Error: wrong5 / test.length };
}

/** Squared distance from `asked` to the nearest image of each class. */
function classDistances(known: Float32Array, labels: Uint16Array, classes: number, asked: Float32Array): Float64Array {
  const nearest = new Float64Array(classes).fill(Number.POSITIVE_INFINITY);
  for (let image = 0; image < labels.length; image++) {
    const limit = nearest[labels[image]];
    const start = image * LENGTH;
    let sum = 0;
    // A row at a time: most images are farther than their class's nearest after a few rows.
    for (let row = 0; row < LENGTH && sum < limit; row += GRID * 3) {
      for (let i = row; i < row + GRID * 3; i++) {
        const difference = known[start + i] - asked[i];
        sum += difference * difference;
      }
    }
    if (sum < limit) nearest[labels[image]] = sum;
  }
  return nearest;
}

/** Every image as means over a 16×16 grid: [length, 16, 16, 3]. */
function shrinkAll(split: Split, imagePx: number, seed: number): Float32Array {
  const edge = Array.from({ length: GRID + 1 }, (_, cell) => Math.floor((cell * imagePx) / GRID));
  const shrunk = new Float32Array(split.length * LENGTH);
  for (let index = 0; index < split.length; index++) {
    const pixels = split.pixels(index, random(seed, 'neighbour', index));
    for (let i = 0; i < LENGTH; i++) {
      const [y, x, c] = [Math.floor(i / (GRID * 3)), Math.floor(i / 3) % GRID, i % 3];
      let sum = 0;
      for (let row = edge[y]; row < edge[y + 1]; row++) {
        for (let column = edge[x]; column < edge[x + 1]; column++) sum += pixels[(row * imagePx + column) * 3 + c];
      }
      shrunk[index * LENGTH + i] = sum / ((edge[y + 1] - edge[y]) * (edge[x + 1] - edge[x]));
    }
  }
  return shrunk;
}
