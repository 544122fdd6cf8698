import assert from 'node:assert/strict';
import { test } from 'node:test';
import { random } from '../../../base/random.js';
import { trainingBatch } from '../../../train/data/batches/augment.js';
import { colourShift, colourStatistics, principalComponents } from '../../../train/data/batches/colour.js';
import type { Split } from '../../../train/data/dataset.js';

function near(actual: ArrayLike<number>, expected: number[], within = 1e-9): void {
  for (const [i, value] of expected.entries())
    assert.ok(Math.abs(actual[i] - value) < within, `${i}: ${actual[i]}, ${value}`);
}

/** Pixels that vary along (2, 1, 2) / 3 with variance 450, and along (1, 2, −2) / 3 with 72, about (100, 120, 90). */
const PIXELS: number[][] = [];
for (const [a, b] of [
  [10, 4],
  [10, -4],
  [-10, 4],
  [-10, -4],
])
  PIXELS.push([100 + 2 * a + b, 120 + a + 2 * b, 90 + 2 * a - 2 * b]);

const split = (px: number): Split => ({
  length: 6,
  labels: new Uint16Array(6),
  name: String,
  pixels: () => Uint8Array.from({ length: px * px * 3 }, (_, i) => PIXELS[Math.floor(i / 3) % 4][i % 3]),
});

test('finds the components of colours, largest first', () => {
  const { eigenvalues, eigenvectors } = colourStatistics(split(4), 0);
  near(eigenvalues, [900, 144, 0], 1e-6);
  near(eigenvectors[0], [2 / 3, 1 / 3, 2 / 3], 1e-6);
  near(eigenvectors[1].map(Math.abs), [1 / 3, 2 / 3, 2 / 3], 1e-6);
});

test('takes any symmetric matrix apart: components are orthonormal and give it back', () => {
  const stream = random('matrix');
  for (let round = 0; round < 20; round++) {
    const b = [0, 1, 2].map(() => [0, 1, 2].map(() => stream.normal() * 50));
    const matrix = b.map((row) => b.map((other) => row.reduce((sum, value, k) => sum + value * other[k], 0)));
    const { eigenvalues, eigenvectors: v } = principalComponents(matrix);
    assert.ok(eigenvalues[0] >= eigenvalues[1] && eigenvalues[1] >= eigenvalues[2]);
    for (let i = 0; i < 3; i++)
      for (let j = 0; j < 3; j++) {
        const product = v[i].reduce((sum, value, k) => sum + value * v[j][k], 0);
        near([product], [i === j ? 1 : 0], 1e-9);
        const back = eigenvalues.reduce((sum, value, k) => sum + value * v[k][i] * v[k][j], 0);
        near([back], [matrix[i][j]], 1e-6 * eigenvalues[0]);
      }
  }
});

test('shifts colours by a tenth of the standard deviation along each component', () => {
  const statistics = colourStatistics(split(4), 0);
  const count = 4000;
  const squares = [0, 0, 0];
  for (let n = 0; n < count; n++) {
    const shift = colourShift(statistics, 0.1, random('shift', n));
    statistics.eigenvectors.forEach((component, i) => {
      squares[i] += component.reduce((sum, part, c) => sum + part * shift[c], 0) ** 2 / count;
    });
  }
  near(squares, [9, 1.44, 0], 0.5); // (0.1 · 30)², (0.1 · 12)²
});

test('one shift an image and epoch, on every pixel; crops and mirrors are drawn as without', () => {
  const [imagePx, inputPx] = [6, 4];
  const images = split(imagePx);
  const mean = new Float32Array(imagePx * imagePx * 3);
  const options = { mirror: true, randomCrop: true, seed: 4, epoch: 1 };
  const order = Uint32Array.of(3, 0, 5);
  const plain = trainingBatch(images, { imagePx, inputPx, mean }, order, options);
  const colours = colourStatistics(images, 0);
  const noisy = trainingBatch(images, { imagePx, inputPx, mean }, order, { ...options, colourNoise: 0.1, colours });
  const shifts = new Set<string>();
  const size = inputPx * inputPx * 3;
  for (let n = 0; n < 3; n++) {
    const shift = [0, 1, 2].map((c) => noisy.images[n * size + c] - plain.images[n * size + c]);
    shifts.add(shift.map((value) => value.toFixed(3)).join());
    for (let i = 0; i < size; i++) {
      near([noisy.images[n * size + i] - plain.images[n * size + i]], [shift[i % 3]], 1e-4);
    }
  }
  assert.equal(shifts.size, 3);
  const again = trainingBatch(images, { imagePx, inputPx, mean }, order, { ...options, colourNoise: 0.1, colours });
  assert.deepEqual(again.images, noisy.images);
});
