import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../base/errors.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { summarize } from '../../model/summary.js';
import './close.js';
import '../../base/tfjs/backend-cpu.js';

const names = (network: string) => findNetwork(network).rows.map(({ name }) => name);
const outputs = (network: string) =>
  Object.fromEntries(summarize(findNetwork(network), 10).layers.map(({ name, output }) => [name, output]));

test('leaves layers out, and says so in the name', () => {
  assert.equal(findNetwork('alexnet.no-norm1.no-norm2').name, 'alexnet.no-norm1.no-norm2');
  assert.ok(!names('alexnet.no-norm1').includes('norm1'));
  assert.equal(names('alexnet.no-norm1').length, names('alexnet').length - 1);
  // conv4 has 384 kernels of 3×3 over 192 channels, and biases; what follows has as many channels as before.
  const { parameters } = summarize(findNetwork('alexnet.no-conv4'), 1000);
  assert.equal(parameters, 60_965_224 - (3 * 3 * 192 * 384 + 384));
});

test('puts tanh where ReLU was, after every layer that had it', () => {
  const { rows } = findNetwork('cifar10-18pct.tanh');
  assert.ok(rows.every((row) => row.type !== 'relu' && (!('relu' in row) || !row.relu)));
  assert.deepEqual(
    rows.map(({ name }) => name),
    [
      'conv1',
      'pool1',
      'tanh1',
      'rnorm1',
      'conv2',
      'conv2_tanh',
      'pool2',
      'rnorm2',
      'conv3',
      'conv3_tanh',
      'pool3',
      'fc10',
    ],
  );
  const model = buildNetwork(findNetwork('cifar10-18pct.tanh'), { classes: 7, seed: 1, width: 0.25 });
  assert.equal(model.getLayer('conv2_tanh').getConfig().activation, 'tanh');
  model.dispose();
});

test('narrows pooling windows to their stride and keeps the sizes of AlexNet', () => {
  const pools = findNetwork('alexnet.pool2').rows.filter(({ type }) => type === 'maxpool');
  assert.deepEqual(
    pools.map((row) => 'size' in row && row.size),
    [2, 2, 2],
  );
  assert.deepEqual(outputs('alexnet.pool2').pool5, outputs('alexnet').pool5);
});

test('drops half before the last layer', () => {
  const [drop, last] = findNetwork('cifar10-11pct.dropout').rows.slice(-2);
  assert.deepEqual([drop, last.name], [{ type: 'dropout', name: 'dropout', rate: 0.5 }, 'fc10']);
});

test('refuses changes that there are not, that change nothing, or that leave no network', () => {
  const refused = (network: string, message: RegExp) =>
    assert.throws(
      () => findNetwork(network),
      (error: Error) => error instanceof UserError && message.test(error.message),
    );
  refused('alexnet.sigmoid', /unknown change "\.sigmoid"; there are: no-LAYER .*tanh/);
  refused('alexnet.no-conv9', /cannot leave out "conv9"; layers that can be: conv1, norm1/);
  refused('alexnet.no-fc8', /cannot leave out "fc8"/);
  refused('alexnet.dropout', /"\.dropout" changes nothing/);
  refused('alexnet.tanh.tanh', /"\.tanh" changes nothing/);
  refused('alexnet.', /unknown change "\."/);
});
