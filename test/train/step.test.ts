import assert from 'node:assert/strict';
import { test } from 'node:test';
import { random } from '../../base/random.js';
import { tf } from '../../base/tfjs/core.js';
import { reseedDropout } from '../../model/dropout.js';
import { modelWeights } from '../../train/run/weights.js';
import { Sgd } from '../../train/sgd.js';
import { TrainingStep } from '../../train/step.js';
import { CLASSES, flatWeights, INPUT_PX, tinyModel } from './tiny.js';

const SETTINGS = { momentum: 0.9, weightDecay: 0.01 };

function noiseBatch(images: number, name: string) {
  const stream = random('batch', name);
  return {
    images: Float32Array.from({ length: images * INPUT_PX * INPUT_PX * 3 }, () => 60 * stream.normal()),
    labels: Int32Array.from({ length: images }, () => stream.integer(CLASSES)),
  };
}

/** Without dropout, whose masks depend on the parts. */
function setUp(microBatch: number | null, classWeights: number[] | null = null) {
  const model = tinyModel();
  Object.assign(model.getLayer('drop'), { args: { rate: 0 } });
  reseedDropout(model, 'none');
  const sgd = new Sgd(modelWeights(model, 'trainable'), SETTINGS);
  return { model, step: new TrainingStep(model, sgd, { microBatch, clipNorm: 3, classWeights }) };
}

for (const classWeights of [null, [0.2, 3, 1.1, 0.5]]) {
  const title = `gives the same update in micro-batches as in one, also where the last is smaller${classWeights ? ', weighted' : ''}`;
  test(title, () => sameInParts(classWeights));
}

function sameInParts(classWeights: number[] | null): void {
  const whole = setUp(null, classWeights);
  const parts = setUp(4, classWeights);
  for (const name of ['first', 'second']) {
    const expected = whole.step.run(noiseBatch(9, name), 0.01);
    const actual = parts.step.run(noiseBatch(9, name), 0.01);
    assert.ok(Math.abs(expected.loss - actual.loss) < 1e-5 * expected.loss, `loss ${expected.loss} and ${actual.loss}`);
    assert.equal(actual.right, expected.right);
  }
  const expected = flatWeights(whole.model);
  // 1e-6: weights of about 0.05, float32 sums over 9 images in another order
  flatWeights(parts.model).forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]) < 1e-6, `weight ${i}: ${expected[i]} and ${value}`);
  });
}

test('weighs every image by its class', () => {
  const batch = noiseBatch(9, 'weighted');
  const classWeights = [0.2, 3, 1.1, 0.5];
  const { loss } = setUp(null, classWeights).step.run(batch, 0.01);
  // The mean of single images' losses times their weights; each from a model of its own, since a step updates.
  const size = INPUT_PX * INPUT_PX * 3;
  const losses = Array.from(batch.labels, (label, n) => {
    const single = { images: batch.images.slice(n * size, (n + 1) * size), labels: batch.labels.slice(n, n + 1) };
    return classWeights[label] * setUp(null).step.run(single, 0.01).loss;
  });
  const expected = losses.reduce((sum, value) => sum + value, 0) / 9;
  assert.ok(Math.abs(loss - expected) < 1e-5 * expected, `expected ${expected}, got ${loss}`);
});

test('reports the loss before the update, and lowers it over steps', () => {
  const { step } = setUp(null);
  const batch = noiseBatch(9, 'same');
  const first = step.run(batch, 0.001);
  let last = first;
  for (let i = 0; i < 15; i++) last = step.run(batch, 0.001);
  assert.ok(last.loss < first.loss / 2, `from ${first.loss} to ${last.loss}`);
  assert.ok(last.right > first.right);
});

for (const microBatch of [null, 2]) {
  test(`keeps no tensor from step to step ${microBatch ? 'in micro-batches' : 'with whole batches'}`, () => {
    const { step } = setUp(microBatch);
    step.run(noiseBatch(5, 'warm-up'), 0.01);
    const before = tf.memory().numTensors;
    for (let i = 0; i < 3; i++) step.run(noiseBatch(5, `${i}`), 0.01);
    assert.equal(tf.memory().numTensors, before);
  });
}

test('reads the device once a step, so that a lazy backend runs one graph', () => {
  const { step } = setUp(null);
  const backend = tf.backend();
  const readSync = backend.readSync.bind(backend);
  let reads = 0;
  step.run(noiseBatch(5, 'warm-up'), 0.01);
  backend.readSync = (dataId: object) => {
    reads += 1;
    return readSync(dataId);
  };
  try {
    step.run(noiseBatch(5, 'counted'), 0.01);
  } finally {
    backend.readSync = readSync;
  }
  assert.equal(reads, 1);
});
