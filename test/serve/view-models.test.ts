/** Views of files of other forms: other heads and precisions, and of other origin. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import type { CropCount } from '../../base/crops.js';
import { random } from '../../base/random.js';
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import { exportClassifier } from '../../export/classifier.js';
import { exportOnnx, quantize, saveModel, toFloat16 } from '../../export/index.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import * as ort from '../../onnx/onnxruntime.js';
import type { ViewRequest } from '../../serve/views/process/messages.js';
import { Viewer } from '../../serve/views/process/viewer.js';
import { assertClose } from '../model/close.js';
import {
  CROPS,
  cropOf,
  IMAGE_PX,
  LABELS,
  LAYERS,
  MEAN_RGB,
  pixelsOf,
  pngOf,
  probabilitiesOf,
  valuesOf,
  writeSmallNetwork,
} from './small-network.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-view-models-'));
after(() => rmSync(folder, { recursive: true }));
const pixels = pixelsOf(1);
const bytes = await pngOf(pixels);

async function open(file: string) {
  const viewer = await Viewer.open({ file, maxPixels: 1e6 });
  after(() => viewer.release());
  const parts = async (request: ViewRequest) => {
    const all = [];
    for await (const part of viewer.view(request)) all.push('json' in part ? part.json : part.bytes);
    return all as unknown[];
  };
  const { network } = viewer;
  const row = async (crop: number) =>
    (await network.rows(pixels)).subarray(crop * network.rowSize, (crop + 1) * network.rowSize);
  return { network, parts, row };
}

/** Rows of images to calibrate on. */
const feeds = {
  count: 8,
  at: (first: number, count: number) => {
    const all = Array.from({ length: count }, (_, i) => [...pixelsOf(first + i)]).flat();
    return { image: new ort.Tensor('uint8', Uint8Array.from(all), [count, IMAGE_PX, IMAGE_PX, 3]) };
  },
};

const toInt8: Conversion = (model) => quantize(model, feeds, { method: 'minmax', reduceRange: false, keepFloat: [] });
type Conversion = Parameters<typeof writeSmallNetwork>[2];

/** Position of the crop that is looked at, in the file and among the ten. */
for (const { form, head = 'image', convert, crops, at = [7, 7], tolerance = 1e-5 } of [
  { form: 'the tensor head', head: 'tensor', at: [0, 4] },
  { form: 'float16', convert: toFloat16, tolerance: 0.01 }, // 11 bits
  { form: 'int8', convert: toInt8, tolerance: 0.1 }, // 8 bits, four layers
  { form: 'one crop', crops: 1, at: [0, 4] },
  { form: 'two crops', crops: 2, at: [1, 9] },
  { form: 'five crops', crops: 5, at: [3, 3] },
] as {
  form: string;
  head?: 'image' | 'tensor';
  convert?: Conversion;
  crops?: CropCount;
  at?: [number, number];
  tolerance?: number;
}[]) {
  test(`shows ${form} as it shows the float32 file: same layers, near numbers`, async () => {
    const file = await writeSmallNetwork(join(folder, `${form.replace(' ', '-')}.onnx`), head, convert, crops);
    const { network, parts, row } = await open(file);
    const [{ layers, totals }] = (await parts({ view: 'layers' })) as [
      {
        layers: { name: string; op: string; parameters: number; output: number[]; lrn?: object }[];
        totals: { parameters: number };
      },
    ];
    assert.deepEqual(
      layers.map(({ name }) => name),
      [...LAYERS, 'probabilities'],
    );
    assert.equal(totals.parameters, 608 + 444 + 1090 + 77 + 40);
    assert.equal(network.model.crops, crops ?? (head === 'tensor' ? 1 : 10));
    const { top, left, mirror } = network.crops[at[0]];
    assert.deepEqual({ top, left, mirror }, CROPS[at[1]]);
    const values = await network.run(await row(at[0]), network.layers);
    const crop = cropOf(pixels, CROPS[at[1]], head === 'tensor' ? (at) => MEAN_RGB[at % 3] : undefined);
    for (const layer of LAYERS) {
      const expected = valuesOf([crop], layer);
      assert.deepEqual(values.get(layer)!.shape, expected.shape, layer);
      const most = expected.data.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
      assertClose(values.get(layer)!.data, expected.data, tolerance * most);
    }
    assertClose(await network.probabilities(await row(at[0])), probabilitiesOf([crop])[0], tolerance);
    const lrn = await parts({ view: 'lrn', bytes, layer: 'norm2', channel: 5, y: 1, x: 2 });
    assert.equal(lrn.length, 1);
  });
}

test('says of int8 files that their kernels are codes', async () => {
  const { parts } = await open(join(folder, 'int8.onnx'));
  await assert.rejects(
    parts({ view: 'kernels', format: 'png' }),
    /stored as codes of 8 bits; look at the float32 file/,
  );
});

test('shows locally connected layers, which end channels-last in the file, as maps like all others', async () => {
  const spec = findNetwork('cifar10-11pct');
  const model = buildNetwork(spec, { classes: LABELS.length, seed: 2, width: 0.0625 });
  const file = join(folder, 'local.onnx');
  const metadata = { model: 'local', labels: LABELS, meanRgb: MEAN_RGB, dataset: 'none', toolVersion: '0.0.0' };
  const sizes = { opset: 13, imagePx: spec.imagePx, inputPx: spec.inputPx, mean: new Float32Array(32 * 32 * 3) };
  await tf.setBackend('onnxruntime');
  await saveModel((await exportClassifier(model, { head: 'tensor', ...sizes, metadata })).model, file);
  await tf.setBackend('cpu');
  const { network } = await open(file);
  const input = Float32Array.from({ length: 24 * 24 * 3 }, (_, i) => ((i * 7919) % 251) - 125); // h, w, c
  const row = Float32Array.from(input, (_, i) => input[(i % 576) * 3 + Math.floor(i / 576)]); // c, h, w
  const values = await network.run(row, network.layers);
  for (const name of ['local3', 'local4']) {
    const expected = tf.tidy(() => {
      const part = tfl.model({ inputs: model.inputs, outputs: model.getLayer(name).output as tfl.SymbolicTensor });
      return tf.transpose(part.predict(tf.tensor4d(input, [1, 24, 24, 3])) as tf.Tensor4D, [0, 3, 1, 2]);
    });
    assert.deepEqual(values.get(name)!.shape, expected.shape);
    const numbers = expected.dataSync() as Float32Array;
    const most = numbers.reduce((largest, value) => Math.max(largest, value), 0);
    assert.ok(most > 0);
    assertClose(values.get(name)!.data, numbers, 1e-5 * most);
  }
});

test('shows a channels-last network of other origin by the names of its values', async () => {
  const { conv2d, maxPooling2d, flatten, dense, depthwiseConv2d } = tfl.layers;
  const model = tfl.sequential({
    layers: [
      conv2d({
        name: 'stem',
        filters: 6,
        kernelSize: 3,
        strides: 2,
        padding: 'same',
        activation: 'relu',
        inputShape: [17, 17, 3],
      }),
      depthwiseConv2d({ name: 'depth', kernelSize: 3 }),
      maxPooling2d({ name: 'pool', poolSize: 2, strides: 2 }),
      flatten({ name: 'flat' }),
      dense({ name: 'hidden', units: 11, activation: 'tanh' }),
      dense({ name: 'classes', units: LABELS.length }),
    ],
  });
  model.setWeights(
    model.getWeights().map((weight, i) => {
      const stream = random('foreign', i);
      return tf.tensor(
        Float32Array.from({ length: weight.size }, () => 0.4 * stream.normal()),
        weight.shape,
      );
    }),
  );
  mkdirSync(join(folder, 'foreign'));
  const file = join(folder, 'foreign', 'model.onnx');
  await saveModel(await exportOnnx(model), file);
  await tf.setBackend('cpu');
  const config = { labels: LABELS, input: { resize: 17, mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4] } };
  writeFileSync(join(folder, 'foreign', 'config.json'), JSON.stringify(config));

  const { network, parts } = await open(file);
  type Row = {
    name: string;
    op: string;
    activation?: string;
    input: number[];
    output: number[];
    formula?: string;
    parameters: number;
  };
  const [{ layers, crops }] = (await parts({ view: 'layers' })) as [{ layers: Row[]; crops: { name: string }[] }];
  assert.deepEqual(
    layers.map(({ op, activation, output }) => [op, activation, output]),
    [
      ['Conv', 'Relu', [6, 9, 9]],
      ['Conv', undefined, [6, 7, 7]],
      ['MaxPool', undefined, [6, 3, 3]],
      ['Gemm', 'Tanh', [11]],
      ['Gemm', undefined, [5]],
    ],
  );
  assert.equal(layers[0].formula, '(W − F + 2P) / S + 1 = (17 − 3 + 2·1) / 2 + 1 = 9');
  assert.deepEqual(
    layers.map(({ input }) => input),
    [[3, 17, 17], [6, 9, 9], [6, 7, 7], [54], [11]],
  );
  assert.deepEqual(
    layers.map(({ parameters }) => parameters),
    [168, 60, 0, 605, 60],
  );
  assert.deepEqual(
    crops.map(({ name }) => name),
    ['whole'],
  );

  // Its input by hand: the whole image of 17 pixels, as the decoder gives it.
  const [png] = (await parts({ view: 'picture', bytes })) as unknown as [Buffer];
  const square = await sharp(png).raw().toBuffer();
  const centred = Float32Array.from(
    square,
    (level, i) => (level / 255 - config.input.mean[i % 3]) / config.input.std[i % 3],
  );
  const expected = tf.tidy(() => {
    const x = tf.tensor4d(centred, [1, 17, 17, 3]);
    const part = tfl.model({ inputs: model.inputs, outputs: model.getLayer('pool').output as tfl.SymbolicTensor });
    const pooled = tf.transpose(part.predict(x) as tf.Tensor4D, [0, 3, 1, 2]).dataSync() as Float32Array;
    return { pooled, classes: tf.softmax(model.predict(x) as tf.Tensor2D).dataSync() as Float32Array };
  });
  const rows = await network.rows(await network.decode(bytes));
  const values = await network.run(rows, network.layers);
  assertClose(values.get(layers[2].name)!.data, expected.pooled, 1e-5);
  assertClose(await network.probabilities(rows), expected.classes, 1e-5);
});
