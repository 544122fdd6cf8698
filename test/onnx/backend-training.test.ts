/**
 * The backend behaves as tfjs's others do: `model.fit`, optimizers, `tf.profile`, `tf.memory`, against the cpu backend.
 */
import '../../base/tfjs/backend-cpu.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import '../../onnx/backend/index.js';
import { tensor } from './on-both.js';

const OPTIMIZERS: Record<string, () => tf.Optimizer> = {
  sgd: () => tf.train.sgd(0.05),
  momentum: () => tf.train.momentum(0.02, 0.9, true),
  adam: () => tf.train.adam(0.01),
  adamax: () => tf.train.adamax(0.01),
  rmsprop: () => tf.train.rmsprop(0.005, 0.9, 0.5, 1e-4),
  adagrad: () => tf.train.adagrad(0.05),
  adadelta: () => tf.train.adadelta(0.5),
};

/**
 * A small net with a convolution, batch normalisation, pooling and a dense layer; weights are the same on every
 * backend.
 */
function smallNet(): tfl.LayersModel {
  const model = tfl.sequential({
    layers: [
      tfl.layers.conv2d({ inputShape: [7, 9, 2], filters: 5, kernelSize: [3, 2], activation: 'relu' }),
      tfl.layers.batchNormalization({}),
      tfl.layers.maxPooling2d({ poolSize: 2, strides: 2 }),
      tfl.layers.flatten(),
      tfl.layers.dense({ units: 3, activation: 'softmax' }),
    ],
  });
  // Scaled down: each weight but the gains and variances, which start as tfjs makes them.
  model.setWeights(
    model
      .getWeights()
      .map((weight, i) => (weight.shape.length > 1 ? tf.mul(tensor(weight.shape, 10 + i), 0.3) : weight)),
  );
  return model;
}

async function fitted(
  backend: string,
  optimizer: () => tf.Optimizer,
): Promise<{ losses: number[]; weights: number[] }> {
  await tf.setBackend(backend);
  const model = smallNet();
  model.compile({ optimizer: optimizer(), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  const x = tensor([12, 7, 9, 2], 5);
  const y = tf.oneHot(
    tf.tensor1d(
      Array.from({ length: 12 }, (_, i) => (i * 7) % 3),
      'int32',
    ),
    3,
  );
  const { history } = await model.fit(x, y, { batchSize: 5, epochs: 3, shuffle: false, verbose: 0 });
  const [loss, accuracy] = (await model.evaluate(x, y, { batchSize: 12 })) as tf.Scalar[];
  const losses = [
    ...(history.loss as number[]),
    ...(history.acc as number[]),
    loss.dataSync()[0],
    accuracy.dataSync()[0],
  ];
  const weights = model.getWeights().flatMap((weight) => Array.from(weight.dataSync()));
  tf.dispose([x, y, loss, accuracy]);
  model.dispose();
  return { losses, weights };
}

describe('model.fit and model.evaluate', () => {
  for (const [name, optimizer] of Object.entries(OPTIMIZERS))
    it(`end at the cpu backend's losses and weights with ${name}`, async () => {
      const [cpu, ours] = [await fitted('cpu', optimizer), await fitted('onnxruntime', optimizer)];
      const worst = (a: number[], b: number[]) =>
        a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
      // Nine updates of float32 sums in another order, divided by square roots of small numbers in the adaptive ones.
      assert.ok(worst(cpu.losses, ours.losses) < 1e-3, `losses ${cpu.losses} and ${ours.losses}`);
      assert.ok(worst(cpu.weights, ours.weights) < 1e-3, `weights differ by ${worst(cpu.weights, ours.weights)}`);
      assert.ok(cpu.losses[2] < cpu.losses[0], 'the loss falls');
    });
});

describe('what tfjs knows of the backend', () => {
  /** tf.memory() at several points of a program with clones, reshapes, variables and tensors never read. */
  async function memories(backend: string): Promise<unknown[]> {
    await tf.setBackend(backend);
    const start = tf.memory();
    const seen: unknown[] = [];
    const note = () => {
      const { numTensors, numBytes, numDataBuffers } = tf.memory();
      seen.push([numTensors - start.numTensors, numBytes - start.numBytes, numDataBuffers - start.numDataBuffers]);
    };
    const x = tensor([3, 5], 1);
    note();
    const y = tf.tidy(() => tf.matMul(x as tf.Tensor2D, tf.transpose(x) as tf.Tensor2D));
    note();
    const flat = tf.reshape(y, [9]);
    const variable = tf.variable(tf.zeros([9]));
    note();
    variable.assign(tf.tidy(() => tf.add(variable, flat) as tf.Tensor));
    note();
    y.dataSync();
    tf.dispose([x, y, flat]);
    note();
    tf.dispose(variable);
    note();
    return seen;
  }

  it('memory: tensors, bytes and buffers as on the cpu backend, pending or not', async () => {
    assert.deepEqual(await memories('onnxruntime'), await memories('cpu'));
  });

  // Not peakBytes: the cpu backend's kernels make tensors of their own on the way.
  it('profile: names, shapes and bytes of kernels as on the cpu backend', async () => {
    const profiled = async (backend: string) => {
      await tf.setBackend(backend);
      const x = tensor([2, 5, 7, 3], 1);
      const { kernels, newBytes, newTensors } = await tf.profile(() =>
        tf.tidy(() =>
          tf.mean(tf.relu(tf.conv2d(x as tf.Tensor4D, tensor<tf.Rank.R4>([2, 3, 3, 4], 2), 1, 'same')), [1, 2]),
        ),
      );
      x.dispose();
      const calls = kernels.map(({ name, bytesAdded, outputShapes }) => ({ name, bytesAdded, outputShapes }));
      return { calls, newBytes, newTensors };
    };
    const ours = await profiled('onnxruntime');
    assert.deepEqual(ours, await profiled('cpu'));
  });

  it('data() and dataSync() give the same numbers', async () => {
    await tf.setBackend('onnxruntime');
    const x = tensor([3, 4], 2);
    const doubled = tf.mul(x, 2);
    assert.deepEqual(
      Array.from(await doubled.data()),
      Array.from(x.dataSync(), (value) => Math.fround(value * 2)),
    );
    assert.deepEqual(Array.from(await doubled.data()), Array.from(doubled.dataSync()));
    tf.dispose([x, doubled]);
  });
});
