import '../../base/tfjs/backend-cpu.js';
import '../../base/tfjs/layers.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import { groupedConv2d } from '../../model/grouped-conv2d.js';
import { blockSize } from '../../onnx/backend/block-size.js';
import { blockConvolutions } from '../../onnx/backend/blocked-convolutions.js';
import { Graph } from '../../onnx/graph.js';
import { sameOnBoth, tensor } from './on-both.js';

/** Forward pass and both gradients of a convolution, with relu as every net here has it. */
function forwardAndBackward(xShape: number[], kernelShape: number[], stride: number, groups: number): tf.Tensor[] {
  const x = tensor<tf.Rank.R4>(xShape, 1);
  const kernel = tensor<tf.Rank.R4>(kernelShape, 2);
  const bias = tensor<tf.Rank.R1>([kernelShape[3]], 3);
  const net = (image: tf.Tensor4D, weights: tf.Tensor4D) =>
    tf.relu(tf.add(groupedConv2d(image, weights, [stride, stride], 'same', groups), bias)) as tf.Tensor4D;
  const y = net(x, kernel);
  const [dx, dKernel] = tf.grads((a: tf.Tensor, b: tf.Tensor) => net(a as tf.Tensor4D, b as tf.Tensor4D))(
    [x, kernel],
    y,
  );
  return [y, dx, dKernel];
}

describe('blocked convolutions', () => {
  it('know a block of 8 or 16 channels, or none', () => {
    assert.ok([0, 8, 16].includes(blockSize()));
  });

  const cases: [string, number[], number[], number, number][] = [
    ['whole blocks in and out', [3, 7, 9, 32], [3, 5, 32, 48], 1, 1],
    ['few channels in', [3, 11, 9, 3], [3, 5, 3, 16], 2, 1],
    ['groups of whole blocks', [2, 7, 5, 64], [3, 3, 32, 96], 1, 2],
    ['no whole block: plain', [3, 7, 5, 20], [3, 3, 20, 24], 1, 1],
    ['kernel gradient as one convolution: images in whole blocks', [16, 7, 6, 16], [5, 3, 16, 32], 1, 1],
    ['the same, few channels in', [16, 7, 6, 3], [5, 3, 3, 16], 1, 1],
  ];
  for (const [what, x, kernel, stride, groups] of cases)
    it(`agree with the cpu backend: ${what}`, () => sameOnBoth(() => forwardAndBackward(x, kernel, stride, groups)));

  it('agree if two of them read one image, one reads the other, and the result between is read too', () =>
    sameOnBoth(() => {
      const x = tensor<tf.Rank.R4>([2, 5, 7, 16], 1);
      const [a, b] = [tensor<tf.Rank.R4>([3, 3, 16, 32], 2), tensor<tf.Rank.R4>([1, 3, 16, 16], 3)];
      const first = tf.conv2d(x, a, 1, 'same') as tf.Tensor4D;
      const rectified = tf.relu(first);
      const beside = tf.conv2d(x, b, 1, 'same');
      return [first, rectified, beside, tf.conv2d(rectified, tensor<tf.Rank.R4>([3, 1, 32, 16], 4), 1, 'valid')];
    }));

  it('leave a graph alone if the layout is unknown', () => {
    const g = new Graph({ opset: 17, lrn: 'conv' });
    const [x, kernel] = [g.input('x', 'float32', [1, 16, 5, 7]), g.input('k', 'float32', [32, 16, 1, 1])];
    const attributes = { dilations: [1, 1], group: 1, kernel_shape: [1, 1], pads: [0, 0, 0, 0], strides: [1, 1] };
    const y = g.node('Conv', [x, kernel], attributes, [1, 32, 5, 7]);
    assert.deepEqual(blockConvolutions(g, g.nodes, [y], 0), g.nodes);
    const ops = blockConvolutions(g, [...g.nodes], [y], 16).map(({ op, domain }) => `${domain}:${op}`);
    assert.equal(ops.filter((op) => op === 'com.microsoft.nchwc:Conv').length, 1);
    assert.equal(ops.at(-1), 'com.microsoft.nchwc:ReorderOutput');
  });
});
