import '../../base/tfjs/backend-cpu.js';
import '../../base/tfjs/layers.js';
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { tf } from '../../base/tfjs/core.js';
import { compilationCount, sessionCount } from '../../onnx/backend/compile.js';
import { kernelCounts } from '../../onnx/backend/index.js';
import { tensor } from './on-both.js';

const runsOf = (program: () => void): number => {
  const before = kernelCounts().runs;
  program();
  return kernelCounts().runs - before;
};

describe('the onnxruntime backend', () => {
  before(async () => {
    await tf.setBackend('onnxruntime');
  });

  it('computes nothing until a value is read, then everything in one run', () => {
    const runs = runsOf(() => {
      const x = tf.tensor2d([1, -2, 3, -4, 5, -6], [2, 3]);
      const doubled = tf.mul(x, 2);
      const rectified = tf.relu(doubled);
      assert.deepEqual(Array.from(tf.sum(rectified, 1).dataSync()), [8, 10]);
      assert.deepEqual(Array.from(doubled.dataSync()), [2, -4, 6, -8, 10, -12]);
    });
    assert.equal(runs, 1);
  });

  it('computes what it is told to, and the rest with the next read', () => {
    const x = tf.tensor2d([1, -2, 3, -4, 5, -6], [2, 3]);
    const hidden = tf.relu(x);
    const [first, second] = [tf.sum(hidden, 1), tf.mul(hidden, 10)];
    const scaled = tf.mul(second, tf.sum(second));
    hidden.dispose(); // still read by what is pending
    const backend = tf.backend() as unknown as {
      computeInto(tensors: tf.TensorInfo[], memory: Float32Array[]): boolean[];
    };
    const memory = new Float32Array(2);
    assert.equal(
      runsOf(() => assert.deepEqual(backend.computeInto([first], [memory]), [true])),
      1,
    );
    assert.deepEqual([...memory], [4, 5]);
    assert.equal(
      runsOf(() => assert.deepEqual(Array.from(first.dataSync()), [4, 5])),
      0,
    );
    assert.equal(
      runsOf(() => assert.deepEqual(Array.from(second.dataSync()), [10, 0, 30, 0, 50, 0])),
      1,
    );
    assert.deepEqual(Array.from(scaled.dataSync()), [900, 0, 2700, 0, 4500, 0]);
  });

  it('keeps its own copy of the array a tensor was made of', () => {
    const array = new Float32Array([1, 2, 3]);
    const x = tf.tensor1d(array);
    array[0] = 99;
    assert.deepEqual(Array.from(tf.add(x, 1).dataSync()), [2, 3, 4]);
  });

  it('hands out values that the caller may change', async () => {
    const x = tf.add(tf.tensor1d([1, 2, 3]), 1);
    const conv = tf.conv2d(tensor<tf.Rank.R4>([1, 3, 4, 2]), tensor<tf.Rank.R4>([1, 1, 2, 3]), 1, 'valid');
    for (const tensor of [x, conv]) {
      const read = [tensor.dataSync(), await tensor.data(), tensor.bufferSync().values, tensor.dataSync()];
      const before = Array.from(read[0]);
      const later = tf.mul(tensor, 2);
      for (const values of read) values.fill(100);
      assert.deepEqual(Array.from(tensor.dataSync()), before);
      assert.deepEqual(
        Array.from(later.dataSync()),
        before.map((value) => value * 2),
      );
    }
  });

  it('keeps values apart when a tensor comes from another backend', async () => {
    await tf.setBackend('cpu');
    const x = tf.tensor1d([1, 2, 3]);
    const values = x.dataSync();
    await tf.setBackend('onnxruntime');
    const later = tf.mul(x, 2);
    values.fill(100);
    assert.deepEqual(Array.from(later.dataSync()), [2, 4, 6]);
  });

  it('reads missing values of a tensor as NaN, as the cpu backend does, and computes the rest', () => {
    const good = tf.add(tf.tensor1d([1, 2]), 1);
    const missing = tf.add(tf.ones([2, 2]), [tf.ones([2, 2])] as never);
    assert.deepEqual(Array.from(good.dataSync()), [2, 3]);
    assert.deepEqual(Array.from(missing.dataSync()), [Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
  });

  it('computes from tensors that were disposed before anything was read', () => {
    const x = tf.tensor1d([1, 2, 3]);
    const squared = tf.square(x);
    const sum = tf.sum(squared);
    x.dispose();
    squared.dispose();
    assert.equal(sum.dataSync()[0], 14);
  });

  it('never writes over an array that was read, however often the program runs again', () => {
    const kept: Float32Array[] = [];
    for (let step = 0; step < 5; step++) {
      const y = tf.tidy(() => tf.add(tf.fill([1000], step), tf.ones([1000])));
      kept.push(y.dataSync() as Float32Array);
      y.dispose();
    }
    kept.forEach((values, step) => {
      assert.ok(
        values.every((value) => value === step + 1),
        `values of step ${step} changed`,
      );
    });
  });

  it('does not reuse the memory of a tensor that a pending call still reads', () => {
    const a = tf.tidy(() => tf.add(tensor([2000]), 1));
    tf.sum(a).dataSync(); // a has memory of its own now
    const pending = tf.mul(a, 2);
    const expected = Array.from(tf.util.flatten(Array.from(tensor([2000]).dataSync())), (value) =>
      Math.fround(Math.fround(Number(value) + 1) * 2),
    );
    a.dispose();
    tf.tidy(() => tf.add(tf.fill([2000], 7), tf.fill([2000], 8)).dataSync());
    assert.deepEqual(Array.from(pending.dataSync()), expected);
  });

  it('compiles a training step once: learning rate and data are inputs of the graph', () => {
    const weight = tf.variable(tensor<tf.Rank.R2>([4, 3]));
    const step = (rate: number, seed: number) =>
      tf.tidy(() => {
        const { value, grads } = tf.variableGrads(
          () => tf.mean(tf.square(tf.matMul(tensor<tf.Rank.R2>([5, 4], seed), weight))) as tf.Scalar,
          [weight],
        );
        weight.assign(tf.sub(weight, tf.mul(grads[weight.name], tf.scalar(rate))));
        return value.dataSync()[0];
      });
    step(0.1, 1);
    const compiled = sessionCount();
    const runs = runsOf(() => {
      for (let i = 0; i < 4; i++) step(0.1 / (i + 1), i + 2);
    });
    assert.equal(sessionCount(), compiled);
    assert.equal(runs, 4);
    weight.dispose();
  });

  it('bounds a loop that never reads', () => {
    const runs = runsOf(() => {
      let x = tf.zeros([3]);
      for (let i = 0; i < 9000; i++) {
        const next = tf.add(x, 1);
        x.dispose();
        x = next;
      }
      assert.deepEqual(Array.from(x.dataSync()), [9000, 9000, 9000]);
    });
    assert.ok(runs >= 2, `${runs} runs for 9000 calls`);
  });

  it('compiles a step once when no step is read, wherever its variables are assigned', () => {
    const [weight, moving] = [tf.variable(tensor<tf.Rank.R2>([4, 3])), tf.variable(tf.zeros([3]))];
    const x = tensor<tf.Rank.R2>([5, 4], 2);
    const [adam, sgd] = [tf.train.adam(0.01), tf.train.sgd(0.01)];
    const loss = () => {
      const y = tf.matMul(x, weight);
      moving.assign(tf.add(tf.mul(moving, 0.9), tf.mean(y, 0)));
      return tf.mean(tf.square(y)) as tf.Scalar;
    };
    const steps = (count: number) => {
      for (let i = 0; i < count; i++) for (const optimizer of [adam, sgd]) optimizer.minimize(loss, false, [weight]);
    };
    steps(5);
    const compiled = compilationCount();
    const runs = runsOf(() => steps(20));
    assert.ok(runs >= 20, `${runs} runs for 20 steps`);
    assert.equal(compilationCount(), compiled);
    assert.ok(weight.dataSync().every(Number.isFinite));
    tf.dispose([weight, moving, x]);
    adam.dispose();
  });

  it('compiles a loop without variables once, and lets go of what it read', async () => {
    const before = compilationCount();
    let sum = tf.scalar(0);
    let most = 0;
    for (let i = 0; i < 600; i++) {
      const next = tf.tidy(() => tf.add(sum, tf.max(tf.tensor1d(new Float32Array(500_000).fill(i)))) as tf.Scalar);
      sum.dispose();
      sum = next;
      most = Math.max(most, process.memoryUsage().arrayBuffers);
    }
    assert.equal(sum.dataSync()[0], (599 * 600) / 2);
    assert.ok(compilationCount() - before <= 2, `${compilationCount() - before} programs`);
    assert.ok(most < 8e8, `held ${most} bytes of 1.2 GB that were read`);
  });

  it('holds no tensor of earlier steps: memory stays flat while a weight is updated', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const weight = tf.variable(tf.zeros([100_000]), false);
    const bytesAfter = async (steps: number) => {
      for (let i = 0; i < steps; i++) {
        tf.tidy(() => {
          weight.assign(tf.add(weight, tensor([100_000], i)));
          tf.sum(weight).dataSync();
        });
      }
      // Freed buffers leave the count with the sweeper, which runs in the background: the lowest of several readings is
      // what is held.
      let held = Number.POSITIVE_INFINITY;
      for (let look = 0; look < 10; look++) {
        await setTimeout(5);
        collect();
        held = Math.min(held, process.memoryUsage().arrayBuffers);
      }
      return held;
    };
    const before = await bytesAfter(40);
    const grown = (await bytesAfter(100)) - before;
    assert.ok(grown < 1.2e7, `${grown} bytes more after 100 steps, into which 40 MB went`);
    weight.dispose();
  });

  it('gives up graphs it has not used for long', () => {
    for (let length = 1; length <= 200; length++) tf.tidy(() => tf.square(tf.ones([length])).dataSync());
    assert.ok(sessionCount() <= 32, `${sessionCount()} sessions kept`);
  });

  it('delegates kernels without a rule and counts them', () => {
    const before = kernelCounts().delegated.Bincount ?? 0;
    const counts = tf.bincount(tf.tensor1d([1, 2, 1], 'int32'), tf.neg(tf.tensor1d([1, 2, 4])) as tf.Tensor1D, 4);
    assert.deepEqual(Array.from(tf.mul(counts, 2).dataSync()), [0, -10, -4, 0]);
    assert.equal(kernelCounts().delegated.Bincount, before + 1);
  });

  it('delegates what a rule refuses and names the reason', () => {
    const x = tf.abs(tf.tensor1d([true, false], 'bool'));
    assert.deepEqual(Array.from(x.dataSync()), [1, 0]);
    assert.ok((kernelCounts().delegated['Abs (dtype bool)'] ?? 0) >= 1, JSON.stringify(kernelCounts().delegated));
  });

  it('tells programs apart whose attributes JSON would write alike', () => {
    const clipped = (low: number, high: number) => Array.from(tf.clipByValue([-2, 2], low, high).dataSync());
    assert.deepEqual(clipped(-Infinity, 1), [-2, 1]);
    assert.deepEqual(clipped(1, Infinity), [1, 2]);
    const filled = [Infinity, -Infinity, Number.NaN].map((value) => tf.fill([2], value).dataSync()[1]);
    assert.deepEqual(filled, [Infinity, -Infinity, Number.NaN]);
  });

  it('shares the data of a clone instead of computing a copy', () => {
    const x = tf.tensor1d([1, 2, 3]);
    const { numDataBuffers } = tf.memory();
    const clone = x.clone();
    assert.equal(tf.memory().numDataBuffers, numDataBuffers);
    x.dispose();
    assert.deepEqual(Array.from(tf.neg(clone).dataSync()), [-1, -2, -3]);
  });

  it('tells every reader of a failed tensor why, and continues with others', () => {
    const wrong = tf.tidy(() => tf.sum(tf.fill([2 ** 24, 2 ** 24], 1))); // 1 PiB, more than can be addressed
    assert.throws(() => wrong.dataSync(), {
      name: 'OutOfMemoryError',
      message: /running ConstantOfShape node.*(bad_alloc|allocate)/,
    });
    assert.throws(() => wrong.dataSync(), {
      name: 'OutOfMemoryError',
      message: /running ConstantOfShape node.*(bad_alloc|allocate)/,
    });
    const [dependent, independent] = [tf.add(wrong, 1), tf.add(tf.tensor1d([1, 2]), 1)];
    assert.deepEqual(Array.from(independent.dataSync()), [2, 3]);
    assert.throws(() => dependent.dataSync(), { name: 'OutOfMemoryError' });
    tf.dispose([wrong, dependent]);
    assert.deepEqual(Array.from(tf.add(tf.tensor1d([1, 2]), 1).dataSync()), [2, 3]);
  });

  it('computes what it has memory for, and leaves no array without values, if a result is too large', () => {
    const x = tf.tensor3d([1, -2, 3, -4, 5, -6], [1, 2, 3]);
    const doubled = tf.mul(x, 2);
    const enormous = tf.tile(doubled, [2 ** 17, 2 ** 17, 2 ** 17]);
    const sum = tf.sum(doubled);
    assert.deepEqual(Array.from(doubled.dataSync()), [2, -4, 6, -8, 10, -12]);
    assert.deepEqual(Array.from(sum.dataSync()), [-6]);
    assert.throws(() => enormous.dataSync(), RangeError);
    tf.dispose([x, doubled, enormous, sum]);
  });

  it('handles empty tensors, strings and complex numbers as the cpu backend does', () => {
    assert.deepEqual(tf.add(tf.tensor2d([], [0, 3]), 1).shape, [0, 3]);
    assert.deepEqual(tf.tensor1d(['a', 'b']).dataSync(), ['a', 'b']);
    assert.deepEqual(
      Array.from(tf.mul(tf.complex([1, 2], [3, 4]), tf.complex([1, 0], [0, 1])).dataSync()),
      [1, 3, -4, 2],
    );
  });

  it('counts tensors and bytes truly', () => {
    const before = tf.memory();
    const x = tf.tidy(() => tf.relu(tf.mul(tensor([10, 20]), 2)));
    assert.equal(tf.memory().numTensors, before.numTensors + 1);
    assert.equal(tf.memory().numBytes, before.numBytes + 800);
    x.dispose();
    assert.equal(tf.memory().numBytes, before.numBytes);
  });
});
