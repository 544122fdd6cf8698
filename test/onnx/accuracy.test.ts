/** How far kernels on one tensor are from the true values, in units in the last place: the table of docs/backend.md. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import '../../base/tfjs/layers.js';
import '../../onnx/backend/index.js';

type Kernel = [op: (x: tf.Tensor) => tf.Tensor, exact: (x: number) => number, bound: number];

const SELU = { scale: 1.0507009873554805, alpha: 1.6732632423543772 };
const SLOPE = Math.fround(0.3);

/** Math's own is off by a millionth near 0. */
function asinh(x: number): number {
  const size = Math.abs(x);
  return Math.sign(x) * (size < 1e-4 ? size - size ** 3 / 6 : Math.log1p(size + (x * x) / (1 + Math.sqrt(x * x + 1))));
}

/** A power series near 0, a continued fraction elsewhere. */
function erf(x: number): number {
  const size = Math.abs(x);
  if (size > 6.5) return Math.sign(x);
  if (size > 2.5) {
    let fraction = 0;
    for (let k = 120; k > 0; k--) fraction = k / 2 / (size + fraction);
    return Math.sign(x) * (1 - Math.exp(-x * x) / Math.sqrt(Math.PI) / (size + fraction));
  }
  let [sum, power] = [0, size];
  for (let n = 0; n < 100; n++) {
    sum += power / (2 * n + 1);
    power *= -(x * x) / (n + 1);
  }
  return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
}

/** Kernels that compute; those that only choose, cut off or change signs are exact. */
const KERNELS: Record<string, Kernel> = {
  acos: [tf.acos, Math.acos, 4.1],
  acosh: [tf.acosh, Math.acosh, 2],
  asin: [tf.asin, Math.asin, 4],
  asinh: [tf.asinh, asinh, 2],
  atan: [tf.atan, Math.atan, 4],
  atanh: [tf.atanh, Math.atanh, 2],
  cos: [(x) => tf.cos(tf.clipByValue(x, -100, 100)), (x) => Math.cos(Math.max(-100, Math.min(100, x))), 2],
  cosh: [tf.cosh, Math.cosh, 2],
  elu: [tf.elu, (x) => (x > 0 ? x : Math.expm1(x)), 5],
  erf: [tf.erf, erf, 1],
  exp: [tf.exp, Math.exp, 1],
  expm1: [tf.expm1, Math.expm1, 5],
  'leaky relu': [(x) => tf.leakyRelu(x, 0.3), (x) => (x > 0 ? x : SLOPE * x), 1],
  log: [tf.log, Math.log, 3],
  log1p: [tf.log1p, Math.log1p, 4],
  'log sigmoid': [tf.logSigmoid, (x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x))), 4],
  reciprocal: [tf.reciprocal, (x) => 1 / x, 1],
  rsqrt: [tf.rsqrt, (x) => 1 / Math.sqrt(x), 2],
  selu: [tf.selu, (x) => SELU.scale * (x > 0 ? x : SELU.alpha * Math.expm1(x)), 5],
  sigmoid: [tf.sigmoid, (x) => 1 / (1 + Math.exp(-x)), 3],
  sin: [(x) => tf.sin(tf.clipByValue(x, -100, 100)), (x) => Math.sin(Math.max(-100, Math.min(100, x))), 4],
  sinh: [tf.sinh, Math.sinh, 2],
  softplus: [tf.softplus, (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), 4],
  sqrt: [tf.sqrt, Math.sqrt, 1],
  square: [tf.square, (x) => x * x, 1],
  tanh: [tf.tanh, Math.tanh, 4],
};

/** Below, onnxruntime's tanh loses digits, and what is made of it. */
const TINY = 1e-36;

/** From the smallest numbers to the largest, and densely where functions bend. */
function samples(): Float32Array {
  const steps = 1000;
  const at = (i: number, low: number, high: number) => low + ((high - low) * i) / steps;
  const values: number[] = [];
  for (let i = 0; i < steps; i++) {
    const [size, near] = [10 ** at(i, -36, 38.4), 10 ** at(i, -7, 0)];
    values.push(size, -size, at(i, -110, 110), at(i, -2, 2), 1 + near, 1 - near, near - 1, -near - 1);
  }
  return Float32Array.from(values);
}

const SMALLEST_NORMAL = 2 ** -126;

/** In units in the last place of the exact value; 0 where both overflow or are no numbers. */
function distance(value: number, exact: number): number {
  const rounded = Math.fround(exact);
  if (Object.is(value, rounded)) return 0;
  if (!Number.isFinite(rounded)) return Math.abs(value) > 3.4e38 ? 0 : Number.POSITIVE_INFINITY;
  if (Number.isNaN(value)) return Number.POSITIVE_INFINITY;
  const exponent = Math.floor(Math.log2(Math.max(Math.abs(rounded), SMALLEST_NORMAL)));
  return Math.abs(value - exact) / 2 ** (exponent - 23);
}

describe('kernels on one tensor, over the whole range', () => {
  before(async () => {
    await tf.setBackend('onnxruntime');
  });

  const x = samples();
  for (const [name, [op, exact, bound]] of Object.entries(KERNELS))
    it(`are within ${bound} units in the last place: ${name}`, () => {
      const values = tf.tidy(() => op(tf.tensor1d(x)).dataSync());
      let worst = { distance: 0, at: 0 };
      values.forEach((value, i) => {
        const found = Math.abs(x[i]) < TINY ? 0 : distance(value, exact(x[i]));
        if (found > worst.distance) worst = { distance: found, at: i };
      });
      const { distance: most, at } = worst;
      assert.ok(most <= bound, `${most} units at ${x[at]}: ${values[at]}, expected ${exact(x[at])}`);
    });

  it('the logarithm of a sigmoid is finite far below 0, and so is its gradient', () => {
    const logits = [-17, -20, -40, -80];
    const loss = (y: tf.Tensor) => tf.log(tf.sigmoid(y));
    const values = loss(tf.tensor1d(logits)).dataSync();
    const gradients = tf.grad(loss)(tf.tensor1d(logits)).dataSync();
    logits.forEach((logit, i) => {
      assert.ok(Math.abs(values[i] - logit) < 1e-5, `${values[i]}, expected ${logit}`);
      assert.ok(Math.abs(gradients[i] - 1) < 1e-6, `gradient ${gradients[i]}, expected 1`);
    });
  });

  it('the sigmoid fused into a product of matrices is as accurate', () => {
    const y = tf.fused.matMul({ a: tf.tensor2d([[-30]]), b: tf.tensor2d([[1]]), activation: 'sigmoid' as never });
    assert.ok(distance(y.dataSync()[0], 1 / (1 + Math.exp(30))) < 3);
  });
});
