import assert from 'node:assert/strict';
import { test } from 'node:test';
import '../../base/tfjs/backend-cpu.js';
import { ShapeError, UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import { reseedDropout } from '../../model/dropout.js';
import type { NetworkOptions } from '../../model/geometry.js';
import { buildNetwork } from '../../model/network.js';
import { NETWORKS } from '../../model/registry.js';
import type { NetworkSpec } from '../../model/spec.js';
import { noise } from './close.js';
import { itIsAsSummarised } from './summarised.js';

const WIDTH = 0.0625; // a sixteenth: AlexNet's channels become 6, 16, 24, 24, 16 and 256
const SPECS = Object.values(NETWORKS);

const build = (spec: NetworkSpec, options: Partial<NetworkOptions> = {}) =>
  buildNetwork(spec, { classes: 7, seed: 5, width: WIDTH, ...options });

/** Images with their mean subtracted: −128 … 128 or so. */
const images = (spec: NetworkSpec, count: number) =>
  tf.mul(noise('pictures', [count, spec.inputPx, spec.inputPx, 3]), 60) as tf.Tensor4D;

for (const spec of SPECS) {
  // caffenet, of as many weights as alexnet, is in network.slow.test.ts
  if (spec.name !== 'caffenet') itIsAsSummarised(spec);

  test(`${spec.name}: saves and loads topology and weights with the same logits`, async () => {
    const model = build(spec);
    const x = images(spec, 2);
    const logits = model.predict(x) as tf.Tensor;
    assert.deepEqual(logits.shape, [2, 7]);
    let saved: tf.io.ModelArtifacts | undefined;
    await model.save(
      tf.io.withSaveHandler(async (artifacts) => {
        saved = artifacts;
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
      }),
    );
    const copy = await tfl.loadLayersModel(
      tf.io.fromMemory({ ...saved!, modelTopology: JSON.parse(JSON.stringify(saved!.modelTopology)) }),
    );
    assert.deepEqual((copy.predict(x) as tf.Tensor).dataSync(), logits.dataSync());
    assert.ok(logits.dataSync().some((value) => value !== 0));
  });

  test(`${spec.name}: every weight gets a gradient`, () => {
    // 67 pixels are the least that leave AlexNet's pool5 a window: 15, 7, 3, 1
    const small = { ...spec, inputPx: Math.min(spec.inputPx, 67) };
    const model = build(small);
    reseedDropout(model, 0);
    const x = images(small, 2);
    const loss = () => {
      const logits = model.apply(x, { training: true }) as tf.Tensor2D;
      return tf.neg(tf.sum(tf.slice(tf.logSoftmax(logits), [0, 3], [2, 1]))) as tf.Scalar;
    };
    const { grads } = tf.variableGrads(loss);
    for (const weight of model.trainableWeights) {
      const gradient = grads[(weight.read() as tf.Variable).name];
      assert.deepEqual(gradient.shape, weight.shape, weight.originalName);
      assert.ok(gradient.dataSync().every(Number.isFinite), `${weight.originalName}: a gradient is not finite`);
      assert.ok(
        gradient.dataSync().some((value) => value !== 0),
        `${weight.originalName}: gradient is 0`,
      );
    }
    model.dispose();
  });
}

test('names input and weights as the checkpoint and the export expect them', () => {
  const model = build(NETWORKS.alexnet);
  assert.deepEqual(model.inputNames, ['input']);
  assert.deepEqual(model.inputs[0].shape, [null, 227, 227, 3]);
  const layers = ['conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7', 'fc8'];
  assert.deepEqual(
    model.weights.map((weight) => weight.originalName),
    layers.flatMap((layer) => [`${layer}/kernel`, `${layer}/bias`]),
  );
});

test('lrn "code" divides the alpha of AlexNet by the window, "printed" does not', () => {
  const alpha = (lrn?: 'printed' | 'code') => build(NETWORKS.alexnet, { lrn }).getLayer('norm2').getConfig().alpha;
  assert.equal(alpha(), 1e-4);
  assert.equal(alpha('printed'), 1e-4);
  assert.equal(alpha('code'), 2e-5);
});

test('AlexNet normalises after ReLU, before pooling; CaffeNet after pooling', () => {
  const order = (name: keyof typeof NETWORKS) =>
    build(NETWORKS[name])
      .layers.slice(1, 4)
      .map((layer) => layer.name);
  assert.deepEqual(order('alexnet'), ['conv1', 'norm1', 'pool1']);
  assert.deepEqual(order('caffenet'), ['conv1', 'pool1', 'norm1']);
  assert.equal(build(NETWORKS.alexnet).getLayer('conv1').getConfig().relu, true);
});

test('answers the same without training, whatever masks were drawn', () => {
  const model = build(NETWORKS.alexnet);
  const x = images(NETWORKS.alexnet, 1);
  const before = (model.predict(x) as tf.Tensor).dataSync();
  const trained = (model.apply(x, { training: true }) as tf.Tensor).dataSync();
  assert.notDeepEqual(trained, before);
  assert.deepEqual((model.predict(x) as tf.Tensor).dataSync(), before);
});

test('saves kernels as zeros at first, which any program with TensorFlow.js can load', () => {
  const model = build(NETWORKS.alexnet);
  const { config } = model.toJSON(null, false) as { config: { layers: { config: Record<string, unknown> }[] } };
  const dense = config.layers.filter(({ config }) => config.name === 'fc6' || config.name === 'fc8');
  const named = dense.map(({ config }) => config.kernel_initializer ?? config.kernelInitializer);
  assert.deepEqual(named, Array(2).fill({ class_name: 'Zeros', config: {} }));
  model.dispose();
});

test('leaves no tensors behind', () => {
  const before = tf.memory().numTensors;
  const model = build(NETWORKS['cifar10-11pct']);
  const x = images(NETWORKS['cifar10-11pct'], 1);
  tf.dispose([model.predict(x), x]);
  model.dispose();
  // the test's own product by 60 makes one more
  assert.equal(tf.memory().numTensors - before, 1);
});

test('refuses options out of range', () => {
  const refused = (spec: NetworkSpec, options: Partial<NetworkOptions>, type: typeof UserError, message: string) =>
    assert.throws(
      () => build(spec, options),
      (error: Error) => {
        assert.ok(error instanceof type);
        assert.equal(error.message, message);
        return true;
      },
    );
  refused(
    NETWORKS.alexnet,
    { classes: 2.5 },
    UserError,
    'alexnet: expected a whole number of classes, 1 or more, got 2.5',
  );
  refused(NETWORKS.alexnet, { width: 0 }, UserError, 'alexnet: expected a width above 0, got 0');
  refused(
    NETWORKS.alexnet,
    { width: 0.03125 },
    ShapeError,
    'conv2: expected channels that divide into 2 groups, got 3 in and 8 out',
  );
  refused(
    NETWORKS.caffenet,
    { lrn: 'code' },
    UserError,
    'caffenet: has no response normalisation to choose, got lrn "code"; leave it out',
  );
});
