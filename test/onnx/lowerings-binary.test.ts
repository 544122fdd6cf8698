import '../../base/tfjs/backend-cpu.js';
// Registers the gradients of tfjs-core's kernels.
import '../../base/tfjs/layers.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import '../../onnx/backend/index.js';
import { sameOnBoth, tensor } from './on-both.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const INT_MIN = -(2 ** 31);
const INT_MAX = 2 ** 31 - 1;

type Op = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

/** Every pair of two rows: a column against a row. */
const pairs = (op: Op, values: number[], dtype: 'float32' | 'int32' | 'bool' = 'float32') =>
  op(tf.tensor(values, [values.length, 1], dtype), tf.tensor(values, [values.length], dtype));

const ODD = [nan, inf, -inf, 0, -0, 1, -1, 0.1, -0.1, 2.5, -2.5, 7, 1e-30, -1e30];
const WHOLE = [0, 1, -1, 2, -2, 3, -7, 100, INT_MIN, INT_MAX];

const ARITHMETIC: Record<string, Op> = {
  add: tf.add,
  sub: tf.sub,
  mul: tf.mul,
  div: tf.div,
  'floor div': tf.floorDiv,
  maximum: tf.maximum,
  minimum: tf.minimum,
  'squared difference': tf.squaredDifference,
  prelu: tf.prelu,
};

const COMPARISONS: Op[] = [tf.equal, tf.notEqual, tf.greater, tf.greaterEqual, tf.less, tf.lessEqual];

/** In NCHW in memory: [2, 4, 3, 6]. */
const image = (seed: number) =>
  tf.conv2d(
    tensor<tf.Rank.R4>([2, 5, 4, 3], seed) as tf.Tensor4D,
    tensor<tf.Rank.R4>([2, 2, 3, 6], 7) as tf.Tensor4D,
    1,
    'valid',
  );

describe('arithmetic on two tensors', () => {
  for (const [name, op] of Object.entries(ARITHMETIC))
    it(`agrees on all pairs of NaN, infinities, zeros and numbers: ${name}`, () => sameOnBoth(() => pairs(op, ODD)));

  // Against a divisor 2⁵³ times larger a remainder is lost even in tfjs's double precision.
  const comparable = ODD.filter((value) => Math.abs(value) !== 1e30 && value !== 1e-30);
  it('agrees on remainders of all signs, of and by NaN, infinities and zeros', () =>
    sameOnBoth(() => pairs(tf.mod, comparable)));

  it('agrees on angles of all quadrants, axes and infinities', () => sameOnBoth(() => pairs(tf.atan2, ODD)));

  it('counts how often a little more than a tenth goes into one', async () => {
    await tf.setBackend('onnxruntime');
    assert.deepEqual(
      Array.from(tf.floorDiv(tf.tensor1d([1, -1, 6]), tf.tensor1d([0.1, 0.1, -2.5])).dataSync()),
      [9, -10, -3],
    );
  });

  it('agrees on powers', () =>
    sameOnBoth(() => [
      pairs(tf.pow, [0, 1, -1, 2, -2, 3, 10, 0.5]),
      tf.pow(tf.tensor([0, 2, -2, 0.5, inf, -inf, nan], [7, 1]), tf.tensor([inf, -inf, nan, 0, 3, -1, 0.5])),
    ]));

  const whole: Op[] = [tf.add, tf.sub, tf.maximum, tf.minimum, tf.mod, tf.floorDiv, tf.div];
  it('agrees on all pairs of integers, those that overflow and divisors of 0 too', () =>
    sameOnBoth(() => whole.map((op) => pairs(op, WHOLE, 'int32'))));
  it('agrees on products and powers of integers', () =>
    sameOnBoth(() => [
      pairs(tf.mul, [0, 1, -3, 70000, -123456], 'int32'),
      pairs(tf.squaredDifference, [0, 1, -3, 70000, -12345], 'int32'),
      pairs(tf.pow, [0, 1, -1, 2, -3, 13, 11, -5], 'int32'),
    ]));
  it('agrees on integers with floats and booleans', () =>
    sameOnBoth(() => {
      const [i, f, b] = [
        tf.tensor([3, -4], [2, 1], 'int32'),
        tf.tensor([1.5, -2, 7]),
        tf.tensor([1, 0, 1], [3], 'bool'),
      ];
      return [
        tf.add(i, f),
        tf.mul(b, f),
        tf.sub(b, i),
        tf.maximum(b, b),
        tf.minimum(b, i),
        tf.prelu(i, f),
        tf.mod(i, f),
      ];
    }));
  it('agrees on the sum of many integers', () =>
    sameOnBoth(() => tf.addN([1, 2, INT_MAX].map((value) => tf.tensor([value, -value, 5], [3], 'int32')))));

  it('agrees on what lies in NCHW, with slopes of every shape that fits', () =>
    sameOnBoth(() => [
      tf.prelu(image(1), tensor([6], 2)),
      tf.prelu(image(1), tensor([4, 3, 6], 2)),
      tf.prelu(tensor([6], 3), image(1)),
      tf.mod(image(1), image(2)),
      tf.atan2(tensor([4, 1, 6], 5), image(2)),
      tf.squaredDifference(image(2), tensor([3, 6], 5)),
    ]));

  const differentiable: Record<string, Op> = {
    atan2: tf.atan2,
    'floor div': (a, b) => tf.floorDiv(a, tf.add(b, 3)),
    maximum: tf.maximum,
    minimum: tf.minimum,
    mod: (a, b) => tf.mod(a, tf.add(b, 3)),
    pow: (a, b) => tf.pow(tf.add(a, 2), b),
    prelu: tf.prelu,
    'squared difference': tf.squaredDifference,
  };
  for (const [name, op] of Object.entries(differentiable)) {
    it(`agrees in both gradients: ${name}`, () =>
      sameOnBoth(() =>
        tf.grads((a, b) => tf.sum(tf.mul(op(a, b), tensor([2, 3, 5], 8))))([
          tensor([2, 3, 5], 3),
          tensor([2, 3, 5], 4),
        ]),
      ));
  }

  it('names the shapes that do not fit at the call', async () => {
    await tf.setBackend('onnxruntime');
    assert.throws(
      () => tf.mod(tensor([2, 3]), tensor([2, 4])),
      /Operands could not be broadcast together with shapes 2,3 and 2,4/,
    );
    assert.throws(
      () => tf.matMul(tensor([2, 3]), tensor([2, 4])),
      /inner shapes \(3\) and \(2\) of Tensors with shapes 2,3 and 2,4/,
    );
  });
});

describe('comparison and logic', () => {
  it('agree on NaN, infinities and zeros of both signs', () =>
    sameOnBoth(() => COMPARISONS.map((op) => pairs(op, ODD))));
  it('agree on integers', () => sameOnBoth(() => COMPARISONS.map((op) => pairs(op, WHOLE, 'int32'))));
  it('agree on booleans', () =>
    sameOnBoth(() =>
      [...COMPARISONS, tf.logicalAnd, tf.logicalOr, tf.logicalXor].map((op) => pairs(op, [0, 1], 'bool')),
    ));
  it('agree on integers with floats', () =>
    sameOnBoth(() => COMPARISONS.map((op) => op(tf.tensor([2, 3], [2, 1], 'int32'), tensor([4])))));
  it('agree on what lies in NCHW', () =>
    sameOnBoth(() => [tf.notEqual(image(1), image(1)), tf.less(image(1), tensor([3, 1], 3))]));

  it('agree in the choice between tensors of all types', () =>
    sameOnBoth(() => {
      const mask = tf.tensor([1, 0, 1, 0, 0, 1], [2, 3], 'bool');
      const of = (dtype: 'float32' | 'int32' | 'bool', seed: number) => tf.cast(tf.mul(tensor([2, 3], seed), 9), dtype);
      return [
        tf.where(mask, of('bool', 1), of('bool', 5)),
        tf.where(mask, of('int32', 1), of('int32', 2)),
        tf.where(mask, of('int32', 1), of('float32', 2)),
        tf.where(mask, of('bool', 1), of('int32', 2)),
        tf.where(tf.greater(image(1), 0), image(2), image(3)),
      ];
    }));
});

describe('einstein sums', () => {
  const a = () => tensor([2, 3, 5], 2);
  const b = () => tensor([5, 4, 2], 3);
  for (const equation of ['ijk,kli->ijl', 'ijk,kli->l', 'ijk,kli->', 'ijk, kli -> kijl'])
    it(`agree: ${equation}`, () => sameOnBoth(() => tf.einsum(equation, a(), b())));
  it('agree on one tensor, a scalar factor, integers and what lies in NCHW', () =>
    sameOnBoth(() => [
      tf.einsum('ijk->kj', a()),
      tf.einsum(',ij->ji', tf.scalar(3), tensor([2, 3])),
      tf.einsum('ij,jk->ik', tf.tensor([1, -2, 3, 4, 5, 6], [2, 3], 'int32'), tf.tensor([7, 8, -9], [3, 1], 'int32')),
      tf.einsum('nhwc,co->nhwo', image(1), tensor([6, 5], 4)),
    ]));
  it('name at the call what is wrong', async () => {
    await tf.setBackend('onnxruntime');
    assert.throws(
      () => tf.einsum('ij,jk->ik', tensor([2, 3]), tensor([4, 5])),
      /Expected dimension 3 at axis 0 of input shaped \[4,5\]/,
    );
    assert.throws(() => tf.einsum('ii->i', tensor([3, 3])), /duplicate axes/);
  });
});

describe('activations fused into convolutions and products', () => {
  for (const activation of ['linear', 'relu', 'relu6', 'elu', 'sigmoid', 'leakyrelu', 'prelu'] as const) {
    it(`agree: ${activation}`, () =>
      sameOnBoth(() => [
        tf.fused.matMul({
          a: tf.mul(tensor<tf.Rank.R2>([3, 4]), 5),
          b: tensor<tf.Rank.R2>([4, 5], 3),
          bias: tensor([5], 4),
          activation,
          preluActivationWeights: tensor([5], 6),
          leakyreluAlpha: 0.3,
        }),
        tf.fused.conv2d({
          x: tf.mul(tensor<tf.Rank.R4>([2, 5, 4, 3]) as tf.Tensor4D, 3) as tf.Tensor4D,
          filter: tensor<tf.Rank.R4>([2, 3, 3, 6], 2) as tf.Tensor4D,
          strides: 1,
          pad: 'same',
          bias: tensor([6], 9),
          activation,
          preluActivationWeights: tensor([6], 6),
          leakyreluAlpha: 0.3,
        }),
      ]));
  }
});
