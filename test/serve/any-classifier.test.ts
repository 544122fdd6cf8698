import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { openClassifier } from '../../serve/inference/classifier.js';
import { CHANNEL_WEIGHTS, IMAGE_PX, QUARTERS, type TinyModel, writeTinyModel } from './tiny-model.js';

const root = mkdtempSync(join(tmpdir(), 'alexnet-any-'));
after(() => rmSync(root, { recursive: true }));
let folders = 0;

/** A model that does not describe itself, and the files next to it. */
function beside(model: TinyModel, files: Record<string, object | string>): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  return writeTinyModel(join(folder, 'model.onnx'), { metadata: null, ...model });
}

async function open(file: string) {
  const classifier = await openClassifier({ file, provider: 'cpu', maxPixels: 1e6, log: () => undefined });
  after(() => classifier.release());
  return classifier;
}

/** Smooth and different in every place and channel, [px, px, 3]. */
const PX = 11;
const SQUARE = Uint8Array.from({ length: PX * PX * 3 }, (_, i) => {
  const [y, x, c] = [Math.floor(i / 3 / PX), Math.floor(i / 3) % PX, i % 3];
  return Math.round(20 + 15 * y + 5 * x + 20 * c);
});

type At = (y: number, x: number, c: number) => number;

/** The network by hand on 8 × 8 values in 0 … 1: softmax of 4 × the mean of a quarter. */
function network(at: At, gain = 4): number[] {
  const sums = [0, 0, 0, 0];
  for (let y = 0; y < IMAGE_PX; y++)
    for (let x = 0; x < IMAGE_PX; x++)
      for (let c = 0; c < 3; c++) sums[(y < 4 ? 0 : 2) + (x < 4 ? 0 : 1)] += at(y, x, c) * CHANNEL_WEIGHTS[c];
  const powers = sums.map((sum) => Math.exp((gain * sum) / 16));
  return powers.map((power) => power / powers.reduce((a, b) => a + b));
}

const pixel = (y: number, x: number, c: number) => SQUARE[(y * PX + x) * 3 + c];

function close(actual: ArrayLike<number>, wanted: number[], tolerance = 1e-5): void {
  wanted.forEach((value, i) => {
    assert.ok(Math.abs(actual[i] - value) < tolerance, `${i}: ${actual[i]}, expected ${value}`);
  });
}

const MEAN = [0.4, 0.5, 0.3];
const STD = [0.2, 0.25, 0.3];
const normalized =
  (at: At): At =>
  (y, x, c) =>
    (at(y, x, c) / 255 - MEAN[c]) / STD[c];
const input = { mean: MEAN, std: STD, resize: PX };

for (const layout of ['NCHW', 'NHWC'] as const) {
  test(`serves a bare ${layout} network: centre crop, normalised, softmax added`, async () => {
    const { model, infer } = await open(
      beside({ float: true, layout, logits: true }, { 'config.json': { labels: QUARTERS, input } }),
    );
    assert.deepEqual([model.crops, model.imagePx, model.answer], [1, PX, 'probabilities']);
    assert.deepEqual(model.labels, QUARTERS);
    const [probabilities] = await infer([SQUARE]);
    close(probabilities, network(normalized((y, x, c) => pixel(y + 1, x + 1, c))));
  });
}

for (const logits of [true, false]) {
  test(`serves a network that takes float16 and gives ${logits ? 'logits' : 'probabilities'} in float16`, async () => {
    const { model, infer } = await open(
      beside({ float: true, half: true, layout: 'NCHW', logits }, { 'config.json': { labels: QUARTERS, input } }),
    );
    assert.deepEqual([model.input.datatype, ...model.outputs.map(({ datatype }) => datatype)], ['FP16', 'FP16']);
    const [probabilities] = await infer([SQUARE]);
    close(probabilities, network(normalized((y, x, c) => pixel(y + 1, x + 1, c))), 1e-3); // 11 bits
  });
}

const CROPS: [number, number][] = [
  [0, 0],
  [0, 3],
  [3, 0],
  [3, 3],
  [1, 1],
];

test('cuts ten crops outside of the graph and averages their probabilities', async () => {
  const wanted = [0, 0, 0, 0];
  for (const mirror of [false, true])
    for (const [top, left] of CROPS) {
      const crop = normalized((y, x, c) => pixel(y + top, (mirror ? 7 - x : x) + left, c));
      network(crop).forEach((value, i) => {
        wanted[i] += value / 10;
      });
    }
  for (const batch of [undefined, 1, 5]) {
    const { model, infer } = await open(
      beside({ float: true, layout: 'NCHW', batch }, { 'config.json': { input, crops: 10 } }),
    );
    assert.deepEqual([model.crops, model.labels], [10, ['0', '1', '2', '3']]);
    const all = await infer([SQUARE, SQUARE.map((value) => 255 - value), SQUARE]);
    close(all[0], wanted);
    close(all[2], wanted);
    assert.ok(Math.abs(all[1][0] - wanted[0]) > 0.05);
  }
});

test('serves a network that takes uint8, and one that was learnt on BGR', async () => {
  const bytes = await open(beside({ layout: 'NCHW' }, { 'config.json': { input: { resize: PX } } }));
  close(
    (await bytes.infer([SQUARE]))[0],
    network((y, x, c) => pixel(y + 1, x + 1, c) / 255),
  );
  const bgr = await open(beside({ float: true }, { 'config.json': { input: { ...input, channels: 'BGR' } } }));
  const swapped = normalized((y, x, c) => pixel(y + 1, x + 1, c));
  close(
    (await bgr.infer([SQUARE]))[0],
    network((y, x, c) => swapped(y, x, 2 - c)),
  );
});

test('reads labels from a file next to it, and the folder above a version', async () => {
  const folder = join(root, 'named');
  mkdirSync(join(folder, '3'), { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ labels: 'labels.txt', input }));
  writeFileSync(join(folder, 'labels.txt'), 'un\ndeux\ntrois\nquatre\n');
  const { model } = await open(writeTinyModel(join(folder, '3', 'model.onnx'), { metadata: null, float: true }));
  assert.deepEqual(model.labels, ['un', 'deux', 'trois', 'quatre']);
});

test('understands what Hugging Face’s exporter leaves next to a model', async () => {
  const id2label = { 0: 'a', 1: 'b', 2: 'c', 3: 'd' };
  const preprocessor = {
    do_resize: true,
    size: { shortest_edge: PX },
    do_center_crop: true,
    crop_size: { height: IMAGE_PX, width: IMAGE_PX },
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: MEAN,
    image_std: STD,
  };
  const files = { 'config.json': { architectures: ['X'], id2label }, 'preprocessor_config.json': preprocessor };
  const { model, infer } = await open(beside({ float: true, layout: 'NCHW', logits: true }, files));
  assert.deepEqual([model.labels, model.imagePx], [['a', 'b', 'c', 'd'], PX]);
  close((await infer([SQUARE]))[0], network(normalized((y, x, c) => pixel(y + 1, x + 1, c))));
});

test('decodes an image to the square that the crops are cut from', async () => {
  const { decode } = await open(beside({ float: true }, { 'config.json': { input } }));
  const image = await sharp(SQUARE, { raw: { width: PX, height: PX, channels: 3 } })
    .png()
    .toBuffer();
  assert.deepEqual(await decode(image), Buffer.from(SQUARE));
});

const labelled = { labels: QUARTERS };
const BAD: Record<string, [TinyModel, Record<string, object | string>, RegExp]> = {
  'no description': [{}, {}, /put a config\.json next to it/],
  'a description that is no JSON': [{}, { 'config.json': '{' }, /config\.json: cannot be read as JSON/],
  'a misspelt key': [{}, { 'config.json': { label: QUARTERS } }, /config\.json: the whole: Unrecognized key: "label"/],
  'a std of 0': [
    {},
    { 'config.json': { input: { std: [1, 0, 1] } } },
    /config\.json: input\.std\.1: expected a number other than 0/,
  ],
  'a label too few': [
    {},
    { 'config.json': { labels: ['a', 'b', 'c'] } },
    /has 3 labels for the output probabilities FP32 \[N, 4\]/,
  ],
  'a file of labels that is not there': [
    {},
    { 'config.json': { labels: 'x.txt' } },
    /x\.txt: the labels cannot be read \(ENOENT\)/,
  ],
  'another size than the model’s': [
    {},
    { 'config.json': { ...labelled, input: { size: 9 } } },
    /description next to it says 9 × 9 pixels \(width × height\), got the input image UINT8 \[N, 8, 8, 3\]/,
  ],
  'an image smaller than the input': [
    {},
    { 'config.json': { ...labelled, input: { resize: 7 } } },
    /the image is resized to 7 pixels; expected at least the model's 8: see input\.resize/,
  ],
  'an output that is not there': [
    {},
    { 'config.json': { ...labelled, output: { name: 'x' } } },
    /output\.name: the model has no output x; it has probabilities/,
  ],
  'a batch that crops do not fill': [
    { batch: 3 },
    { 'config.json': { ...labelled, crops: 10 } },
    /takes 3 rows at a time, and an image has 10/,
  ],
  'Hugging Face’s without its preprocessor': [
    {},
    { 'config.json': { id2label: { 0: 'a' } } },
    /preprocessor_config\.json: missing/,
  ],
};
for (const [name, [model, files, message]] of Object.entries(BAD)) {
  test(`refuses ${name}`, () => assert.rejects(open(beside(model, files)), message));
}

test('what a process remembers of a model holds while its file and its description stay as they are', async () => {
  const config = (mean: number) => JSON.stringify({ labels: QUARTERS, input: { mean } });
  const file = beside({}, { 'config.json': config(0.5) });
  const remembered = async () => (await open(file)).remembered!.of;
  const before = await remembered();
  assert.equal(await remembered(), before);
  writeFileSync(join(dirname(file), 'config.json'), config(0.25));
  assert.notEqual(await remembered(), before);
});
