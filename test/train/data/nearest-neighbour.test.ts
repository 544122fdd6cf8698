import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Split } from '../../../train/data/dataset.js';
import { nearestNeighbour } from '../../../train/data/emoji/nearest-neighbour.js';

const imagePx = 32;

/** Images of one grey each. */
function greys(values: number[], labels: number[]): Split {
  return {
    length: values.length,
    labels: Uint16Array.from(labels),
    name: String,
    pixels: (index) => new Uint8Array(imagePx * imagePx * 3).fill(values[index]),
  };
}

test('counts the class of the nearest image, and the five nearest classes once each', () => {
  // Seven classes; class 0 twice, so that its second image must not take a place of the five.
  const train = greys([10, 12, 30, 50, 70, 90, 110, 130], [0, 0, 1, 2, 3, 4, 5, 6]);
  const test = greys([11, 33, 11, 11, 11], [0, 1, 2, 4, 6]);
  // Right; right; third; fifth; seventh.
  assert.deepEqual(nearestNeighbour(train, test, imagePx, { seed: 1 }), { top1Error: 3 / 5, top5Error: 1 / 5 });
});

test('compares place by place, not mean colours', () => {
  const half = (side: 'left' | 'top') =>
    Uint8Array.from({ length: imagePx * imagePx * 3 }, (_, i) => {
      const [y, x] = [Math.floor(i / (imagePx * 3)), Math.floor(i / 3) % imagePx];
      return (side === 'left' ? x : y) < 16 ? 200 : 20;
    });
  const images = [half('left'), half('top')];
  const split: Split = { length: 2, labels: Uint16Array.of(0, 1), name: String, pixels: (index) => images[index] };
  assert.equal(nearestNeighbour(split, split, imagePx, { seed: 1 }).top1Error, 0);
  const crossed = { ...split, pixels: (index: number) => images[1 - index] };
  assert.equal(nearestNeighbour(split, crossed, imagePx, { seed: 1 }).top1Error, 1);
});
