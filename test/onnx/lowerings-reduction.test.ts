import '../../base/tfjs/backend-cpu.js';
// Registers the gradients of tfjs-core's kernels.
import '../../base/tfjs/layers.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import { kernelCounts } from '../../onnx/backend/index.js';
import { sameOnBoth, tensor } from './on-both.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

/** In NCHW in memory: [2, 4, 3, 6]. */
const image = () =>
  tf.conv2d(
    tensor<tf.Rank.R4>([2, 5, 4, 3]) as tf.Tensor4D,
    tensor<tf.Rank.R4>([2, 2, 3, 6], 7) as tf.Tensor4D,
    1,
    'valid',
  );
const integers = () => tf.cast(tf.mul(tensor([2, 3, 5], 3), 9), 'int32');
const booleans = () => tf.greater(tensor([2, 3, 5], 3), 0.4);

describe('reductions', () => {
  for (const axis of [undefined, 0, -1, [0, 2], [1, 2]]) {
    for (const keepDims of [false, true]) {
      it(`agree for all types over axes ${axis}, kept ${keepDims}`, () =>
        sameOnBoth(() => [
          tf.prod(tensor([2, 3, 5], 3), axis, keepDims),
          tf.min(tensor([2, 3, 5], 3), axis, keepDims),
          ...[tf.sum, tf.prod, tf.mean, tf.max, tf.min].map((op) => op(integers(), axis, keepDims)),
          ...[tf.sum, tf.prod, tf.mean, tf.any, tf.all].map((op) => op(booleans(), axis, keepDims)),
        ]));
    }
  }

  it('agree on what lies in NCHW', () =>
    sameOnBoth(() => [
      tf.min(image(), [1, 2]),
      tf.max(image(), 3, true),
      tf.prod(tf.mul(image(), 2), 1),
      tf.all(tf.greater(image(), -1), [0, 3]),
      tf.any(tf.greater(image(), 1), [1]),
      tf.argMin(image(), 3),
      tf.argMax(image(), 1),
    ]));

  const ROWS = [
    [1, nan, 3, 2],
    [nan, 5, 1, 9],
    [inf, 1, inf, nan],
    [-inf, -inf, nan, -inf],
    [nan, nan, nan, nan],
    [2, 2, -1, -1],
  ];
  it('agree with NaN and infinities in every place', () =>
    sameOnBoth(() => {
      const rows = tf.tensor2d(ROWS);
      return [tf.max, tf.min, tf.sum, tf.mean, tf.prod, tf.argMax, tf.argMin].flatMap((op) => [
        op(rows, 0),
        op(rows, 1),
      ]);
    }));

  it('agree on the first of equals, of integers and booleans too', () =>
    sameOnBoth(() =>
      [tf.argMax, tf.argMin].flatMap((op) => [
        op(tensor([4, 6], 2), 1),
        op(tensor([4, 6, 5], 2), 0),
        op(tf.tensor([3, 1, 3, 1, 7, 7], [2, 3], 'int32'), 1),
        op(tf.tensor([0, 1, 1, 0, 0, 0], [2, 3], 'bool'), -1),
      ]),
    ));

  it('agree on the largest numbers without their places, and on places without numbers', () =>
    sameOnBoth(() => {
      const { values } = tf.topk(tensor([5, 9], 4), 3);
      const { indices } = tf.topk(tensor([5, 9], 5), 3);
      return [values, tf.sum(tf.topk(image(), 2).values), indices];
    }));

  it('agree in gradients', () =>
    sameOnBoth(() =>
      [tf.min, tf.max, tf.mean, tf.logSumExp].map((op) =>
        tf.grad((x) => tf.sum(tf.mul(op(x, 1), tensor([2, 5], 8))))(tf.add(tensor([2, 3, 5], 4), 1.7)),
      ),
    ));

  it('agree for softmax and its logarithm of large and infinite numbers', () =>
    sameOnBoth(() => {
      const rows = tf.tensor2d([
        [1000, 999, -1000],
        [-inf, 0, 1],
        [nan, 0, 1],
      ]);
      return [tf.softmax(rows), tf.logSoftmax(rows), tf.logSumExp(rows, 1)];
    }));
});

describe('running sums and products', () => {
  for (const [exclusive, reverse] of [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ]) {
    it(`agree along every axis, exclusive ${exclusive}, reversed ${reverse}`, () =>
      sameOnBoth(() =>
        [0, 1, 2].flatMap((axis) => [
          tf.cumsum(tensor([2, 3, 7], 3), axis, exclusive, reverse),
          tf.cumprod(tensor([2, 3, 7], 3), axis, exclusive, reverse),
          tf.cumsum(integers(), axis, exclusive, reverse),
          tf.cumprod(integers(), axis, exclusive, reverse),
          tf.cumsum(booleans(), axis, exclusive, reverse),
        ]),
      ));
  }
  it('agree on one element, NaN, infinities, and what lies in NCHW', () =>
    sameOnBoth(() => [
      tf.cumprod(tf.tensor([3]), 0, true),
      tf.cumprod(tf.tensor([2, 0, inf, 1, 5])),
      tf.cumsum(tf.tensor([1, inf, -inf, 2])),
      tf.cumsum(tf.tensor([1, nan, 2]), 0, true, true),
      tf.cumsum(image(), 3),
      tf.cumprod(image(), 1),
    ]));
  it('agree in the gradient of the sum', () =>
    sameOnBoth(() => tf.grad((x) => tf.sum(tf.mul(tf.cumsum(x, 1), tensor([2, 5], 8))))(tensor([2, 5], 4))));
});

describe('tensors from attributes', () => {
  it('agree: ranges and lines, counted as tfjs counts', () =>
    sameOnBoth(() => [
      tf.range(0, 1, 0.1),
      tf.range(5, -3, -2, 'int32'),
      tf.range(3, 0),
      tf.range(0.5, 7, 1.5, 'int32'),
      tf.linspace(-1, 3, 7),
      tf.linspace(2, 9, 1),
      tf.mul(tf.range(0, 100, 0.3), 2),
    ]));
  it('leaves long ranges to the cpu backend', async () => {
    await tf.setBackend('onnxruntime');
    assert.equal(tf.range(0, 5000).dataSync()[4999], 4999);
    assert.ok(kernelCounts().delegated['Range (5000 numbers)'] >= 1);
  });
  it('agree: fill with every type', () =>
    sameOnBoth(() => [
      tf.fill([2, 3], -1.75),
      tf.fill([2, 3], 7, 'int32'),
      tf.fill([3], nan),
      tf.fill([3], -inf),
      tf.zerosLike(booleans()),
      tf.onesLike(integers()),
    ]));
});
