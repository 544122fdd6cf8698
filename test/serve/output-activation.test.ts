import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { openClassifier } from '../../serve/inference/classifier.js';
import type { Remembered } from '../../serve/inference/messages.js';
import { byte, bytes, type ColourModel, floats, node, PX, whole, writeColourModel } from './colour-model.js';
import { alexnet, post, running } from './running.js';

const root = mkdtempSync(join(tmpdir(), 'alexnet-activation-'));
after(() => rmSync(root, { recursive: true }));
let folders = 0;

const LABELS = ['r', 'g', 'b'];

/** The model, and the files next to it. */
function beside(model: ColourModel, files: Record<string, object>): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), JSON.stringify(content));
  return writeColourModel(join(folder, 'model.onnx'), model);
}

/** What a model gives for a red image, and what was decided. */
async function red(model: ColourModel, config: object = { labels: LABELS }, files: Record<string, object> = {}) {
  const lines: string[] = [];
  const file = beside(model, { 'config.json': config, ...files });
  const classifier = await openClassifier({ file, provider: 'cpu', maxPixels: 1e6, log: (line) => lines.push(line) });
  const { imagePx } = classifier.model;
  const [probabilities] = await classifier.infer([
    Uint8Array.from({ length: imagePx ** 2 * 3 }, (_, i) => (i % 3 ? 0 : 255)),
  ]);
  const { activation } = classifier.model;
  await classifier.release();
  return { probabilities: [...probabilities], activation, lines };
}

function close(actual: readonly number[], wanted: readonly number[], tolerance = 1e-6): void {
  assert.equal(actual.length, wanted.length);
  wanted.forEach((value, i) => {
    assert.ok(Math.abs(actual[i] - value) <= tolerance, `${i}: ${actual[i]}, expected ${value}`);
  });
}

const LOGITS = [3, -1, -1];
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
function softmaxOf(logits: number[]): number[] {
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
  return logits.map((logit) => Math.exp(logit) / total);
}
const sum = LOGITS.reduce((total, logit) => total + Math.exp(logit), 0);
const SOFTMAX = LOGITS.map((logit) => Math.exp(logit) / sum);
const SIGMOID = LOGITS.map(sigmoid);

const softmaxed = node('Softmax', 'logits', 's', { axis: 1 });
const scalar = (name: string, number: number) => floats(name, [number], []);
const UNIT = [scalar('0', 0), scalar('1', 1)];
const softplus = (x: number) => Math.log1p(Math.exp(x));

/** Nodes from `logits` to `y`; what a red image gives; whether labels exclude each other; why. */
const ENDS: Record<string, [ColourModel, number[], boolean, RegExp]> = {
  'a sigmoid': [{ nodes: [node('Sigmoid', 'logits', 'y')] }, SIGMOID, false, /ends with Sigmoid/],
  'numbers that are not negative, whose sums are nearly the same': [
    {
      nodes: [node('Mul', ['logits', '0.003'], 'small'), node('Softplus', 'small', 'y')],
      stored: [scalar('0.003', 0.003)],
    },
    softmaxOf(LOGITS.map((logit) => softplus(0.003 * logit))),
    true,
    /taken for logits/,
  ],
  'a softmax, clipped': [
    { nodes: [softmaxed, node('Clip', ['s', '0', '1'], 'y')], stored: UNIT },
    SOFTMAX,
    true,
    /ends with Softmax/,
  ],
  'a softmax, multiplied by 1': [
    { nodes: [softmaxed, node('Mul', ['s', '1'], 'y')], stored: UNIT },
    SOFTMAX,
    true,
    /ends with Softmax/,
  ],
  'a softmax, transposed': [
    {
      nodes: [
        node('Reshape', ['logits', 'shape'], 'maps'),
        node('Softmax', 'maps', 's', { axis: 1 }),
        node('Transpose', 's', 't', { perm: [0, 2, 3, 1] }),
        node('Flatten', 't', 'y', { axis: 1 }),
      ],
      stored: [whole('shape', [-1, 3, 1, 1])],
    },
    SOFTMAX,
    true,
    /ends with Softmax/,
  ],
  'two parts of a softmax, joined': [
    {
      nodes: [
        softmaxed,
        node('Split', ['s', 'lengths'], ['a', 'b'], { axis: 1 }),
        node('Concat', ['b', 'a'], 'y', { axis: 1 }),
      ],
      stored: [whole('lengths', [1, 2])],
    },
    [SOFTMAX[1], SOFTMAX[2], SOFTMAX[0]],
    true,
    /rows sum to 1 to 1/,
  ],
  'a softmax in 8 bits': [
    {
      nodes: [
        softmaxed,
        node('QuantizeLinear', ['s', 'scale', 'zero'], 'q'),
        node('DequantizeLinear', ['q', 'scale', 'zero'], 'y'),
      ],
      stored: [scalar('scale', 1 / 256), byte('zero', 0)],
    },
    SOFTMAX.map((value) => Math.min(255, Math.round(value * 256)) / 256),
    true,
    /ends with Softmax/,
  ],
  'a softmax in parts': [
    {
      nodes: [
        node('ReduceMax', 'logits', 'max', { axes: [1] }),
        node('Sub', ['logits', 'max'], 'less'),
        node('Exp', 'less', 'e'),
        node('ReduceSum', ['e', 'axes'], 'total'),
        node('Div', ['e', 'total'], 'y'),
      ],
      stored: [whole('axes', [1])],
    },
    SOFTMAX,
    true,
    /ends with Exp and ReduceSum/,
  ],
  'a logarithm of a softmax': [
    { nodes: [node('LogSoftmax', 'logits', 'y', { axis: 1 })] },
    SOFTMAX,
    true,
    /ends with LogSoftmax/,
  ],
  'a softmax in per cent': [
    { nodes: [softmaxed, node('Mul', ['s', '100'], 'y')], stored: [scalar('100', 100)] },
    SOFTMAX,
    true,
    /ends with a multiple of Softmax/,
  ],
  'a softmax in whole per cent': [
    {
      nodes: [softmaxed, node('Mul', ['s', '100'], 'm'), node('Round', 'm', 'y')],
      stored: [scalar('100', 100)],
    },
    [0.96, 0.02, 0.02], // 96.47, 1.77 and 1.77 rounded
    true,
    /ends with a multiple of Softmax/,
  ],
  'the mean of two softmaxes': [
    {
      nodes: [
        softmaxed,
        node('Neg', 'logits', 'n'),
        node('Softmax', 'n', 't', { axis: 1 }),
        node('Mean', ['s', 't'], 'y'),
      ],
    },
    SOFTMAX.map((value, i) => (value + Math.exp(-LOGITS[i]) / (Math.exp(-3) + 2 * Math.E)) / 2),
    true,
    /rows sum to 1 to 1/,
  ],
  'a sigmoid in parts': [
    {
      nodes: [
        node('Neg', 'logits', 'n'),
        node('Exp', 'n', 'e'),
        node('Add', ['e', '1'], 'more'),
        node('Reciprocal', 'more', 'y'),
      ],
      stored: UNIT,
    },
    SIGMOID,
    false,
    /ends with Exp and Reciprocal/,
  ],
  'a sigmoid as a tanh': [
    {
      nodes: [
        node('Mul', ['logits', '0.5'], 'half'),
        node('Tanh', 'half', 't'),
        node('Mul', ['t', '0.5'], 'm'),
        node('Add', ['m', '0.5'], 'y'),
      ],
      stored: [scalar('0.5', 0.5)],
    },
    SIGMOID,
    false,
    /ends with Tanh: probabilities already/,
  ],
  'logits of a dynamic quantisation': [
    {
      nodes: [
        node('DynamicQuantizeLinear', 'logits', ['q', 'scale', 'zero']),
        node('MatMulInteger', ['q', 'codes', 'zero'], 'i'),
        node('Cast', 'i', 'f', { to: 1 }),
        node('Mul', ['scale', '0.1'], 'scales'),
        node('Mul', ['f', 'scales'], 'm'),
        node('Add', ['m', 'raise'], 'y'),
      ],
      stored: [
        bytes('codes', [1, 0, 0, 0, 1, 0, 0, 0, 1], [3, 3]),
        scalar('0.1', 0.1),
        floats('raise', [0.2, 0.2, 0.2]),
      ],
    },
    softmaxOf([0.5, 0.1, 0.1]),
    true,
    /ends with MatMulInteger: logits/,
  ],
  'the mean of two layers of logits': [
    {
      nodes: [
        node('Gemm', ['means', 'weights', 'raise'], 'other'),
        node('Mean', ['logits', 'other'], 'm'),
        node('Mul', ['m', '0.1'], 'n'),
        node('Add', ['n', 'raise'], 'y'),
      ],
      stored: [scalar('0.1', 0.1), floats('raise', [0.2, 0.2, 0.2])],
    },
    softmaxOf([0.56, 0.16, 0.16]),
    true,
    /ends with Gemm: logits/,
  ],
  'a tanh': [
    { nodes: [node('Relu', 'logits', 'r'), node('Tanh', 'r', 'y')] },
    softmaxOf([Math.tanh(3), 0, 0]),
    true,
    /ends with Gemm: logits/,
  ],
  'small numbers that nothing tells': [
    {
      nodes: [node('Mul', ['means', '0.1'], 'm'), node('Add', ['m', 'raise'], 'y')],
      stored: [scalar('0.1', 0.1), floats('raise', [0.2, 0.2, 0.2])],
    },
    softmaxOf([0.3, 0.2, 0.2]),
    true,
    /6 trial images .*taken for logits: output\.activation in config\.json decides/,
  ],
  logits: [{}, SOFTMAX, true, /ends with Gemm: logits/],
  'logits that all lie between 0 and 1': [
    {
      nodes: [node('Mul', ['logits', '0.1'], 'm'), node('Add', ['m', '0.5'], 'a'), node('Relu', 'a', 'y')],
      stored: [scalar('0.1', 0.1), scalar('0.5', 0.5)],
    },
    [0.8, 0.4, 0.4].map((logit) => Math.exp(logit) / (Math.exp(0.8) + 2 * Math.exp(0.4))),
    true,
    /ends with Gemm: logits/,
  ],
};
for (const [name, [model, wanted, exclusive, why]] of Object.entries(ENDS)) {
  test(`gives each class its probability if a model ends with ${name}, and says why`, async () => {
    const { probabilities, activation, lines } = await red(model);
    close(probabilities, wanted);
    assert.equal(activation.multiLabel, !exclusive);
    assert.match(activation.why, why);
    assert.ok(
      lines.some((line) => line.startsWith('output y: ') && line.includes(activation.why)),
      lines.join('\n'),
    );
  });
}

const ONE = { nodes: [node('Gather', ['logits', 'first'], 'y', { axis: 1 })], stored: [whole('first', [0])], width: 1 };

test('gives a model with one logit a sigmoid, with one label or with two', async () => {
  close((await red(ONE, { labels: ['red'] })).probabilities, [sigmoid(3)]);
  const two = await red(ONE, { labels: ['other', 'red'] });
  close(two.probabilities, [1 - sigmoid(3), sigmoid(3)]);
  assert.equal(two.activation.multiLabel, false);
  await assert.rejects(red(ONE, { labels: ['red'], output: { activation: 'softmax' } }), /softmax of a single value/);
});

test('applies what output.activation in config.json asks for, and says where the graph has it already', async () => {
  const model = { nodes: [node('Sigmoid', 'logits', 'y')] };
  const configured = (activation: string) => red(model, { labels: LABELS, output: { activation } });
  const again = SIGMOID.map(Math.exp).reduce((a, b) => a + b);
  const twice = await configured('softmax');
  close(
    twice.probabilities,
    SIGMOID.map((value) => Math.exp(value) / again),
  );
  assert.match(twice.activation.why, /output\.activation in config\.json, although the graph ends with Sigmoid/);
  close((await configured('sigmoid')).probabilities, SIGMOID.map(sigmoid));
  close((await configured('none')).probabilities, SIGMOID);
  close((await red({}, { labels: LABELS, output: { activation: 'sigmoid' } })).probabilities, SIGMOID);
});

const HUB = { id2label: { 0: 'r', 1: 'g', 2: 'b' } };
const PREPROCESSOR = { 'preprocessor_config.json': { size: PX, do_normalize: false } };

test('judges each label alone if Hugging Face’s problem_type is multi-label, and refuses a regression', async () => {
  const multi = { ...HUB, problem_type: 'multi_label_classification' };
  const { probabilities, activation } = await red({}, multi, PREPROCESSOR);
  close(probabilities, SIGMOID);
  assert.equal(activation.multiLabel, true);
  close((await red({}, { ...HUB, problem_type: 'single_label_classification' }, PREPROCESSOR)).probabilities, SOFTMAX);
  close((await red({ nodes: [node('Sigmoid', 'logits', 'y')] }, multi, PREPROCESSOR)).probabilities, SIGMOID);
  await assert.rejects(red({}, { ...HUB, problem_type: 'regression' }, PREPROCESSOR), /problem_type.*regression/);
});

const RED = await sharp({ create: { width: PX, height: PX, channels: 3, background: '#f00' } })
  .png()
  .toBuffer();

test('tells clients of a model whether labels exclude each other, what is applied and why', async () => {
  const { url } = await running({
    file: beside({ nodes: [node('Sigmoid', 'logits', 'y')] }, { 'config.json': { labels: LABELS } }),
  });
  const answer = (await (await post(url, RED)).json()) as {
    multi_label: boolean;
    predictions: { probability: number }[];
  };
  assert.equal(answer.multi_label, true);
  close(
    answer.predictions.map(({ probability }) => probability),
    SIGMOID,
  );
  const { parameters } = (await (await fetch(`${url}/v2/models/model`)).json()) as {
    parameters: Record<string, unknown>;
  };
  assert.deepEqual(
    [parameters.activation, parameters.multi_label, parameters.activation_reason],
    ['none', true, 'the graph ends with Sigmoid: probabilities already'],
  );
  const view = (await (await fetch(`${url}/explain/metadata`)).json()) as { activation: string };
  assert.match(view.activation, /taken as it is.*ends with Sigmoid/);
});

test('covers a place of an image with the same probabilities as classification gives', async () => {
  const { url } = await running({
    file: beside(
      { nodes: [softmaxed, node('Mul', ['s', '1'], 'y')], stored: UNIT },
      { 'config.json': { labels: LABELS } },
    ),
  });
  const reply = await post(url, RED, {}, '/explain/occlusion?patch=8&stride=8');
  const [start] = (await reply.text()).split('\n').map((line) => line && JSON.parse(line));
  close([start.probability], [SOFTMAX[0]]);
});

test('a model that gives the largest number for the least probable class is refused', async () => {
  const nodes = [node('LogSoftmax', 'logits', 'l'), node('Neg', 'l', 'y')];
  await assert.rejects(red({ nodes }), /negated logarithms/);
});

test('inspect tells what makes the numbers of an output probabilities', async () => {
  const file = beside({ nodes: [softmaxed, node('Clip', ['s', '0', '1'], 'y')], stored: UNIT }, {});
  const { outputs } = JSON.parse(await alexnet('inspect', file, '--json').line) as { outputs: { ends_with: string }[] };
  assert.equal(outputs[0].ends_with, 'Softmax: probabilities that sum to 1');
});

test('a process that starts again takes what trial images told the one before, as long as the file is the same', async () => {
  const nodes = [node('Mul', ['means', '0.1'], 'y')];
  const file = beside({ nodes, stored: [scalar('0.1', 0.1)] }, { 'config.json': { labels: LABELS } });
  const open = async (remembered?: Remembered) => {
    const opened = await openClassifier({ file, provider: 'cpu', maxPixels: 1e6, log: () => undefined, remembered });
    await opened.release();
    return opened;
  };
  const first = await open();
  const told = { ...first.remembered!, activation: { applied: 'sigmoid', multiLabel: true, why: 'told' } as const };
  assert.equal((await open(told)).model.activation.why, 'told');
  writeColourModel(file, { nodes, stored: [scalar('0.1', 0.2)] });
  assert.match((await open(told)).model.activation.why, /6 trial images/);
});

test('Hugging Face’s function_to_apply may be the one that makes the scores, and no other', async () => {
  const config = { ...HUB, problem_type: 'multi_label_classification' };
  const models: [string, string, string[]][] = [
    ['logits', beside({}, { 'config.json': { labels: LABELS } }), ['softmax']],
    ['one logit', beside(ONE, { 'config.json': { labels: ['other', 'red'] } }), ['sigmoid']],
    ['labels', beside({}, { 'config.json': config, ...PREPROCESSOR }), ['sigmoid']],
    ['as it is', beside({}, { 'config.json': { labels: LABELS, output: { activation: 'none' } } }), ['none']],
    ['sigmoid', beside({ nodes: [node('Sigmoid', 'logits', 'y')] }, { 'config.json': {} }), ['sigmoid', 'none']],
    ['log', beside({ nodes: [node('LogSoftmax', 'logits', 'y')] }, { 'config.json': {} }), ['softmax']],
  ];
  for (const [name, file, wanted] of models) {
    const { url } = await running({ file });
    for (const asked of ['softmax', 'sigmoid', 'none']) {
      const body = JSON.stringify({ inputs: RED.toString('base64'), parameters: { function_to_apply: asked } });
      const response = await post(url, Buffer.from(body), { 'content-type': 'application/json' }, '/models/model');
      const { error } = (await response.json()) as { error?: string };
      assert.equal(response.status, wanted.includes(asked) ? 200 : 400, `${name}: ${asked}: ${error}`);
      if (error) assert.match(error, new RegExp(`served with ${wanted.join(' or ')}; .* got "${asked}"`));
    }
  }
});
