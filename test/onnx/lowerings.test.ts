import '../../base/tfjs/backend-cpu.js';
// Registers the gradients of tfjs-core's kernels.
import '../../base/tfjs/layers.js';
import { describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import '../../onnx/backend/index.js';
import { sameOnBoth, tensor } from './on-both.js';

type T4 = tf.Tensor4D;

/** A scalar that depends on every element, for gradients. */
const loss = (y: tf.Tensor) => tf.sum(tf.square(y));

describe('convolution', () => {
  const pads: (number | 'same' | 'valid')[] = ['same', 'valid', 2];
  for (const pad of pads) {
    for (const [kernel, strides] of [
      [
        [3, 3],
        [1, 1],
      ],
      [
        [5, 3],
        [2, 3],
      ],
      [
        [1, 1],
        [1, 1],
      ],
      [
        [2, 4],
        [1, 2],
      ],
    ] as [[number, number], [number, number]][]) {
      const geometry = `kernel ${kernel}, strides ${strides}, pad ${pad}`;
      const x = () => tensor<tf.Rank.R4>([2, 11, 9, 6], 3);
      const filter = () => tensor<tf.Rank.R4>([...kernel, 6, 10], 5);
      it(`agrees forward: ${geometry}`, () => sameOnBoth(() => tf.conv2d(x() as T4, filter() as T4, strides, pad)));
      it(`agrees in both gradients: ${geometry}`, () =>
        sameOnBoth(() => {
          const [dx, df] = tf.grads((a, b) => loss(tf.conv2d(a as T4, b as T4, strides, pad)))([x(), filter()]);
          return [dx, df];
        }));
    }
  }

  it('agrees for few input channels, large strides and pixels no window sees', () =>
    sameOnBoth(() =>
      tf.grads((a, b) => loss(tf.conv2d(a as T4, b as T4, [4, 3], 'valid')))([
        tensor([2, 25, 22, 3], 3),
        tensor([7, 5, 3, 8], 4),
      ]),
    ));

  it('agrees with bias and activation fused', () =>
    sameOnBoth(() =>
      tf.fused.conv2d({
        x: tensor([3, 7, 5, 4]) as T4,
        filter: tensor([3, 2, 4, 6], 2) as T4,
        strides: 1,
        pad: 'same',
        bias: tensor<tf.Rank.R1>([6], 9),
        activation: 'relu',
      }),
    ));

  it('agrees when dilated', () =>
    sameOnBoth(() => tf.conv2d(tensor([2, 12, 10, 3]) as T4, tensor([3, 2, 3, 5]) as T4, 1, 'same', 'NHWC', [2, 3])));
});

/**
 * Average pooling from sums over zero-padded windows and the number of pixels in each. tfjs's own gradient on the cpu
 * divides by the whole window even where padding cut it, unlike its forward pass: no oracle for padded windows.
 */
function averageWithoutPadding(
  x: T4,
  size: number | [number, number],
  strides: number | [number, number],
  pad: 'same' | 'valid' | number,
): T4 {
  const info = tf.backend_util.computePool2DInfo(x.shape, size, strides, 1, pad);
  const { top, bottom, left, right } = info.padInfo;
  const sums = (image: T4) =>
    tf.mul(
      tf.avgPool(
        tf.pad(image, [
          [0, 0],
          [top, bottom],
          [left, right],
          [0, 0],
        ]),
        size,
        strides,
        'valid',
      ),
      info.filterHeight * info.filterWidth,
    );
  return tf.div(sums(x), sums(tf.onesLike(x)));
}

describe('pooling', () => {
  const geometries: [number | [number, number], number | [number, number], 'same' | 'valid' | number, number][] = [
    [3, 2, 'valid', 13],
    [3, 2, 'same', 12],
    [[3, 2], [2, 1], 'same', 9],
    [2, 2, 'valid', 11],
    [3, 1, 1, 8],
    [2, 3, 'valid', 13],
  ];
  for (const [size, strides, pad, height] of geometries) {
    const name = `size ${size}, strides ${strides}, pad ${pad}, height ${height}`;
    const x = () => tensor<tf.Rank.R4>([2, height, 7, 5], 4) as T4;
    it(`agrees for maxima: ${name}`, () => sameOnBoth(() => tf.maxPool(x(), size, strides, pad)));
    it(`agrees for averages: ${name}`, () => sameOnBoth(() => tf.avgPool(x(), size, strides, pad)));
    it(`agrees in the gradient of maxima: ${name}`, () =>
      sameOnBoth(() => tf.grad((a) => loss(tf.maxPool(a as T4, size, strides, pad)))(x())));
    it(`agrees in the gradient of averages: ${name}`, () =>
      sameOnBoth(
        () => tf.grad((a) => loss(tf.avgPool(a as T4, size, strides, pad)))(x()),
        () => tf.grad((a) => loss(averageWithoutPadding(a as T4, size, strides, pad)))(x()),
      ));
  }
});

describe('local response normalisation', () => {
  for (const beta of [0.75, 0.6]) {
    const lrn = (x: tf.Tensor) => tf.localResponseNormalization(x as T4, 2, 2, 0.3, beta);
    it(`agrees forward, β ${beta}`, () => sameOnBoth(() => lrn(tensor([2, 5, 3, 9]))));
    it(`agrees in the gradient, β ${beta}`, () => sameOnBoth(() => tf.grad((x) => loss(lrn(x)))(tensor([2, 5, 3, 9]))));
  }
});

describe('matrix products', () => {
  for (const [ta, tb] of [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ]) {
    const a = () => tensor(ta ? [4, 3] : [3, 4]);
    const b = () => tensor(tb ? [5, 4] : [4, 5], 2);
    it(`agree for matrices, transposed ${ta} ${tb}`, () => sameOnBoth(() => tf.matMul(a(), b(), ta, tb)));
    it(`agree in the gradients, transposed ${ta} ${tb}`, () =>
      sameOnBoth(() => tf.grads((p, q) => loss(tf.matMul(p, q, ta, tb)))([a(), b()])));
  }
  it('agree for stacks with broadcasting', () => sameOnBoth(() => tf.matMul(tensor([1, 3, 4]), tensor([5, 4, 6]))));
  it('agree fused with bias and activation', () =>
    sameOnBoth(() =>
      tf.fused.matMul({ a: tensor([3, 4]), b: tensor([4, 5], 3), bias: tensor([5], 4), activation: 'relu' }),
    ));
});

describe('element-wise kernels', () => {
  const shapes: [number[], number[]][] = [
    [
      [2, 3, 4],
      [2, 3, 4],
    ],
    [[2, 3, 4], [4]],
    [
      [3, 1],
      [2, 1, 5],
    ],
    [[], [2, 3]],
    [
      [3, 1, 4],
      [1, 5, 4],
    ],
  ];
  const operators: Record<string, (a: tf.Tensor, b: tf.Tensor) => tf.Tensor> = {
    add: tf.add,
    sub: tf.sub,
    mul: tf.mul,
    maximum: tf.maximum,
    div: (a, b) => tf.div(a, tf.add(b, 3)),
    equal: tf.equal,
    greater: tf.greater,
    greaterEqual: tf.greaterEqual,
    less: tf.less,
    lessEqual: tf.lessEqual,
  };
  for (const [name, operator] of Object.entries(operators)) {
    for (const [a, b] of shapes)
      it(`agree: ${name} of [${a}] and [${b}]`, () => sameOnBoth(() => operator(tensor(a, 3), tensor(b, 4))));
  }
  it('agree: pow', () => sameOnBoth(() => tf.pow(tf.add(tf.square(tensor([2, 3, 4])), 0.5), tensor([4], 2))));
  it('agree for integers', () =>
    sameOnBoth(() => {
      const [a, b] = [
        tf.tensor(
          [
            [1, -7, 3],
            [4, 5, -6],
          ],
          [2, 3],
          'int32',
        ),
        tf.tensor([2, -7, 9], [3], 'int32'),
      ];
      return [
        tf.add(a, b),
        tf.sub(a, b),
        tf.mul(a, b),
        tf.maximum(a, b),
        tf.equal(a, b),
        tf.less(a, b),
        tf.sum(a, 0),
        tf.max(a, 1),
        tf.cast(a, 'float32'),
      ];
    }));
  const unary: Record<string, (x: tf.Tensor) => tf.Tensor> = {
    neg: tf.neg,
    exp: tf.exp,
    square: tf.square,
    floor: tf.floor,
    tanh: tf.tanh,
    relu: tf.relu,
    log: (x) => tf.log(tf.add(tf.square(x), 0.1)),
    sqrt: (x) => tf.sqrt(tf.square(x)),
    rsqrt: (x) => tf.rsqrt(tf.add(tf.square(x), 0.1)),
    step: (x) => tf.step(x),
    'step with slope': (x) => tf.step(x, 0.25),
    clip: (x) => tf.clipByValue(x, -0.5, 0.3),
    zerosLike: tf.zerosLike,
    onesLike: tf.onesLike,
    'to integer': (x) => tf.cast(tf.mul(x, 10), 'int32'),
    'to bool': (x) => tf.cast(x, 'bool'),
  };
  for (const [name, operator] of Object.entries(unary))
    it(`agree: ${name}`, () => sameOnBoth(() => operator(tensor([3, 4, 5], 6))));
  it('agree: the gradient of relu, with and without the forward result in the same run', () =>
    sameOnBoth(() => [tf.grad((x) => loss(tf.relu(x)))(tensor([3, 5, 2])), tf.step(tensor([4, 3]))]));
  it('agree: select', () =>
    sameOnBoth(() => [
      tf.where(tf.greater(tensor([2, 3, 4]), 0), tensor([2, 3, 4], 2), tensor([2, 3, 4], 3)),
      tf.where(tf.greater(tensor([3]), 0), tensor([4, 3], 2), tensor([4, 3], 3)),
    ]));
  it('agree: addN, fill and logical and', () =>
    sameOnBoth(() => [
      tf.addN([tensor([2, 3]), tensor([2, 3], 2), tensor([2, 3], 3)]),
      tf.fill([2, 5], 0.75),
      tf.logicalAnd(tf.greater(tensor([3, 2]), 0), tf.less(tensor([3, 2], 4), 0)),
    ]));
});

describe('reductions', () => {
  for (const axis of [undefined, 0, 2, -1, [0, 2], [1], [0, 1, 3]]) {
    for (const keepDims of [false, true]) {
      it(`agree over axes ${axis}, kept ${keepDims}`, () =>
        sameOnBoth(() => {
          const x = tensor([2, 3, 4, 5], 3);
          return [tf.sum(x, axis, keepDims), tf.mean(x, axis, keepDims), tf.max(x, axis, keepDims)];
        }));
    }
  }
  it('agree over a tensor that lies in NCHW', () =>
    sameOnBoth(() => {
      const y = tf.conv2d(tensor([2, 6, 5, 3]) as T4, tensor([3, 3, 3, 4]) as T4, 1, 'valid');
      return [
        tf.sum(y, [0, 1, 2]),
        tf.mean(y, [1, 2]),
        tf.max(y, 3),
        tf.sum(y, 1, true),
        tf.argMax(y, 3),
        tf.softmax(y),
      ];
    }));
  it('agree: arg max, top k', () =>
    sameOnBoth(() => {
      const { values, indices } = tf.topk(tensor([3, 7], 5), 4);
      return [tf.argMax(tensor([4, 6], 2), 1), tf.argMax(tensor([4, 6], 2), 0), values, indices];
    }));
  it('agree: softmax and its logarithm, with gradients', () =>
    sameOnBoth(() => [
      tf.softmax(tensor([3, 5])),
      tf.logSoftmax(tensor([3, 5])),
      tf.grad((x) => tf.sum(tf.mul(tf.logSoftmax(x), tensor([3, 5], 8))))(tensor([3, 5])),
    ]));
});

describe('moving kernels', () => {
  const nchw = () => tf.conv2d(tensor([2, 6, 5, 3]) as T4, tensor([3, 2, 3, 4]) as T4, 1, 'valid');
  it('agree: reshape, transpose, flatten of what lies in NCHW', () =>
    sameOnBoth(() => [
      tf.reshape(nchw(), [2, -1]),
      tf.transpose(nchw(), [3, 0, 2, 1]),
      tf.add(tf.reshape(tf.transpose(nchw(), [0, 2, 1, 3]), [8, 16]), 1),
      tf.reshape(nchw(), [2, 4, 1, 4, 4]),
    ]));
  it('agree: concat, split, slice, pad of what lies in NCHW', () =>
    sameOnBoth(() => {
      const y = nchw();
      return [
        tf.concat([y, tensor([2, 4, 4, 3])], 3),
        tf.concat([y, y], 0),
        ...tf.split(y, [1, 3], 3),
        ...tf.split(y, 2, 1),
        tf.slice(y, [1, 0, 2, 1], [1, 3, -1, 2]),
        tf.pad(
          y,
          [
            [0, 0],
            [1, 2],
            [0, 3],
            [2, 0],
          ],
          7,
        ),
      ];
    }));
  it('agree: gather and one-hot, with indices out of range', () =>
    sameOnBoth(() => {
      const indices = tf.tensor([2, 0, 1, 2], [2, 2], 'int32');
      return [
        tf.gather(tensor([4, 3, 5]), indices, 1),
        tf.oneHot(tf.tensor([0, 3, -1, 5], [4], 'int32'), 5),
        tf.oneHot(indices, 4, 2, -1),
      ];
    }));
  it('agree: adding tensors that lie differently', () =>
    sameOnBoth(() => [
      tf.add(nchw(), tensor([2, 4, 4, 4])),
      tf.mul(nchw(), tensor([4, 1])),
      tf.add(nchw(), tensor([4, 4, 4], 3)),
      tf.add(nchw(), tf.scalar(2)),
    ]));
});
