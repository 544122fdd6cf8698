/**
 * Models of other programs: several outputs, grey or transparent images, inputs that are not square, metadata that
 * looks like ours.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { onnx } from '../../onnx/file/onnx-proto.js';
import { openClassifier } from '../../serve/inference/classifier.js';
import { type ColourModel, floats, node, value, writeColourModel } from './colour-model.js';
import { alexnet, post, running } from './running.js';

const { STRING } = onnx.TensorProto.DataType;
const root = mkdtempSync(join(tmpdir(), 'alexnet-foreign-'));
after(() => rmSync(root, { recursive: true }));
let folders = 0;

function beside(model: ColourModel, config: object, files: Record<string, Uint8Array> = {}): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return writeColourModel(join(folder, 'model.onnx'), model);
}

async function open(file: string) {
  const lines: string[] = [];
  const classifier = await openClassifier({ file, provider: 'cpu', maxPixels: 1e6, log: (line) => lines.push(line) });
  after(() => classifier.release());
  const classify = async (image: Buffer) => [...(await classifier.infer([await classifier.decode(image)]))[0]];
  return Object.assign(classifier, { lines, classify });
}

/** One colour, RGBA in 0 … 255 and 0 … 1. */
function plain(
  background: { r: number; g: number; b: number; alpha?: number },
  width = 8,
  height = 8,
): Promise<Buffer> {
  const channels = background.alpha === undefined ? 3 : 4;
  return sharp({ create: { width, height, channels, background } }).png().toBuffer();
}

function softmax(logits: number[]): number[] {
  const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
  return logits.map((logit) => Math.exp(logit) / sum);
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

function close(actual: readonly number[], wanted: readonly number[], tolerance = 1e-5): void {
  assert.equal(actual.length, wanted.length);
  wanted.forEach((one, i) => {
    assert.ok(Math.abs(actual[i] - one) <= tolerance, `${i}: ${actual[i]}, expected ${one}`);
  });
}

const COLOUR = { r: 51, g: 102, b: 204 };
const LOGITS = [51, 102, 204].map((level) => (4 * level) / 255 - 1);

test('answers several images each by its own numbers if the classes are the first axis of the output', async () => {
  const nodes = [node('Transpose', 'logits', 'y', { perm: [1, 0] })];
  const colours = [COLOUR, { r: 204, g: 0, b: 51 }, { r: 0, g: 153, b: 102 }];
  for (const shape of [
    [3, 'N'],
    ['classes', 'N'],
  ]) {
    const { infer, decode } = await open(beside({ nodes, shape }, { labels: ['r', 'g', 'b'] }));
    const images = await Promise.all(colours.map(async (colour) => decode(await plain(colour))));
    for (const count of shape[0] === 3 ? [2, 3] : [2]) {
      const answers = await infer(images.slice(0, count));
      answers.forEach((answer, i) => {
        close([...answer], softmax(Object.values(colours[i]).map((level) => (4 * level) / 255 - 1)));
      });
    }
  }
});

/** As scikit-learn's converter names the likeliest class and its probabilities. */
const NAMING: ColourModel = {
  nodes: [
    node('Identity', 'logits', 'y'),
    node('ArgMax', 'logits', 'index', { axis: 1, keepdims: 0 }),
    {
      opType: 'LabelEncoder',
      domain: 'ai.onnx.ml',
      input: ['index'],
      output: ['name'],
      attribute: [
        { name: 'keys_int64s', type: 7, ints: [0, 1, 2] },
        { name: 'values_strings', type: 8, strings: ['r', 'g', 'b'].map((text) => Buffer.from(text)) },
      ],
    },
    {
      opType: 'ZipMap',
      domain: 'ai.onnx.ml',
      input: ['logits'],
      output: ['map'],
      attribute: [{ name: 'classlabels_int64s', type: 7, ints: [0, 1, 2] }],
    },
  ],
  outputs: [
    value('name', ['N'], STRING),
    {
      name: 'map',
      type: { sequenceType: { elemType: { mapType: { keyType: 7, valueType: { tensorType: { elemType: 1 } } } } } },
    },
  ],
};

test('serves the float output of a model next to strings and maps, named or the only one', async () => {
  for (const output of [{}, { name: 'y' }]) {
    const { classify, model } = await open(beside(NAMING, { output }));
    close(await classify(await plain(COLOUR)), softmax(LOGITS));
    assert.deepEqual(
      model.outputs.map(({ name }) => name),
      ['y'],
    );
  }
  await assert.rejects(
    open(beside(NAMING, { output: { name: 'map' } })),
    /expected the output map to be float32 or float16, got y FP32 \[N, 3\], name STRING, map sequence/,
  );
});

test('says which of several float outputs classes are read from', async () => {
  const nodes = [node('Identity', 'logits', 'y'), node('Neg', 'logits', 'z')];
  const several: ColourModel = { nodes, outputs: [value('z', ['N', 3])] };
  const first = await open(beside(several, {}));
  close(await first.classify(await plain(COLOUR)), softmax(LOGITS));
  assert.ok(first.lines.includes('classes are read from y, the first of y, z; output.name chooses another'));
  const other = await open(beside(several, { output: { name: 'z' } }));
  close(await other.classify(await plain(COLOUR)), softmax(LOGITS.map((logit) => -logit)));
});

for (const layout of ['NCHW', 'NHWC'] as const) {
  test(`gives a ${layout} model with one channel the luminance by BT.601`, async () => {
    const { classify } = await open(
      beside({ channels: 1, layout }, { labels: ['bright'], input: { mean: 0.5, std: 2 } }),
    );
    const grey = Math.round(0.299 * 51 + 0.587 * 102 + 0.114 * 204);
    close(await classify(await plain(COLOUR)), [sigmoid((4 * (grey / 255 - 0.5)) / 2 - 1)]);
  });

  test(`gives a ${layout} model with four channels colour and alpha`, async () => {
    const { classify } = await open(beside({ channels: 4, layout }, {}));
    const half = { ...COLOUR, alpha: 102 / 255 };
    // sharp resizes colours times alpha, in 8 bits
    close(await classify(await plain(half)), softmax([...LOGITS, (4 * 102) / 255 - 1]), 0.005);
    close(await classify(await plain(COLOUR)), softmax([...LOGITS, 3]));
  });

  test(`cuts images for a ${layout} model whose input is not square to its shape, or stretches them`, async () => {
    const size = { width: 12, height: 6 };
    const halves = await sharp({ create: { width: 60, height: 40, channels: 3, background: '#000' } })
      .composite([{ input: { create: { width: 60, height: 5, channels: 3, background: '#f00' } }, top: 0, left: 0 }])
      .png()
      .toBuffer();
    const cut = await open(beside({ size, layout }, { input: { resize: 6, resample: 'box' } }));
    close(await cut.classify(halves), softmax([-1, -1, -1])); // a row of 8 is cut off at either end
    assert.deepEqual([cut.model.imagePx, cut.model.imageHeight, cut.model.fit], [12, 6, 'cut']);
    const stretched = await open(beside({ size, layout }, { input: { resize: size, resample: 'box' } }));
    const red = (4 * Math.round((255 * 5) / 7)) / 255 / 6 - 1; // 5 of the 7 rows whose middles lie in the first of 6
    close(await stretched.classify(halves), softmax([red, -1, -1]));
  });
}

test('answers for an input that is not square with its crop, and shows all but what needs a square', async () => {
  const { url } = await running({ file: beside({ size: { width: 12, height: 6 } }, {}) });
  const image = await plain(COLOUR);
  const answer = (await (await post(url, image, {}, '/classify?by_crop=true')).json()) as Record<string, unknown>;
  const [crop] = answer.by_crop as Record<string, unknown>[];
  assert.deepEqual([answer.image_px, answer.image_height, answer.image_fit], [14, 7, 'cut']);
  assert.deepEqual([crop.name, crop.size, crop.height, crop.top, crop.left], ['centre', 12, 6, 0, 1]);
  const shown = await post(url, image, {}, '/explain/picture?crop=0');
  const { width, height } = await sharp(Buffer.from(await shown.arrayBuffer())).metadata();
  assert.deepEqual([width, height], [12, 6]);
  const refused = await post(url, image, {}, '/explain/occlusion');
  assert.equal(refused.status, 404);
  assert.match(await refused.text(), /needs a square input, got 12 × 6 pixels/);
});

/** Divides by the standard deviation over the image: no number for an image of one colour. */
const BY_CONTRAST: ColourModel = {
  nodes: [
    node('ReduceMean', 'x', 'mean', { axes: [1, 2, 3] }),
    node('Sub', ['x', 'mean'], 'centred'),
    node('ReduceL2', 'centred', 'contrast', { axes: [1, 2, 3] }),
    node('Div', ['centred', 'contrast'], 'normal'),
    node('ReduceMax', 'normal', 'y', { axes: [2, 3], keepdims: 0 }),
  ],
};

test('warms up a model that normalises by contrast, and refuses one that never gives a number', async () => {
  await open(beside(BY_CONTRAST, {}));
  const noNumbers = [node('Sub', ['logits', 'logits'], '0'), node('Div', ['0', '0'], 'y')];
  const nothingKnown = [...noNumbers.slice(0, 1), node('Div', ['0', '0'], 'n'), node('Softplus', 'n', 'y')];
  for (const nodes of [noNumbers, nothingKnown])
    await assert.rejects(open(beside({ nodes }, {})), /output y has non-finite numbers, whatever the image/);
});

test('says in every protocol, and in classify, that a model gives no finite numbers for an image', async () => {
  const file = beside(BY_CONTRAST, {});
  const white = await plain({ r: 255, g: 255, b: 255 });
  const { url } = await running({ file });
  const base64 = white.toString('base64');
  const input = { name: 'x', datatype: 'BYTES', shape: [1], data: [base64] };
  const bodies: [string, Buffer, string][] = [
    ['/classify', white, 'image/png'],
    ['/classify?by_crop=true', white, 'image/png'],
    ['/explain/occlusion?patch=8&stride=8', white, 'image/png'],
    ['/models/model', white, 'image/png'],
    ['/predictions/model', white, 'image/png'],
    ['/v2/models/model/infer', Buffer.from(JSON.stringify({ inputs: [input] })), 'application/json'],
  ];
  for (const [path, body, type] of bodies) {
    const response = await post(url, body, { 'content-type': type }, path);
    const text = await response.text();
    assert.equal(response.status, 400, `${path}: ${text}`);
    assert.match(text, /the model gives no finite numbers for this image/, path);
  }
  const image = join(root, 'white.png');
  writeFileSync(image, white);
  const command = alexnet('classify', '--model', file, image);
  assert.match(await command.line, /white\.png/);
  assert.equal(await command.ended, 1);
  assert.doesNotMatch(command.stderr(), /bug in alexnet/);
});

const FREE = ['batch_size', 'num_channels', 'height', 'width'];
const HUB = { id2label: { 0: 'r', 1: 'g', 2: 'b' } };
const PREPROCESSOR = Buffer.from(JSON.stringify({ size: 8, do_normalize: false }));

/** Read by a convolution that keeps the colours. */
const convolved = (options: ColourModel): ColourModel => ({
  nodes: [
    ...(options.layout === 'NHWC' ? [node('Transpose', 'x', 'first', { perm: [0, 3, 1, 2] })] : []),
    node('Conv', [options.layout === 'NHWC' ? 'first' : 'x', 'kernel'], 'maps'),
    node('GlobalAveragePool', 'maps', 'pooled'),
    node('Flatten', 'pooled', 'y'),
  ],
  stored: [floats('kernel', [1, 0, 0, 0, 1, 0, 0, 0, 1], [3, 3, 1, 1])],
  ...options,
});

test('takes the layout of an input whose axes are all free from the convolution that reads it', async () => {
  for (const layout of ['NCHW', 'NHWC'] as const) {
    const { classify, model } = await open(beside(convolved({ layout, freeAxes: FREE }), { input: { size: 8 } }));
    close(await classify(await plain(COLOUR)), softmax([51, 102, 204].map((level) => level / 255)));
    assert.deepEqual(model.input, { name: 'x', datatype: 'FP32', shape: [-1, -1, -1, -1] });
  }
  await assert.rejects(
    open(beside({ freeAxes: FREE }, { input: { size: 8 } })),
    /x FP32 \[batch_size, num_channels, height, width\] does not tell NCHW from NHWC; give input\.layout in config\.json/,
  );
});

test('takes an input with free axes as Hugging Face has it, or as input and output beside id2label say', async () => {
  const files = { 'preprocessor_config.json': PREPROCESSOR };
  const usual = await open(beside({ freeAxes: FREE }, HUB, files));
  close(await usual.classify(await plain(COLOUR)), softmax(LOGITS));
  const told = { ...HUB, input: { layout: 'NHWC', size: 8 }, output: { activation: 'sigmoid' } };
  const other = await open(beside({ freeAxes: FREE, layout: 'NHWC' }, told, files));
  close(await other.classify(await plain(COLOUR)), LOGITS.map(sigmoid));
  await assert.rejects(open(beside({ freeAxes: FREE }, { ...HUB, input: { mean: 1 } }, files)), /input: .*"mean"/);
});

const TAKEN = [
  ['head', 'image'],
  ['labels', 'not JSON'],
  ['model', 'resnet'],
];
const props = TAKEN.map(([key, value]) => ({ key, value }));

test('reads config.json if another program uses our keys for its metadata', async () => {
  const model = { producerName: 'another', metadataProps: props };
  const { model: served } = await open(beside({ model }, { labels: ['r', 'g', 'b'] }));
  assert.deepEqual(served.labels, ['r', 'g', 'b']);
  const bare = writeColourModel(join(root, 'bare.onnx'), { model });
  await assert.rejects(open(bare), /does not say how images become its input; put a config\.json next to it/);
});

test('classify keeps labels with a byte order mark, or in Latin-1, as they were meant', async () => {
  const text = 'café\nnaïf\nœuf\n';
  const encodings: Record<string, Buffer> = {
    'UTF-8 with a mark': Buffer.from(`\ufeff${text}`),
    'UTF-16': Buffer.from(`\ufeff${text}`, 'utf16le'),
    'Windows-1252': Buffer.from(text.replace('œ', '\x9c'), 'latin1'),
  };
  for (const [name, bytes] of Object.entries(encodings)) {
    const { model } = await open(beside({}, { labels: 'labels.txt' }, { 'labels.txt': bytes }));
    assert.deepEqual(model.labels, ['café', 'naïf', 'œuf'], name);
  }
  const marked = beside({}, {}, { 'config.json': Buffer.from('\ufeff{"labels": ["a", "b", "c"]}') });
  const image = join(root, 'image.png');
  writeFileSync(image, await plain(COLOUR));
  const { results } = JSON.parse(await alexnet('classify', '--model', marked, '--json', image).line);
  assert.equal(results[0].predictions[0].label, 'c');
});
