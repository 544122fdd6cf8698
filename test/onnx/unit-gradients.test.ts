/**
 * Gradients of resizing and pooling against the cpu backend's forward pass, one unit vector at a time: its own gradients
 * are no oracle. That of average pooling divides by the whole window where padding cut it, and that of
 * `resizeNearestNeighbor` with aligned corners does not end where it enlarges a single row or column.
 */
import '../../base/tfjs/backend-cpu.js';
import '../../base/tfjs/layers.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import '../../onnx/backend/index.js';
import { numbers } from './on-both.js';

type T4 = tf.Tensor4D;
type Shape = [number, number, number, number];
type Op = (x: T4) => tf.Tensor;

/** Every value another, in no order, so that a maximum stays one when a quarter is added. */
const distinct = (length: number) => Float32Array.from({ length }, (_, i) => (i * 7919) % 1009);

/** Σ dy · ∂y/∂x from differences, exact for what is linear between such values. */
async function expected(op: Op, shape: Shape, at: Float32Array, dy: Float32Array): Promise<number[]> {
  await tf.setBackend('cpu');
  const values = (x: Float32Array) => tf.tidy(() => op(tf.tensor4d(x, shape)).dataSync() as Float32Array);
  const before = values(at);
  return Array.from(at, (_, j) => {
    const moved = at.slice();
    moved[j] += 0.25;
    return values(moved).reduce((sum, value, i) => sum + (dy[i] * (value - before[i])) / 0.25, 0);
  });
}

async function gradientIsRight(op: Op, shape: Shape): Promise<void> {
  const at = distinct(tf.util.sizeFromShape(shape));
  await tf.setBackend('cpu');
  const outputs = tf.tidy(() => op(tf.tensor4d(at, shape)).shape);
  const dy = numbers(tf.util.sizeFromShape(outputs), 3);
  const wanted = await expected(op, shape, at, dy);
  await tf.setBackend('onnxruntime');
  const loss = (x: tf.Tensor) => tf.sum(tf.mul(op(x as T4), tf.tensor(dy, outputs)));
  const found = tf.tidy(() => tf.grad(loss)(tf.tensor(at, shape)).dataSync());
  for (const [i, value] of found.entries())
    assert.ok(Math.abs(value - wanted[i]) < 2e-2, `entry ${i} of [${shape}]: ${value}, expected ${wanted[i]}`);
}

const SIZES: [from: Shape, to: [number, number]][] = [
  [
    [1, 5, 4, 2],
    [1, 3],
  ],
  [
    [1, 4, 5, 1],
    [3, 1],
  ],
  [
    [2, 3, 4, 1],
    [7, 6],
  ],
  [
    [1, 6, 5, 2],
    [3, 2],
  ],
  [
    [1, 1, 3, 2],
    [4, 5],
  ],
  [
    [1, 3, 1, 2],
    [2, 4],
  ],
];

describe('gradients of resizing, by unit vectors', () => {
  for (const [shape, to] of SIZES)
    for (const [alignCorners, halfPixels] of [
      [false, false],
      [true, false],
      [false, true],
    ])
      for (const [name, resize] of Object.entries({
        bilinear: tf.image.resizeBilinear,
        nearest: tf.image.resizeNearestNeighbor,
      }))
        it(`${name} [${shape}] to ${to}, corners ${alignCorners}, half pixels ${halfPixels}`, () =>
          gradientIsRight((x) => resize(x, to, alignCorners, halfPixels), shape));
});

const WINDOWS: [size: [number, number], strides: [number, number], pad: 'same' | 'valid' | number][] = [
  [[3, 2], [2, 1], 'same'],
  [[2, 3], [1, 2], 'valid'],
  [[2, 2], [3, 3], 'same'],
  [[3, 3], [1, 1], 1],
  [[4, 1], [2, 2], 'same'],
];

describe('gradients of pooling, by unit vectors', () => {
  for (const [size, strides, pad] of WINDOWS)
    for (const [name, pool] of Object.entries({ average: tf.avgPool, maximum: tf.maxPool }))
      it(`${name} of ${size}, strides ${strides}, padding ${pad}`, () =>
        gradientIsRight((x) => pool(x, size, strides, pad), [1, 7, 6, 2]));
});
