import '../../base/tfjs/backend-cpu.js';
// Registers the gradients of tfjs-core's kernels.
import '../../base/tfjs/layers.js';
import { describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import { groupedConv2d } from '../../model/grouped-conv2d.js';
import '../../onnx/backend/index.js';
import { numbers, sameOnBoth, tensor } from './on-both.js';

type T3 = tf.Tensor3D;
type T4 = tf.Tensor4D;
type T5 = tf.Tensor5D;

/** A scalar that depends on every element, for gradients. */
const loss = (y: tf.Tensor) => tf.sum(tf.square(y));

describe('depthwise convolution', () => {
  const geometries: [[number, number], number | [number, number], 'same' | 'valid' | number][] = [
    [[3, 2], 1, 'same'],
    [[2, 3], [2, 3], 'valid'],
    [[3, 3], 2, 'same'],
    [[1, 2], 1, 2],
  ];
  for (const [kernel, strides, pad] of geometries) {
    for (const multiplier of [1, 3]) {
      const name = `kernel ${kernel}, strides ${strides}, pad ${pad}, multiplier ${multiplier}`;
      const x = () => tensor([2, 7, 8, 5], 3);
      const filter = () => tensor([...kernel, 5, multiplier], 7);
      it(`agrees forward: ${name}`, () =>
        sameOnBoth(() => tf.depthwiseConv2d(x() as T4, filter() as T4, strides, pad)));
      it(`agrees in both gradients: ${name}`, () =>
        sameOnBoth(() =>
          tf.grads((a, b) => loss(tf.depthwiseConv2d(a as T4, b as T4, strides, pad)))([x(), filter()]),
        ));
    }
  }
  it('agrees when dilated', () =>
    sameOnBoth(() =>
      tf.depthwiseConv2d(tensor([2, 9, 8, 3]) as T4, tensor([3, 2, 3, 2]) as T4, 1, 'same', 'NHWC', [2, 3]),
    ));
  it('agrees with bias and activation fused', () =>
    sameOnBoth(() =>
      tf.fused.depthwiseConv2d({
        x: tensor([2, 6, 5, 3]) as T4,
        filter: tensor([3, 2, 3, 2], 2) as T4,
        strides: 1,
        pad: 'same',
        bias: tensor<tf.Rank.R1>([6], 9),
        activation: 'relu',
      }),
    ));
});

describe('grouped convolution', () => {
  // Two groups of 6 channels in and out: some runtimes compute 4 channels at once.
  const x = () => tensor([2, 7, 6, 12], 3);
  const filter = () => tensor([3, 2, 6, 12], 7);
  for (const strides of [1, 2]) {
    it(`agrees forward and in both gradients: strides ${strides}`, () => {
      const conv = (a: tf.Tensor, b: tf.Tensor) => groupedConv2d(a as T4, b as T4, [strides, strides], 'same', 2);
      return sameOnBoth(() => [conv(x(), filter()), ...tf.grads((a, b) => loss(conv(a, b)))([x(), filter()])]);
    });
  }
});

describe('channels-first convolution', () => {
  const x = () => tensor([2, 3, 8, 7], 3);
  const filter = () => tensor([3, 2, 3, 5], 5);
  it('agrees forward and in both gradients', () => {
    const conv = (a: tf.Tensor, b: tf.Tensor) => tf.conv2d(a as T4, b as T4, [2, 1], 1, 'NCHW');
    return sameOnBoth(() => [conv(x(), filter()), ...tf.grads((a, b) => loss(conv(a, b)))([x(), filter()])]);
  });
  it('adds a vector along the last axis, which is not the channels', () =>
    sameOnBoth(() => tf.add(tf.conv2d(x() as T4, tensor([3, 3, 3, 7], 5) as T4, 1, 'same', 'NCHW'), tensor([7], 2))));
});

it('adds a vector to a transposed matrix product along its own last axis', () =>
  sameOnBoth(() => tf.add(tf.transpose(tf.matMul(tensor([4, 3]), tensor([3, 4], 2))), tensor([4], 5))));

describe('convolution over three axes', () => {
  const geometries: [number[], number | [number, number, number], 'same' | 'valid', number][] = [
    [[2, 3, 2], 1, 'same', 3],
    [[3, 2, 1], [1, 2, 3], 'valid', 6],
    [[3, 3, 2], 2, 'same', 6],
    [[2, 1, 3], [2, 1, 1], 'valid', 2],
  ];
  for (const [kernel, strides, pad, channels] of geometries) {
    const name = `kernel ${kernel}, strides ${strides}, pad ${pad}`;
    const x = () => tensor([2, 5, 7, 6, channels], 3);
    const filter = () => tensor([...kernel, channels, 4], 5);
    it(`agrees forward and in both gradients: ${name}`, () => {
      const conv = (a: tf.Tensor, b: tf.Tensor) => tf.conv3d(a as T5, b as T5, strides, pad);
      return sameOnBoth(() => [conv(x(), filter()), ...tf.grads((a, b) => loss(conv(a, b)))([x(), filter()])]);
    });
  }
});

describe('pooling over three axes', () => {
  for (const [size, strides, pad] of [
    [2, 1, 'valid'],
    [[3, 2, 2], [2, 1, 2], 'same'],
    [[3, 2, 1], 2, 'valid'],
    [[2, 3, 2], [1, 2, 3], 'same'],
  ] as [number | [number, number, number], number | [number, number, number], 'same' | 'valid'][]) {
    const name = `size ${size}, strides ${strides}, pad ${pad}`;
    const x = () => tensor([2, 5, 7, 6, 3], 4) as T5;
    const pool = (a: tf.Tensor) => tf.maxPool3d(a as T5, size, strides, pad);
    it(`agrees for maxima: ${name}`, () => sameOnBoth(() => pool(x())));
    // tfjs's kernel mixes up height and width where the window's differ: only equal ones are an oracle.
    if (!Array.isArray(size) || size[1] === size[2])
      it(`agrees in the gradient of maxima: ${name}`, () => sameOnBoth(() => tf.grad((a) => loss(pool(a)))(x())));
    it(`agrees for averages: ${name}`, () => sameOnBoth(() => tf.avgPool3d(x(), size, strides, pad)));
    // tfjs's gradient divides by the whole window even where padding cut it: no oracle for padded windows.
    if (pad === 'valid')
      it(`agrees in the gradient of averages: ${name}`, () =>
        sameOnBoth(() => tf.grad((a) => loss(tf.avgPool3d(a as T5, size, strides, pad)))(x())));
  }
  it('gives the gradient to the largest pixel of windows that are longer than wide', () => {
    const values = Float32Array.from({ length: 4 * 5 * 6 }, (_, i) => (i * 37) % 121);
    const [depth, height, width] = [4, 5, 6];
    const at = (d: number, h: number, w: number) => (d * height + h) * width + w;
    return sameOnBoth(
      () =>
        tf.grad((a) => loss(tf.maxPool3d(a as T5, [2, 3, 2], [1, 2, 3], 'valid')))(tf.tensor(values, [1, 4, 5, 6, 1])),
      () => {
        const gradient = new Float32Array(values.length);
        for (let d = 0; d + 2 <= depth; d++)
          for (let h = 0; h + 3 <= height; h += 2)
            for (let w = 0; w + 2 <= width; w += 3) {
              const window = [0, 1].flatMap((i) =>
                [0, 1, 2].flatMap((j) => [0, 1].map((k) => at(d + i, h + j, w + k))),
              );
              const largest = window.reduce((best, pixel) => (values[pixel] > values[best] ? pixel : best));
              gradient[largest] += 2 * values[largest];
            }
        return tf.tensor(gradient, [1, 4, 5, 6, 1]);
      },
    );
  });
  it('agrees on the gradient of padded averages with sums divided by the pixels met', () => {
    const x = () => tensor([1, 3, 4, 5, 2], 4);
    const sums = (a: tf.Tensor) =>
      tf.mul(
        tf.avgPool3d(
          tf.pad(a, [
            [0, 0],
            [0, 1],
            [0, 1],
            [0, 1],
            [0, 0],
          ]) as T5,
          2,
          1,
          'valid',
        ),
        8,
      );
    return sameOnBoth(
      () => tf.grad((a) => loss(tf.avgPool3d(a as T5, 2, 1, 'same')))(x()),
      () => tf.grad((a) => loss(tf.div(sums(a), sums(tf.onesLike(a)))))(x()),
    );
  });
});

describe('maxima and their positions', () => {
  for (const withBatch of [false, true])
    it(`agree, batch in the position: ${withBatch}`, () =>
      sameOnBoth(() => {
        const { result, indexes } = tf.maxPoolWithArgmax(tensor([2, 7, 6, 3], 8) as T4, [3, 2], 2, 'same', withBatch);
        return [result, indexes];
      }));
  it('pass over NaNs', () =>
    sameOnBoth(() => {
      const { result, indexes } = tf.maxPoolWithArgmax(tf.tensor4d([1, NaN, 3, NaN, 5, 6], [1, 2, 3, 1]), 2, 1, 0);
      return [result, indexes];
    }));
});

describe('dilation', () => {
  for (const [strides, pad, dilations] of [
    [1, 'same', 1],
    [[2, 1], 'valid', 1],
    [1, 'same', [2, 1]],
  ] as [number | [number, number], 'same' | 'valid', number | [number, number]][]) {
    const dilate = (x: tf.Tensor, filter: tf.Tensor) =>
      tf.dilation2d(x as T4, filter as T3, strides, pad, dilations, 'NHWC');
    it(`agrees forward and in both gradients: strides ${strides}, pad ${pad}, dilations ${dilations}`, () =>
      sameOnBoth(() => {
        const [x, filter] = [tensor([2, 7, 6, 3], 3), tensor([3, 2, 3], 5)];
        return [dilate(x, filter), ...tf.grads((a, b) => loss(dilate(a, b)))([x, filter])];
      }));
  }
  it('passes over NaNs', () =>
    sameOnBoth(() =>
      tf.dilation2d(tf.tensor4d([1, NaN, 3, 4, 5, NaN], [1, 2, 3, 1]), tensor([2, 2, 1]) as T3, 1, 'same'),
    ));
});

describe('batch normalisation', () => {
  const x = () => tensor([2, 5, 3, 4], 3) as T4;
  const positive = (shape: number[], seed: number) => tf.add(tf.square(tensor(shape, seed)), 0.1);
  it('agrees with a value a channel, with and without scale and offset', () =>
    sameOnBoth(() => {
      const [mean, variance] = [tensor<tf.Rank.R1>([4], 2), positive([4], 5) as tf.Tensor1D];
      return [
        tf.batchNorm(x(), mean, variance, tensor<tf.Rank.R1>([4], 6), tensor<tf.Rank.R1>([4], 7), 0.02),
        tf.batchNorm(x(), mean, variance, undefined, tensor<tf.Rank.R1>([4], 7)),
        tf.batchNorm(x(), mean, variance),
      ];
    }));
  it('agrees with a value an element', () =>
    sameOnBoth(() => {
      const shape = [2, 5, 3, 4];
      return tf.batchNorm(x(), tensor(shape, 2) as T4, positive(shape, 4) as T4, tensor(shape, 5) as T4);
    }));
  it('agrees in the gradients', () =>
    sameOnBoth(() =>
      tf.grads((a, ...vectors) => {
        const [mean, variance, offset, scale] = vectors as tf.Tensor1D[];
        return loss(tf.batchNorm(a as T4, mean, variance, offset, scale));
      })([x(), tensor([4], 2), positive([4], 5), tensor([4], 3), tensor([4], 7)]),
    ));
});

/** Weights of a linear resize along one axis, [output, input], from the definition. */
function interpolation(input: number, output: number, alignCorners: boolean, halfPixel: boolean): tf.Tensor2D {
  const rows = Array.from({ length: output }, (_, i) => {
    const step = alignCorners && output > 1 ? (input - 1) / (output - 1) : input / output;
    const at = Math.min(Math.max(halfPixel ? (i + 0.5) * step - 0.5 : i * step, 0), input - 1);
    return Array.from({ length: input }, (_, j) => Math.max(0, 1 - Math.abs(at - j)));
  });
  return tf.tensor2d(rows);
}

describe('resizing', () => {
  const sizes: [number, number][] = [
    [10, 4],
    [3, 14],
    [1, 7],
    [5, 7],
  ];
  for (const [alignCorners, halfPixel] of [
    [false, false],
    [true, false],
    [false, true],
  ]) {
    for (const size of sizes) {
      const name = `to ${size}, align corners ${alignCorners}, half pixels ${halfPixel}`;
      const x = () => tensor([2, 5, 7, 3], 3) as T4;
      const bilinear = (a: tf.Tensor) => tf.image.resizeBilinear(a as T4, size, alignCorners, halfPixel);
      it(`agrees, bilinear ${name}`, () => sameOnBoth(() => bilinear(x())));
      it(`agrees in the gradient, bilinear ${name}`, () =>
        sameOnBoth(
          () => tf.grad((a) => loss(bilinear(a)))(x()),
          // tfjs's kernel leaves half pixels out and exchanges height and width: gradient of two matrix products
          // instead.
          () =>
            tf.grad((a) => {
              const rows = interpolation(5, size[0], alignCorners, halfPixel);
              const columns = interpolation(7, size[1], alignCorners, halfPixel);
              const perLine = tf.matMul(rows, tf.reshape(tf.transpose(a, [1, 0, 2, 3]), [5, 42]));
              const wide = tf.transpose(tf.reshape(perLine, [size[0], 2, 7, 3]), [2, 0, 1, 3]);
              return loss(tf.matMul(columns, tf.reshape(wide, [7, -1])));
            })(x()),
        ));
      const nearest = (a: tf.Tensor) => tf.image.resizeNearestNeighbor(a as T4, size, alignCorners, halfPixel);
      it(`agrees, nearest ${name}`, () => sameOnBoth(() => nearest(x())));
      // tfjs's kernel leaves half pixels out and reads outside dy in all but the first image.
      if (!halfPixel)
        it(`agrees in the gradient, nearest ${name}`, () =>
          sameOnBoth(() => tf.grad((a) => loss(nearest(a)))(tensor([1, 5, 7, 3], 3))));
    }
  }
  it('agrees for nearest integers that lie in NCHW', () =>
    sameOnBoth(() => {
      const y = tf.cast(tf.conv2d(tensor([2, 6, 5, 3]) as T4, tensor([3, 2, 3, 4]) as T4, 1, 'valid'), 'int32');
      return tf.image.resizeNearestNeighbor(y as T4, [7, 3]);
    }));
});

describe('pictures', () => {
  const image = () => tensor([2, 5, 7, 4], 3) as T4;
  it('agree flipped', () => sameOnBoth(() => tf.image.flipLeftRight(image())));
  it('agree turned by an angle, with each kind of fill', () =>
    sameOnBoth(() => [
      tf.image.rotateWithOffset(image(), 0.4),
      tf.image.rotateWithOffset(image(), -1.2, 0.5, [0.3, 0.6]),
      tf.image.rotateWithOffset(image(), 2, [3, 7, 5], 0.25),
    ]));
  for (const method of ['bilinear', 'nearest'] as const)
    it(`agree in boxes cut out and resized, ${method}`, () =>
      sameOnBoth(() => {
        const corners = [
          [0, 0, 1, 1],
          [0.1, 0.2, 0.7, 0.9],
          [0.9, 1, 0, 0.3],
          [-0.2, 0.5, 1.3, 0.8],
        ];
        const cut = (size: [number, number]) =>
          tf.image.cropAndResize(image(), tf.tensor2d(corners), tf.tensor1d([1, 0, 1, 0], 'int32'), size, method, 9);
        return [cut([3, 4]), cut([10, 13]), cut([1, 6]), cut([6, 1])];
      }));
  it('agree when depth becomes space', () => sameOnBoth(() => tf.depthToSpace(tensor([2, 3, 5, 12], 4) as T4, 2)));
  it('agree when space becomes batch and back', () =>
    sameOnBoth(() => {
      const x = tensor([2, 3, 5, 4], 4);
      const paddings = [
        [1, 0],
        [0, 1],
      ];
      const batch = tf.spaceToBatchND(x, [2, 3], paddings);
      const crops = [
        [0, 1],
        [1, 0],
      ];
      return [batch, tf.batchToSpaceND(batch, [2, 3], crops), tf.batchToSpaceND(tensor([6, 2, 3]), [3], [[1, 2]])];
    }));
  it('agree with mirrored borders, in each type', () =>
    sameOnBoth(() => {
      const paddings: [number, number][] = [
        [0, 1],
        [2, 3],
        [1, 0],
      ];
      const x = tf.tensor(numbers(60, 5), [3, 4, 5]);
      return [
        tf.mirrorPad(x, paddings, 'reflect'),
        tf.mirrorPad(x, paddings, 'symmetric'),
        tf.mirrorPad(tf.cast(x, 'bool'), paddings, 'symmetric'),
      ];
    }));
});
