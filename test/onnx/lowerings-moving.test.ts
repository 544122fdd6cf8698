import '../../base/tfjs/backend-cpu.js';
// Registers the gradients of tfjs-core's kernels.
import '../../base/tfjs/layers.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import { kernelCounts } from '../../onnx/backend/index.js';
import { sameOnBoth, tensor } from './on-both.js';

type T4 = tf.Tensor4D;

const loss = (y: tf.Tensor) => tf.sum(tf.square(y));
const int = (values: number[], shape: number[]) => tf.tensor(values, shape, 'int32');
/** The same numbers as floats, integers and booleans. */
const types = (shape: number[], seed = 3) => [
  tensor(shape, seed),
  tf.cast(tf.mul(tensor(shape, seed), 9), 'int32'),
  tf.cast(tensor(shape, seed), 'bool'),
];
/** A tensor [2, 4, 4, 5] that ONNX keeps in NCHW. */
const nchw = () => tf.conv2d(tensor([2, 6, 5, 3]) as T4, tensor([3, 2, 3, 5]) as T4, 1, 'valid');

describe('slices with steps', () => {
  const cases: [string, number[], number[], number[], ...number[]][] = [
    ['forwards', [0, 1, 1], [2, 5, 4], [1, 2, 1]],
    ['backwards', [1, -1, 3], [0, -6, 0], [-1, -2, -1]],
    ['backwards to the very beginning', [1, 4, 3], [-9, -9, -9], [-1, -1, -2]],
    ['with masks', [1, 1, 0], [2, 3, 2], [1, 1, 2], 0b001, 0b010],
    ['with all axes gone', [1, 2, 3], [2, 3, 4], [1, 1, 1], 0, 0, 0, 0, 0b111],
    ['with a new axis and the rest whole', [0, 1, 3], [1, 9, 0], [1, 1, -1], 0, 0, 0b010, 0b001],
  ];
  for (const [name, begin, end, strides, ...masks] of cases)
    it(`agree: ${name}`, () =>
      sameOnBoth(() => types([2, 5, 4]).map((x) => tf.stridedSlice(x, begin, end, strides, ...masks))));
  // tfjs's cpu kernel takes the wrong entries where an axis goes and another has a step.
  it('agree with an axis gone', () =>
    sameOnBoth(
      () => tf.stridedSlice(tensor([2, 5, 4]), [0, 1, 0], [2, 2, 4], [1, 1, 2], 0, 0, 0, 0, 0b010),
      () => tf.reshape(tf.stridedSlice(tensor([2, 5, 4]), [0, 1, 0], [2, 2, 4], [1, 1, 2]), [2, 2]),
    ));
  it('agree on what lies in NCHW', () =>
    sameOnBoth(() => tf.stridedSlice(nchw(), [0, 3, 0, 1], [2, 0, 4, 5], [1, -2, 1, 3])));
});

describe('kernels that move numbers', () => {
  it('agree: reverse, in each type', () =>
    sameOnBoth(() => [
      ...types([2, 5, 4]).map((x) => tf.reverse(x, [0, -1])),
      tf.reverse(nchw(), 3),
      tf.reverse1d([7]),
    ]));
  it('agree: stack and unstack, in each type', () =>
    sameOnBoth(() => [
      ...[0, 1, -1].map((axis) => tf.stack([tensor([2, 3], 1), tensor([2, 3], 2)], axis)),
      ...types([2, 3]).map((x) => tf.stack([x, x, x], 2)),
      ...types([3, 2, 4]).flatMap((x) => tf.unstack(x, 1)),
      ...tf.unstack(nchw(), -1),
    ]));
  it('agree: stack of one, and its gradient', () =>
    sameOnBoth(() => [tf.stack([tensor([2, 3])]), tf.grad((x) => loss(tf.stack([x, tensor([3], 2)])))(tensor([3]))]));
  it('give a list where there is one part only', async () => {
    await tf.setBackend('onnxruntime');
    const parts = [tf.unstack(tensor([1, 3])), tf.split(tensor([2, 3]), 1)];
    assert.deepEqual(
      parts.map((list) => list.map(({ shape }) => shape)),
      [[[3]], [[2, 3]]],
    );
    tf.dispose(parts);
  });
  it('agree: axes added', () => sameOnBoth(() => [0, 1, -1, -2].map((axis) => tf.expandDims(tensor([2, 3], 4), axis))));
  it('agree: slice, pad, concat, split, tile, transpose of each type and rank 6', () =>
    sameOnBoth(() =>
      types([2, 3, 1, 4, 2, 3]).flatMap((x) => [
        tf.slice(x, [0, 1, 0, 2, 0, 1], [2, 2, 1, 2, 1, 2]),
        tf.pad(
          x,
          [0, 1, 2, 0, 1, 0].map((n) => [n, 1] as [number, number]),
          1,
        ),
        tf.concat([x, x], 3),
        ...tf.split(x, [1, 3], 3),
        tf.tile(x, [1, 2, 3, 1, 1, 2]),
        tf.transpose(x, [5, 0, 3, 1, 4, 2]),
      ]),
    ));
  it('agree: one-hot in each type', () =>
    sameOnBoth(() => {
      const indices = int([2, 0, -1, 5, 1, 3], [2, 3]);
      return [tf.oneHot(indices, 4), tf.oneHot(indices, 4, 7, -2, 'int32'), tf.oneHot(indices, 4, 1, 0, 'bool')];
    }));
  it('agree: top k with equal numbers, in floats and integers', () =>
    sameOnBoth(() =>
      [tf.tensor2d([3, 1, 3, 2, 3, -0, 0, 9, 9, 2], [2, 5]), int([3, 1, 3, 2, 3, 5, 5, 9, 9, 2], [2, 5])].flatMap(
        (x) => {
          const { values, indices } = tf.topk(x, 4);
          return [values, indices];
        },
      ),
    ));
  for (const slice of [[3, 0, 1] as const, [0, 2, 9] as const])
    it(`throw at the call for a slice outside the tensor: ${slice}`, async () => {
      await tf.setBackend('onnxruntime');
      assert.throws(() => tf.slice(tensor([2, 3, 4]), [...slice], [1, 1, 1]), {
        name: 'Error',
        message: /begin\[\d\] \+ size\[\d\].*would overflow input\.shape/,
      });
    });
});

describe('gather', () => {
  it('agrees in its gradient: rows that are asked for often, rarely and never', () =>
    sameOnBoth(() => [
      tf.grad((x) => tf.sum(tf.mul(tf.gather(x, int([3, 0, 3, 1, 3], [5])), tensor([5, 2], 3))))(tensor([6, 2])),
      tf.grad((x) => tf.sum(tf.square(tf.gather(x, int([3, 0, 3, 1], [2, 2]), 1))))(tensor([3, 4, 5])),
      tf.grad((x) => tf.sum(tf.square(tf.gather(x, int([3, 0, 3, 1, 2], [5]), 1))))(tensor([2, 4])),
    ]));

  it('agrees in sums of segments, of which some numbers are out of range', () =>
    sameOnBoth(() => [
      tf.unsortedSegmentSum(tensor([5, 2, 3]), int([2, 0, -1, 2, 7], [5]) as tf.Tensor1D, 4),
      tf.unsortedSegmentSum(tensor([5]), int([1, 1, 0, 3, 1], [5]) as tf.Tensor1D, 3),
    ]));

  it('agrees along each axis, in each type', () =>
    sameOnBoth(() =>
      types([4, 3, 5]).flatMap((x) => [
        tf.gather(x, int([3, 0, 3, 1], [2, 2])),
        tf.gather(x, int([2, 0], [2]), 1),
        tf.gather(x, tf.scalar(4, 'int32'), -1),
      ]),
    ));
  it('agrees with axes of a batch', () =>
    sameOnBoth(() => [
      tf.gather(tensor([2, 4, 3]), int([3, 0, 1, 1, 2, 0], [2, 3]), 1, 1),
      tf.gather(tensor([2, 5, 4, 3]), int([3, 0, 1, 1], [2, 2]), 2, 1),
      tf.gather(tensor([2, 3, 4, 5]), int([3, 0, 1, 1, 2, 0], [2, 3, 1]), 2, 2),
    ]));
  it('agrees for indices still to be computed', () =>
    sameOnBoth(() => tf.gather(tensor([6, 3]), tf.argMax(tensor([4, 6], 2), 1))));
  it('agrees by tuples of indices, in each type', () =>
    sameOnBoth(() =>
      types([3, 4, 2]).flatMap((x) => [
        tf.gatherND(x, int([2, 3, 0, 1], [2, 2])),
        tf.gatherND(x, int([2, 3, 1, 0, 1, 0], [1, 2, 3])),
        tf.gatherND(x, int([2], [1, 1])),
      ]),
    ));
  for (const index of [-1, 4])
    it(`throws at the call for index ${index} of 4`, async () => {
      await tf.setBackend('onnxruntime');
      const x = tensor([4, 3]);
      assert.throws(() => tf.gather(x, int([0, index], [2])), {
        name: 'Error',
        message: `GatherV2: the index value ${index} is not in [0, 3]`,
      });
      assert.throws(() => tf.gatherND(x, int([index], [1, 1])), {
        name: 'Error',
        message: `Invalid indices: ${index} does not index into 4,3`,
      });
      assert.throws(() => tf.scatterND(int([index], [1, 1]), tensor([1, 3]), [4, 3]), {
        name: 'Error',
        message: `Invalid indices: ${index} does not index into 4,3`,
      });
      tf.dispose(x);
    });
  it('leaves a tuple to the cpu backend that is in range only once flattened', async () => {
    await tf.setBackend('onnxruntime');
    const before = kernelCounts().delegated['GatherNd (index out of range)'] ?? 0;
    const values = tf.gatherND(tf.tensor2d([0, 1, 2, 3, 4, 5], [3, 2]), int([0, 3], [1, 2])).dataSync();
    assert.deepEqual([...values], [3]);
    assert.equal(kernelCounts().delegated['GatherNd (index out of range)'], before + 1);
  });
});

describe('scatter', () => {
  it('adds rows and entries that meet, in floats and integers', () =>
    sameOnBoth(() =>
      [tensor([4, 3], 5), tf.cast(tf.mul(tensor([4, 3], 5), 9), 'int32')].flatMap((updates) => [
        tf.scatterND(int([2, 0, 2, 4], [4, 1]), updates, [5, 3]),
        tf.scatterND(int([2, 1, 0, 0, 2, 1, 4, 2], [4, 2]), tf.reshape(tf.slice(updates, [0, 1], [4, 1]), [4]), [5, 3]),
      ]),
    ));
  it('lets the last of several updates stay, in each type', () =>
    sameOnBoth(() =>
      types([5, 3]).map((x, i) => tf.tensorScatterUpdate(x, int([2, 0, 2, 4], [4, 1]), types([4, 3], 8)[i])),
    ));
  it('fills what no value is given for', () =>
    sameOnBoth(() => [
      tf.sparseToDense(int([1, 3, 1], [3]), tensor([3]), [5], tf.scalar(0.5)),
      tf.sparseToDense(int([0, 1, 2, 0], [2, 2]), int([7, 8], [2]), [3, 2], tf.scalar(-1, 'int32')),
      tf.sparseToDense(int([1, 3], [2]), tf.scalar(4), [5], tf.scalar(0)),
      tf.sparseToDense(int([1, 3], [2]), tf.tensor1d([true, false], 'bool'), [5], tf.scalar(true, 'bool')),
    ]));
});

it('counts what lies before a value in sorted rows', () =>
  sameOnBoth(() => {
    const sorted = tf.tensor2d([-2, 0, 0, 3, 7, 1, 1, 4, 5, 5], [2, 5]);
    const values = tf.tensor2d([0, 8, -3, 3, 2.5, NaN, 1, 5, 6, 0, 4, Infinity], [2, 6]);
    return [
      tf.lowerBound(sorted, values),
      tf.upperBound(sorted, values),
      tf.searchSorted(tf.cast(sorted, 'int32'), int([0, 4, 5, 1], [2, 2]), 'right'),
    ];
  }));
