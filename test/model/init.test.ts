import assert from 'node:assert/strict';
import { test } from 'node:test';
import '../../base/tfjs/backend-cpu.js';
import { random } from '../../base/random.js';
import { normals } from '../../model/init.js';
import { buildNetwork } from '../../model/network.js';
import { NETWORKS } from '../../model/registry.js';

const mean = (values: ArrayLike<number>) => Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;

test('draws normal numbers with mean 0 and the standard deviation asked for', () => {
  const n = 500_001;
  const values = normals(n, 0.01, random('test', 'normals'));
  const variance = mean(values.map((value) => value * value));
  const share = (limit: number) => values.filter((value) => Math.abs(value) > limit).length / n;
  assert.ok(Math.abs(mean(values)) < (5 * 0.01) / Math.sqrt(n), `mean ${mean(values)}`);
  assert.ok(Math.abs(Math.sqrt(variance) / 0.01 - 1) < 5 / Math.sqrt(2 * n), `stddev ${Math.sqrt(variance)}`);
  assert.ok(Math.abs(share(0.02) - 0.0455) < 0.0015, `beyond two stddev ${share(0.02)}`);
  assert.ok(Math.abs(share(0.03) - 0.0027) < 0.0004, `beyond three stddev ${share(0.03)}`);
  const neighbours = mean(values.subarray(1).map((value, i) => value * values[i])) / variance;
  assert.ok(Math.abs(neighbours) < 5 / Math.sqrt(n), `correlation of neighbours ${neighbours}`);
});

/** Weights by name, at a sixteenth of the width. */
function weightsOf(
  name: 'alexnet' | 'alexnet-torchvision',
  seed: number,
  drawn?: readonly string[],
): Map<string, Float32Array> {
  const model = buildNetwork(NETWORKS[name], { classes: 11, seed, width: 0.0625, drawn });
  const weights = new Map(
    model.weights.map((weight) => [weight.originalName, weight.read().dataSync() as Float32Array]),
  );
  model.dispose();
  return weights;
}

test('starts biases of conv2, conv4, conv5, fc6 and fc7 with 1 and the others with 0', () => {
  const weights = weightsOf('alexnet', 0);
  const ones = [...weights].filter(([name, values]) => name.endsWith('/bias') && values.every((value) => value === 1));
  const zeros = [...weights].filter(([name, values]) => name.endsWith('/bias') && values.every((value) => value === 0));
  assert.deepEqual(
    ones.map(([name]) => name),
    ['conv2/bias', 'conv4/bias', 'conv5/bias', 'fc6/bias', 'fc7/bias'],
  );
  assert.deepEqual(
    zeros.map(([name]) => name),
    ['conv1/bias', 'conv3/bias', 'fc8/bias'],
  );
});

test('gives every kernel of AlexNet stddev 0.01', () => {
  for (const [name, values] of weightsOf('alexnet', 0)) {
    if (!name.endsWith('/kernel')) continue;
    const stddev = Math.sqrt(mean(values.map((value) => value * value)));
    assert.ok(Math.abs(stddev / 0.01 - 1) < 5 / Math.sqrt(2 * values.length), `${name}: ${stddev}`);
  }
});

test('draws equal weights for equal seeds and others for other seeds and layers', () => {
  const weights = weightsOf('alexnet', 3);
  assert.deepEqual(weightsOf('alexnet', 3), weights);
  assert.notDeepEqual(weightsOf('alexnet', 4).get('conv3/kernel'), weights.get('conv3/kernel'));
  assert.notDeepEqual(weights.get('conv3/kernel')!.slice(0, 100), weights.get('conv4/kernel')!.slice(0, 100));
});

test('draws the same weights for a layer whether or not others are drawn, whose weights are 0', () => {
  const all = weightsOf('alexnet', 3);
  for (const [name, values] of weightsOf('alexnet', 3, ['conv2', 'fc8'])) {
    if (/conv2|fc8/.test(name)) assert.deepEqual(values, all.get(name));
    else assert.ok(values.every((value) => value === 0));
  }
});

test('draws torchvision weights and biases uniformly within ± 1 / √fan-in', () => {
  const weights = weightsOf('alexnet-torchvision', 0);
  const bounds = { conv1: 1 / Math.sqrt(11 * 11 * 3), conv2: 1 / Math.sqrt(5 * 5 * 4), fc6: 1 / Math.sqrt(6 * 6 * 16) };
  for (const [layer, bound] of Object.entries(bounds)) {
    const kernel = weights.get(`${layer}/kernel`)!;
    const largest = kernel.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assert.ok(largest <= bound && largest > 0.97 * bound, `${layer}: ${largest}, bound ${bound}`);
    const bias = weights.get(`${layer}/bias`)!;
    assert.ok(bias.every((value) => value !== 0 && Math.abs(value) <= bound));
  }
});
