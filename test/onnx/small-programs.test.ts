import '../../base/tfjs/backend-cpu.js';
import '../../base/tfjs/layers.js';
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import { compilationCount } from '../../onnx/backend/compile.js';
import { compileAlways } from '../../onnx/backend/eager.js';
import { kernelCounts } from '../../onnx/backend/index.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { numbers, tensor } from './on-both.js';

/** Ten calls on a batch; what a person training on rows of many lengths would write. */
function step(length: number, weight: tf.Tensor2D): number {
  return tf.tidy(() => {
    let y = tf.matMul(tensor<tf.Rank.R2>([length, 16], length), weight);
    for (let layer = 0; layer < 4; layer++) y = tf.tanh(tf.add(tf.mul(y, 0.9), 0.1));
    return tf.mean(tf.square(y)).dataSync()[0];
  });
}

describe('programs that are small or new', () => {
  let wasAlways = false;
  before(async () => {
    await tf.setBackend('onnxruntime');
    wasAlways = compileAlways(false);
  });
  after(() => compileAlways(wasAlways));

  it('are computed by the cpu kernels while their shapes change, and compiled once they return often', async () => {
    const weight = tensor<tf.Rank.R2>([16, 24], 3);
    const counts = kernelCounts();
    const values = Array.from({ length: 30 }, (_, i) => step(40 + i, weight));
    assert.equal(kernelCounts().runs, counts.runs);
    assert.ok(kernelCounts().eager > counts.eager);
    await tf.setBackend('cpu');
    const expected = Array.from({ length: 30 }, (_, i) => step(40 + i, weight));
    for (const [i, value] of values.entries())
      assert.ok(Math.abs(value - expected[i]) < 1e-6, `${value}, expected ${expected[i]}`);
    await tf.setBackend('onnxruntime');
    const compiled = compilationCount();
    for (let i = 0; i < 200; i++) step(100, weight);
    assert.equal(compilationCount(), compiled + 1);
    weight.dispose();
  });

  it('are computed as they are made, and recorded from the first call on that is not small', async () => {
    const x = tensor<tf.Rank.R4>([1, 6, 5, 2]);
    const { eager, runs } = kernelCounts();
    const y = tf.mul(tf.add(x, 1), 2) as tf.Tensor4D;
    assert.equal(kernelCounts().eager, eager + 2);
    const z = tf.neg(tf.conv2d(y, tensor<tf.Rank.R4>([3, 3, 2, 4], 2), 1, 'same'));
    assert.equal(kernelCounts().eager, eager + 2);
    const values = z.dataSync();
    assert.equal(kernelCounts().runs, runs + 1);
    await tf.setBackend('cpu');
    const expected = tf.tidy(() => tf.neg(tf.conv2d(y, tensor<tf.Rank.R4>([3, 3, 2, 4], 2), 1, 'same')).dataSync());
    await tf.setBackend('onnxruntime');
    for (const [i, value] of values.entries()) assert.ok(Math.abs(value - expected[i]) < 1e-5);
    tf.dispose([x, y, z]);
  });

  it('hold nothing while a loop that assigns variables reads nothing', async () => {
    const losses: number[] = [];
    for (const backend of ['onnxruntime', 'cpu']) {
      await tf.setBackend(backend);
      const weight = tf.variable(tensor<tf.Rank.R2>([16, 24], 3));
      const sgd = tf.train.sgd(0.1);
      const { numTensors } = tf.memory();
      const loss = () => tf.mean(tf.square(tf.matMul(tensor<tf.Rank.R2>([40, 16], 4), weight))) as tf.Scalar;
      for (let i = 0; i < 50; i++) sgd.minimize(loss);
      assert.equal(tf.memory().numTensors, numTensors);
      losses.push(tf.tidy(() => loss().dataSync()[0]));
      weight.dispose();
    }
    assert.ok(Math.abs(losses[0] - losses[1]) < 1e-6, `${losses}`);
    await tf.setBackend('onnxruntime');
  });

  it('before a batch leave every batch the same program, whichever elements are new and wherever they stand', async () => {
    const means = (): number[] => {
      const kernel = tensor<tf.Rank.R4>([3, 3, 2, 4], 2);
      const elements = (step: number) =>
        Array.from({ length: 6 }, (_, i) => tf.tidy(() => tf.sub(tf.div(tensor([20, 20, 2], 6 * step + i), 0.5), 1)));
      let buffer = elements(12);
      return Array.from({ length: 12 }, (_, step) => {
        buffer.push(...elements(step));
        const places = numbers(12, step + 1); // sorted by them, the buffer is shuffled
        const order = Array.from(places.keys()).sort((a, b) => places[a] - places[b]);
        const batch = order.slice(0, 6).map((i) => buffer[i]);
        buffer = order.slice(6).map((i) => buffer[i]);
        return tf.mean(tf.relu(tf.conv2d(tf.stack(batch) as tf.Tensor4D, kernel, 1, 'same'))).dataSync()[0];
      });
    };
    const compiled = compilationCount();
    const actual = tf.tidy(means);
    assert.ok(compilationCount() - compiled <= 4, `${compilationCount() - compiled} programs for 12 batches`);
    await tf.setBackend('cpu');
    const expected = tf.tidy(means);
    await tf.setBackend('onnxruntime');
    for (const [i, value] of actual.entries()) assert.ok(Math.abs(value - expected[i]) < 1e-5, `batch ${i}`);
  });

  it('before a batch leave the rest a program that is compiled at its own cost', async () => {
    const outputs = () =>
      tf.tidy(() => {
        const [hidden, logits] = [tensor<tf.Rank.R2>([2000, 64], 2), tensor<tf.Rank.R2>([64, 10], 3)];
        return Array.from({ length: 14 }, (_, step) => {
          const mapped = Array.from({ length: 16 }, (_, i) => tf.sub(tf.div(tensor([2000], 99 * step + i), 0.5), 1));
          const places = numbers(16, step + 1); // sorted by them, the batch is shuffled
          const order = Array.from(places.keys()).sort((a, b) => places[a] - places[b]);
          const batch = tf.stack(order.map((i) => mapped[i])) as tf.Tensor2D;
          return tf.mean(tf.matMul(tf.relu(tf.matMul(batch, hidden)), logits)).dataSync()[0];
        });
      });
    const { runs } = kernelCounts();
    const compiled = compilationCount();
    const actual = outputs();
    assert.ok(kernelCounts().runs - runs >= 8, `${kernelCounts().runs - runs} runs in 14 steps`);
    assert.ok(compilationCount() - compiled <= 3, `${compilationCount() - compiled} programs for 14 batches`);
    await tf.setBackend('cpu');
    const expected = outputs();
    await tf.setBackend('onnxruntime');
    for (const [i, value] of actual.entries())
      assert.ok(Math.abs(value - expected[i]) < 1e-5 * Math.abs(expected[i]), `batch ${i}: ${value}, ${expected[i]}`);
  });

  it('before a batch keep their values if memory does not suffice for the batch', () => {
    const x = tensor([100, 40]);
    const small = [tf.neg, tf.abs];
    for (const order of [small, small.toReversed()]) {
      const sum = tf.tidy(() => tf.sum(tf.fill([2 ** 24, 2 ** 24], 1))); // of 1 PiB
      const results = order.map((op) => op(x));
      assert.throws(() => sum.dataSync(), { name: 'OutOfMemoryError' });
      if (order !== small) assert.deepEqual(results[0].dataSync(), x.dataSync().map(Math.abs));
      tf.dispose([sum, ...results]);
    }
    x.dispose();
  });

  it('are compiled where the cpu kernel is wrong', () => {
    const count = tf.reshape(tf.range(0, 40), [2, 5, 4]);
    const cut = tf.stridedSlice(count, [0, 1, 0], [2, 2, 4], [1, 1, 2], 0, 0, 0, 0, 0b010);
    assert.deepEqual([...cut.dataSync()], [4, 6, 24, 26]);
    const mean = tf.tensor4d([0, 10], [1, 2, 1, 1]);
    const normal = tf.batchNorm(
      tf.ones([1, 2, 2, 3]),
      mean as never,
      tf.onesLike(mean) as never,
      undefined,
      undefined,
      0,
    );
    assert.deepEqual([...normal.dataSync()], [...new Array(6).fill(1), ...new Array(6).fill(-9)]);
    tf.dispose([count, cut, mean, normal]);
  });

  it('leave the values of other tensors alone, whatever memory a cpu kernel hands on', () => {
    const x = tf.add(tensor([4, 1000]), 1);
    const rows = tf.slice(x, [1, 0], [2, 1000]);
    const expected = Array.from(x.dataSync().subarray(1000, 3000));
    x.dispose();
    for (let i = 0; i < 5; i++) tf.tidy(() => tf.add(tensor([4, 1000], i), i).dataSync());
    assert.deepEqual(Array.from(rows.dataSync()), expected);
    rows.dispose();
  });

  const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };
  for (const [from, to] of Object.keys(ARRAYS).flatMap((a) => Object.keys(ARRAYS).map((b) => [a, b] as const)))
    it(`cast ${from} to ${to} in an array of that type, as compiled ones do`, async () => {
      for (const isRead of [true, false]) {
        const y = tf.cast(tf.tensor1d([1, 0, 1], from as 'int32'), to as 'int32');
        if (isRead) {
          assert.equal(y.dataSync().constructor, ARRAYS[to as 'int32']);
          assert.equal((await y.bytes()).length, 3 * ARRAYS[to as 'int32'].BYTES_PER_ELEMENT);
          const { data, specs } = await tf.io.encodeWeights({ y });
          assert.deepEqual(Array.from(tf.io.decodeWeights(data, specs).y.dataSync()), [1, 0, 1]);
        }
        if (to !== 'float32') continue;
        const updates = tf.tensor1d([0.5]);
        const updated = tf.tensorScatterUpdate(y, tf.tensor2d([[0]], [1, 1], 'int32'), updates);
        assert.deepEqual(Array.from(updated.dataSync()), [0.5, 0, 1], `isRead ${isRead}`);
      }
    });

  it('cast in an array of the type where they are computed at their end', () => {
    const mixed = () => {
      const x = tf.cast(tf.reshape(tf.range(0, 20000, 1, 'int32'), [100, 200]), 'float32'); // too large for a direct call
      const moved = tf.transpose(tf.cast(tf.cast(x, 'bool'), 'float32'));
      return [x, moved, tf.tensorScatterUpdate(moved, tf.tensor2d([[0]], [1, 1], 'int32'), tf.fill([1, 100], 0.5))];
    };
    const { runs } = kernelCounts();
    for (let i = 0; i < 2; i++) {
      const results = tf.tidy(mixed);
      assert.deepEqual(
        results.map((result) => result.dataSync().constructor),
        [Float32Array, Float32Array, Float32Array],
      );
      assert.equal(results[2].dataSync()[7], 0.5);
      tf.dispose(results);
    }
    assert.equal(kernelCounts().runs, runs);
  });

  it('are counted as they are on the cpu backend', () => {
    const x = tensor([3, 4]);
    const { numTensors } = tf.memory();
    const y = tf.abs(x);
    y.dataSync();
    assert.equal(tf.memory().numTensors, numTensors + 1);
    tf.dispose([x, y]);
  });

  it('are compiled all the same for commands, whose resumed runs compute as the first did', async () => {
    await selectBackend('onnxruntime');
    const { runs } = kernelCounts();
    tf.tidy(() => tf.add(tensor([7, 3]), 1).dataSync());
    assert.equal(kernelCounts().runs, runs + 1);
  });
});
