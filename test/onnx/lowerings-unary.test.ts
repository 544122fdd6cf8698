import '../../base/tfjs/backend-cpu.js';
// Registers the gradients of tfjs-core's kernels.
import '../../base/tfjs/layers.js';
import { describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import '../../onnx/backend/index.js';
import { sameOnBoth, tensor } from './on-both.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const INT_MIN = -(2 ** 31);

/** Numbers that are easily got wrong, in a row longer than a vector register and no multiple of it. */
const odd = () =>
  tf.tensor1d([
    nan,
    inf,
    -inf,
    0,
    1,
    -1,
    0.5,
    -0.5,
    1.5,
    -1.5,
    2.5,
    -2.5,
    1e-8,
    -1e-8,
    1e-4,
    30,
    -30,
    80,
    6,
    7,
    1e30,
    3,
  ]);
const integers = () => tf.tensor1d([0, 1, -1, 2, -3, 7, 100, -100, 2 ** 24, -5], 'int32');
const booleans = () => tf.tensor1d([true, false, true], 'bool');

/** In NCHW in memory. */
const image = () =>
  tf.conv2d(
    tensor<tf.Rank.R4>([2, 5, 4, 3]) as tf.Tensor4D,
    tensor<tf.Rank.R4>([2, 2, 3, 6], 7) as tf.Tensor4D,
    1,
    'valid',
  );

type Op = (x: tf.Tensor) => tf.Tensor;

/** Whose results are numbers near their arguments; those of large arguments are compared apart. */
const EVERYWHERE: Record<string, Op> = {
  abs: tf.abs,
  acos: tf.acos,
  acosh: tf.acosh,
  asin: tf.asin,
  asinh: tf.asinh,
  atan: tf.atan,
  atanh: tf.atanh,
  ceil: tf.ceil,
  elu: tf.elu,
  erf: tf.erf,
  floor: tf.floor,
  log: tf.log,
  log1p: tf.log1p,
  reciprocal: tf.reciprocal,
  relu: tf.relu,
  relu6: tf.relu6,
  'leaky relu': (x) => tf.leakyRelu(x, 0.3),
  round: tf.round,
  rsqrt: tf.rsqrt,
  selu: tf.selu,
  sigmoid: tf.sigmoid,
  sign: tf.sign,
  softplus: tf.softplus,
  sqrt: tf.sqrt,
  step: tf.step,
  'step with slope': (x) => tf.step(x, -0.25),
  tanh: tf.tanh,
  neg: tf.neg,
  clip: (x) => tf.clipByValue(x, -1.25, 2.75),
  'clip on one side': (x) => tf.clipByValue(x, -Infinity, 2),
  'is NaN': tf.isNaN,
  'is infinite': tf.isInf,
  'is finite': tf.isFinite,
  cos: (x) => tf.cos(tf.clipByValue(x, -100, 100)),
  sin: (x) => tf.sin(tf.clipByValue(x, -100, 100)),
  'to integer': (x) => tf.cast(x, 'int32'),
  'to bool': (x) => tf.cast(x, 'bool'),
};

const GROWING: Record<string, Op> = { cosh: tf.cosh, sinh: tf.sinh, exp: tf.exp, expm1: tf.expm1, square: tf.square };

describe('kernels on one tensor', () => {
  for (const [name, op] of Object.entries(EVERYWHERE))
    it(`agree on NaN, infinities and in-between numbers: ${name}`, () => sameOnBoth(() => op(odd())));

  it('agree if results grow, up to infinity', () =>
    sameOnBoth(() =>
      Object.values(GROWING).flatMap((op) => [op(tf.clipByValue(odd(), -3, 3)), tf.log1p(tf.abs(op(odd())))]),
    ));

  it('agree near zero to the last digits', () =>
    sameOnBoth(() => {
      const small = tf.tensor1d([1e-8, -1e-8, 3e-7, -2e-5, 1e-30]);
      return [tf.expm1, tf.log1p, tf.sinh, tf.asinh, tf.atanh, tf.sin, tf.tanh].flatMap((op) => tf.split(op(small), 5));
    }));

  it('agree on what lies in NCHW', () =>
    sameOnBoth(() => [tf.round(image()), tf.log1p(tf.abs(image())), tf.step(image(), 0.5), tf.isNaN(image())]));

  const whole: Op[] = [tf.abs, tf.neg, tf.sign, tf.relu, tf.relu6, tf.round, tf.step, tf.leakyRelu, tf.erf];
  it('agree on integers', () =>
    sameOnBoth(() => [
      ...whole.map((op) => op(integers())),
      tf.square(tf.clipByValue(integers(), -1000, 1000)),
      ...[tf.acos, tf.asinh, tf.atan, tf.expm1, tf.log1p, tf.reciprocal, tf.sinh, tf.softplus, tf.selu].map((op) =>
        op(tf.clipByValue(integers(), -3, 7)),
      ),
      tf.isNaN(integers()),
      tf.isFinite(integers()),
      tf.step(integers(), -2.5),
    ]));

  it('agree on integers clipped to fractions', () =>
    sameOnBoth(() =>
      [
        [0.5, 2.7],
        [-2.5, -0.5],
        [-Infinity, 3.9],
        [2.5, Infinity],
      ].map(([low, high]) => tf.clipByValue(integers(), low, high)),
    ));

  it('agree on conversions that do not fit', () =>
    sameOnBoth(() => [
      tf.cast(tf.tensor1d([nan, inf, -inf, 3e9, -3e9, 1e10, 1e20, -1.7, 5e18, 2 ** 31, INT_MIN, 0.99]), 'int32'),
      tf.cast(tf.tensor1d([INT_MIN, 0, 5], 'int32'), 'bool'),
      tf.cast(booleans(), 'int32'),
      tf.cast(booleans(), 'float32'),
      tf.isInf(booleans()),
      tf.logicalNot(booleans()),
    ]));

  const smooth: Record<string, Op> = {
    abs: tf.abs,
    acos: tf.acos,
    asin: tf.asin,
    asinh: tf.asinh,
    atan: tf.atan,
    atanh: tf.atanh,
    ceil: tf.ceil,
    clip: (x) => tf.clipByValue(x, -0.31, 0.53),
    cos: tf.cos,
    cosh: tf.cosh,
    elu: tf.elu,
    erf: tf.erf,
    expm1: tf.expm1,
    floor: tf.floor,
    'leaky relu': (x) => tf.leakyRelu(x, 0.1),
    log1p: tf.log1p,
    reciprocal: (x) => tf.reciprocal(tf.add(x, 2)),
    relu6: (x) => tf.relu6(tf.mul(x, 9)),
    round: tf.round,
    rsqrt: (x) => tf.rsqrt(tf.add(x, 2)),
    selu: tf.selu,
    sigmoid: tf.sigmoid,
    sign: tf.sign,
    sin: tf.sin,
    sinh: tf.sinh,
    softplus: tf.softplus,
  };
  it('agree in all gradients', () =>
    sameOnBoth(() =>
      Object.values(smooth).map((op) =>
        tf.grad((x) => tf.sum(tf.mul(op(x), tensor([3, 5], 8))))(tf.mul(tensor([3, 5], 4), 0.9)),
      ),
    ));
});
