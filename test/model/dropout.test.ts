import assert from 'node:assert/strict';
import { test } from 'node:test';
import '../../base/tfjs/backend-cpu.js';
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import { reseedDropout, SeededDropout } from '../../model/dropout.js';

/** Two dropout layers side by side, so that each one's output can be read. */
function twoDropouts(rate: number): tfl.LayersModel {
  const input = tfl.input({ shape: [1000] });
  const outputs = ['drop6', 'drop7'].map(
    (name) => new SeededDropout({ name, rate }).apply(input) as tfl.SymbolicTensor,
  );
  return tfl.model({ inputs: input, outputs });
}

function run(model: tfl.LayersModel, training = true): number[][] {
  const outputs = model.apply(tf.fill([3, 1000], 7), { training }) as tf.Tensor[];
  return outputs.map((output) => [...output.dataSync()]);
}

test('draws the same masks for the same step and others for another', () => {
  const model = twoDropouts(0.5);
  reseedDropout(model, 'seed', 12);
  const step12 = run(model);
  reseedDropout(model, 'seed', 13);
  const step13 = run(model);
  reseedDropout(model, 'seed', 12);
  assert.deepEqual(run(model), step12);
  assert.notDeepEqual(step13[0], step12[0]);
  assert.notDeepEqual(step13[1], step12[1]);
});

test('draws other masks for each layer and for each call within a step', () => {
  const model = twoDropouts(0.5);
  reseedDropout(model, 0);
  const first = run(model);
  const second = run(model);
  const masks = [...first, ...second].map((mask) => mask.join(''));
  assert.equal(new Set(masks).size, 4);
  reseedDropout(model, 0);
  assert.deepEqual([run(model), run(model)], [first, second]);
});

test('keeps a share of 1 − rate, scaled so that the mean stays', () => {
  for (const rate of [0.5, 0.2]) {
    const model = twoDropouts(rate);
    reseedDropout(model, 0);
    const values = run(model).flat();
    const kept = values.filter((value) => value !== 0);
    // 6000 draws: the share's standard deviation is at most 0.0065, five of them
    assert.ok(Math.abs(kept.length / values.length - (1 - rate)) < 0.032, `kept ${kept.length} of ${values.length}`);
    assert.ok(kept.every((value) => Math.abs(value - 7 / (1 - rate)) < 1e-5));
  }
});

test('passes gradients through what was kept only', () => {
  const layer = new SeededDropout({ name: 'drop', rate: 0.5 });
  const x = tf.ones([500]);
  const masked = () => {
    layer.reseed([0]);
    return (input: tf.Tensor) => layer.apply(input, { training: true }) as tf.Tensor;
  };
  assert.deepEqual(tf.grad(masked())(x).dataSync(), masked()(x).dataSync());
});

test('is the identity outside training', () => {
  const model = twoDropouts(0.5);
  assert.deepEqual(new Set(run(model, false).flat()), new Set([7]));
});
