import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meanColour, meanImage } from '../../../train/data/batches/mean.js';
import type { Split } from '../../../train/data/dataset.js';

function splitOf(images: number[][]): Split {
  return {
    length: images.length,
    labels: new Uint16Array(images.length),
    name: String,
    pixels: (index) => Uint8Array.from(images[index]),
  };
}

test('averages every pixel and channel on its own', () => {
  // Three images of 2×2, by hand.
  const split = splitOf([
    [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110],
    [255, 10, 26, 0, 41, 50, 0, 0, 80, 9, 1, 11],
    [255, 10, 26, 0, 42, 53, 0, 5, 80, 9, 1, 11],
  ]);
  assert.deepEqual([...meanImage(split, 1)], [170, 10, 24, 10, 41, 51, 20, 25, 80, 36, 34, 44]);
});

test('is exact if a float32 sum would stop growing', () => {
  // 2^24 / 255 is 65,793.
  const white = Uint8Array.of(255, 254, 253);
  const split = { length: 70_000, labels: new Uint16Array(70_000), name: String, pixels: () => white };
  assert.deepEqual([...meanImage(split, 1)], [255, 254, 253]);
});

test('averages the colours of a mean image', () => {
  assert.deepEqual(meanColour(Float32Array.of(1, 10, 100, 3, 30, 200, 5, 20, 0)), [3, 20, 100]);
});

test('gives generated images the same draws for the same seed, others for another', () => {
  const noisy: Split = {
    length: 3,
    labels: new Uint16Array(3),
    name: String,
    pixels: (_, stream) => Uint8Array.from({ length: 12 }, () => stream.integer(256)),
  };
  assert.deepEqual(meanImage(noisy, 5), meanImage(noisy, 5));
  assert.notDeepEqual(meanImage(noisy, 5), meanImage(noisy, 6));
});
