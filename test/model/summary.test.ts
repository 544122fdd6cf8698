import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../base/errors.js';
import { summaryCommand } from '../../cli/summary.js';
import { NETWORKS } from '../../model/registry.js';
import { formatSummary, summarize } from '../../model/summary.js';

const parameters = (name: keyof typeof NETWORKS, classes: number) =>
  Object.fromEntries(
    summarize(NETWORKS[name], classes)
      .layers.filter((layer) => layer.parameters > 0)
      .map((layer) => [layer.name, layer.parameters]),
  );

test('counts 60,965,224 parameters in AlexNet, layer by layer as in the paper', () => {
  assert.deepEqual(parameters('alexnet', 1000), {
    conv1: 34_944,
    conv2: 307_456,
    conv3: 885_120,
    conv4: 663_936,
    conv5: 442_624,
    fc6: 37_752_832,
    fc7: 16_781_312,
    fc8: 4_097_000,
  });
  assert.equal(summarize(NETWORKS.alexnet, 1000).parameters, 60_965_224);
});

test('computes the sizes 55, 27, 13, 13, 13 and 6 of AlexNet', () => {
  const outputs = Object.fromEntries(
    summarize(NETWORKS.alexnet, 1000).layers.map((layer) => [layer.name, layer.output]),
  );
  assert.deepEqual(outputs, {
    conv1: [55, 55, 96],
    norm1: [55, 55, 96],
    pool1: [27, 27, 96],
    conv2: [27, 27, 256],
    norm2: [27, 27, 256],
    pool2: [13, 13, 256],
    conv3: [13, 13, 384],
    conv4: [13, 13, 384],
    conv5: [13, 13, 256],
    pool5: [6, 6, 256],
    fc6: [4096],
    drop6: [4096],
    fc7: [4096],
    drop7: [4096],
    fc8: [1000],
  });
});

test('counts the multiply-adds of AlexNet', () => {
  const { layers, macs } = summarize(NETWORKS.alexnet, 1000);
  const of = (name: string) => layers.find((layer) => layer.name === name)?.macs;
  assert.equal(of('conv1'), 55 * 55 * 96 * 11 * 11 * 3);
  assert.equal(of('conv2'), 27 * 27 * 256 * 5 * 5 * 48);
  assert.equal(of('fc6'), 6 * 6 * 256 * 4096);
  assert.equal(macs, 724_406_816);
});

test('counts the parameters of the other networks', () => {
  const total = (name: keyof typeof NETWORKS, classes: number) => summarize(NETWORKS[name], classes).parameters;
  assert.equal(total('alexnet-torchvision', 1000), 61_100_840);
  assert.equal(total('caffenet', 1000), 60_965_224);
  assert.deepEqual(parameters('cifar10-18pct', 10), { conv1: 2432, conv2: 25_632, conv3: 51_264, fc10: 10_250 });
  assert.deepEqual(parameters('cifar10-quick', 10), {
    conv1: 2432,
    conv2: 25_632,
    conv3: 51_264,
    fc64: 65_600,
    fc10: 650,
  });
  // Untied: 6 × 6 places, each with a kernel and biases of its own.
  assert.deepEqual(parameters('cifar10-11pct', 10), {
    conv1: 64 * (25 * 3 + 1),
    conv2: 64 * (25 * 64 + 1),
    local3: 36 * 64 * (9 * 64 + 1),
    local4: 36 * 32 * (9 * 64 + 1),
    fc10: (36 * 32 + 1) * 10,
  });
});

test('follows the number of classes in the last layer only', () => {
  assert.equal(summarize(NETWORKS.alexnet, 200).parameters, 60_965_224 - 800 * 4097);
});

test('refuses a number of classes that is none', () => {
  assert.throws(
    () => summarize(NETWORKS.alexnet, 0),
    (error: Error) =>
      error instanceof UserError && error.message === 'alexnet: expected a whole number of classes, 1 or more, got 0',
  );
});

test('states the constants of response normalisation, those of a run if they are others', () => {
  const lines = (...lrn: Parameters<typeof summarize>[2][]) =>
    formatSummary(summarize(NETWORKS.alexnet, 1000, lrn[0]))
      .split('\n')
      .filter((line) => line.includes('Σ'));
  assert.deepEqual(lines(), ['norm1, norm2: x / (2 + 0.0001 · Σ x² over 5 channels)^0.75']);
  const norm2 = { depthRadius: 1, bias: 1, alpha: 2e-5, beta: 0.5 };
  assert.deepEqual(lines({ norm2 }), [
    'norm1: x / (2 + 0.0001 · Σ x² over 5 channels)^0.75',
    'norm2: x / (1 + 0.00002 · Σ x² over 3 channels)^0.5',
  ]);
});

test('prints one line per layer and totals with thousands separators', () => {
  const lines = formatSummary(summarize(NETWORKS.alexnet, 1000)).split('\n');
  const cells = lines.map((line) => line.trim().split(/\s{2,}/));
  assert.deepEqual(
    cells.find(([name]) => name === 'conv2'),
    ['conv2', 'conv', '5×5', '1', '2', '2', '27×27×256', '307,456', '223,948,800'],
  );
  assert.deepEqual(cells.at(-1), ['total', '60,965,224', '724,406,816']);
});

test('summary --json prints one JSON object with the published number of classes', async (t) => {
  const log = t.mock.method(console, 'log', () => undefined);
  await summaryCommand().parseAsync(['--model', 'cifar10-18pct', '--json'], { from: 'user' });
  assert.equal(log.mock.callCount(), 1);
  const summary = JSON.parse(String(log.mock.calls[0].arguments[0]));
  assert.equal(summary.model, 'cifar10-18pct');
  assert.equal(summary.parameters, 89_578);
  assert.deepEqual(summary.layers.at(-1), { name: 'fc10', type: 'fc', output: [10], parameters: 10_250, macs: 10_240 });
});

test('summary refuses a number of classes that is not a number', async () => {
  const command = summaryCommand()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  await assert.rejects(command.parseAsync(['--classes', 'many'], { from: 'user' }), {
    code: 'commander.invalidArgument',
    message: /Expected a whole number, 1 or more, got "many"/,
  });
});
