/** Caffe's files: weights, what its layers say of themselves, and means. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { UserError } from '../../base/errors.js';
import { random } from '../../base/random.js';
import { type ImportedNetwork, type ImportOptions, importNetwork } from '../../export/import/import-network.js';
import { findNetwork } from '../../model/registry.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { bytesField, numberField } from '../../onnx/file/wire.js';
import { modelWeights } from '../../train/run/weights.js';
import {
  blob,
  type CaffeLayer,
  caffemodel,
  caffeNetwork,
  convolution,
  floatField,
  lrn,
  oldCaffemodel,
  pooling,
} from './caffe-messages.js';

const width = 0.0625;
const NORM = { depthRadius: 2, bias: 1, alpha: 1e-4 / 5, beta: 0.75 };
let folder: string;

before(async () => {
  await selectBackend('onnxruntime');
  folder = await mkdtemp(join(tmpdir(), 'alexnet-caffe-'));
});
after(() => rm(folder, { recursive: true }));

const imported = new Set<ImportedNetwork>();
after(() => {
  for (const { model } of imported) model.dispose();
});

async function importFile(name: string, bytes: Uint8Array, options: ImportOptions = {}, model?: string) {
  const file = join(folder, name);
  await writeFile(file, bytes);
  const result = await importNetwork(file, model === undefined ? undefined : findNetwork(model), { width, ...options });
  imported.add(result);
  return result;
}

function assertWeights({ model }: ImportedNetwork, layers: readonly CaffeLayer[]): void {
  const ours = new Map(modelWeights(model, 'all').map(({ name, variable }) => [name, variable.dataSync()]));
  const blobsOf = (name: string) => layers.find((layer) => layer.name === name)!.blobs!;
  const [conv1] = blobsOf('conv1');
  const out = conv1.dims[0];
  for (const [h, w, c, o] of [
    [0, 0, 0, 0],
    [10, 3, 2, 5],
    [4, 7, 1, 2],
  ]) {
    // HWIO; B, G, R become R, G, B
    assert.equal(
      ours.get('conv1/kernel')![((h * 11 + w) * 3 + c) * out + o],
      conv1.data[((o * 3 + (2 - c)) * 11 + h) * 11 + w],
    );
  }
  const [fc6, bias6] = blobsOf('fc6');
  const [rows, columns] = fc6.dims;
  for (const [h, w, c, o] of [
    [5, 0, 3, 7],
    [1, 4, 15, 200],
  ]) {
    assert.equal(
      ours.get('fc6/kernel')![((h * 6 + w) * 16 + c) * rows + o],
      fc6.data[o * columns + (c * 6 + h) * 6 + w],
    );
  }
  assert.deepEqual([...ours.get('fc6/bias')!], [...bias6.data]);
}

for (const kind of ['alexnet', 'caffenet'] as const) {
  for (const [form, encode] of Object.entries({ 'of today': caffemodel, 'before 2014': oldCaffemodel })) {
    it(`finds that a .caffemodel ${form} is ${kind}, with Caffe's constants, channels and mean`, async () => {
      const layers = caffeNetwork(kind, width, 5);
      const result = await importFile(`${kind}.caffemodel`, encode(layers));
      assert.equal(result.spec.name, kind);
      assert.deepEqual(result.lrn, kind === 'alexnet' ? { norm1: NORM, norm2: NORM } : undefined);
      assert.equal(result.channelOrder, 'bgr');
      assert.deepEqual([...result.mean.subarray(0, 3)].map(Math.round), [123, 117, 104]);
      assert.match(`${result.compared}`, /Caffe, which could run the file, is not part of this program/);
      assert.deepEqual(result.warnings, []);
      assertWeights(result, layers);
    });
  }
}

it('says what a network of other windows, groups, pooling or order would compute otherwise', async () => {
  const layers = caffeNetwork('alexnet', width, 5);
  const of = (name: string) => layers.find((layer) => layer.name === name)!;
  of('conv3').parameters = convolution(3, 1, 0, 1);
  of('pool5').parameters = pooling(2, 2);
  of('norm1').parameters = lrn(5e-4); // kept, as other constants are
  const { warnings } = await importFile('other.caffemodel', caffemodel(layers), {}, 'caffenet');
  assert.deepEqual(warnings, [
    'conv3: the file has strides 1,1, pads 0,0, groups 1; caffenet has strides 1,1, pads 1,1, groups 1: predictions will differ',
    'pool5: the file has window 2, stride 2, pad 0; caffenet has window 3, stride 2, pad 0: predictions will differ',
    'order of layers: the file has conv lrn maxpool conv lrn maxpool conv conv conv maxpool fc fc fc; caffenet has conv maxpool lrn conv maxpool lrn conv conv conv maxpool fc fc fc: predictions will differ',
  ]);
});

describe('a .caffemodel with weights alone', () => {
  const bare = () =>
    caffeNetwork('caffenet', width, 5)
      .filter(({ blobs }) => blobs)
      .map(({ parameters: _, ...layer }) => layer);

  it('takes windows, order and constants from the .prototxt next to it', async () => {
    await mkdir(join(folder, 'described'));
    await writeFile(
      join(folder, 'described', 'net.prototxt'),
      `name: "CaffeNet" # as in models/bvlc_reference_caffenet
       layer { name: 'data' type: "Input" top: "data" input_param { shape: { dim: 10 dim: 3 dim: 227 dim: 227 } } }
       layer { name: "train" type: "Data" include { phase: TRAIN } transform_param { crop_size: 99 } }
       layer { name: "conv1" type: "Convolution" convolution_param { num_output: 6 kernel_size: 11 stride: 4 weight_filler { type: "gaussian" std: 0.01 } } }
       layer { name: "pool1" type: "Pooling" pooling_param { pool: MAX; kernel_size: 3, stride: 2 } }
       layer < name: "norm1" type: "LRN" lrn_param < local_size: 5 alpha: 2e-4 beta: 0.5 k: 3 > >
       layer { name: "conv2" type: "Convolution" convolution_param { pad: [2, 2] kernel_size: 5 group: 2 } }
       layer { name: "pool2" type: "Pooling" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
       layer { name: "norm2" type: "LRN" lrn_param { alpha: 0.0001 } }
       layer { name: "conv3" type: "Convolution" convolution_param { pad: 1 kernel_size: 3 } }
       layer { name: "conv4" type: "Convolution" convolution_param { pad_h: 1 pad_w: 1 kernel_size: 3 group: 2 } }
       layer { name: "conv5" type: "Convolution" convolution_param { pad: 1 kernel_size: 3 group: 2 } }
       layer { name: "pool5" type: "Pooling" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
       layer { name: "fc6" type: "InnerProduct" } layer { name: "fc7" type: "InnerProduct" } layer { name: "fc8" type: "InnerProduct" }`,
    );
    const result = await importFile('described/net.caffemodel', caffemodel(bare()));
    assert.equal(result.spec.name, 'caffenet');
    assert.deepEqual(result.lrn, { norm1: { depthRadius: 2, bias: 3, alpha: 4e-5, beta: 0.5 }, norm2: NORM });
    assert.deepEqual(result.warnings, []);
    assertWeights(result, caffeNetwork('caffenet', width, 5));
  });

  it('is taken for AlexNet without one, with a warning a guess', async () => {
    const { spec, warnings, lrn: constants } = await importFile('bare.caffemodel', caffemodel(bare()));
    assert.equal(spec.name, 'alexnet');
    assert.deepEqual(constants, { norm1: NORM, norm2: NORM });
    assert.match(
      warnings.join('\n'),
      /fit several networks; taken is alexnet; if it is another, give --model caffenet/,
    );
    assert.match(
      warnings.join('\n'),
      /\(norm1, norm2\): the file does not say its constants; taken are k 1, alpha 0\.0001/,
    );
  });

  it('is refused with the line where its .prototxt is not of the format', async () => {
    await mkdir(join(folder, 'wrong'));
    for (const [text, message] of [
      ['layer {\n name: "a"\n type "LRN" }', /net\.prototxt: line 3: expected a value, got "LRN"/],
      ['layer {\n name: "a"', /net\.prototxt: line 2: expected the name of a field|line 2: expected more, got the end/],
      ['layer { lrn_param { alpha: much } }', /net\.prototxt: alpha: expected a number, got much/],
      ['layer { name: "a\n" }', /net\.prototxt: line 1: expected a quote to be closed/],
      ['layer {'.repeat(3000), /net\.prototxt: line 1: expected at most 20 messages in each other/],
    ] as const) {
      await writeFile(join(folder, 'wrong', 'net.prototxt'), text);
      await assert.rejects(importFile('wrong/net.caffemodel', caffemodel(bare())), { name: 'UserError', message });
    }
  });
});

describe('the mean', () => {
  const model = (transform: Uint8Array[]) =>
    caffemodel([{ name: 'data', type: 'Data', transform }, ...caffeNetwork('alexnet', width, 5)]);

  it('and the scale are those of the data layer: TransformationParameter scale = 1, mean_file = 4, mean_value = 5', async () => {
    const values = [104, 117, 123].map((value) => floatField(5, value));
    const { mean, model: network } = await importFile('values.caffemodel', model([...values, floatField(1, 0.5)]));
    assert.deepEqual([...mean.subarray(0, 3)], [123, 117, 104]);
    const plain = await importFile('plain.caffemodel', model([]));
    const [scaled, unscaled] = [network, plain.model].map((one) => modelWeights(one, 'all')[0].variable.dataSync());
    assert.ok(scaled.every((value, i) => value === unscaled[i] / 2));
    const named = await importFile('named.caffemodel', model([bytesField(4, Buffer.from('birds.mean.bin'))]));
    assert.match(
      named.warnings.join(),
      /the mean is in "birds\.mean\.bin"; taken is Caffe's for ImageNet, R,G,B 122\.7,.*; give --mean FILE/,
    );
  });

  it('is read from a .binaryproto, pixel by pixel where it has the size of the image', async () => {
    const [side, area] = [256, 256 ** 2];
    const pixels = Float32Array.from({ length: 3 * area }, (_, i) => (i % 251) + Math.floor(i / area) / 4);
    for (const [file, isOld] of [
      ['mean.binaryproto', false],
      ['old.binaryproto', true],
    ] as const) {
      await writeFile(join(folder, file), blob([1, 3, side, side], pixels, isOld));
      const { mean } = await importFile('with.caffemodel', model([]), { mean: join(folder, file) });
      for (const [y, x, channel] of [
        [0, 0, 0],
        [3, 200, 1],
        [255, 254, 2],
      ]) {
        assert.equal(mean[(y * side + x) * 3 + channel], pixels[(2 - channel) * area + y * side + x]);
      }
    }
    const small = blob([1, 3, 2, 2], Float32Array.from([1, 2, 3, 4, 10, 20, 30, 40, 100, 200, 300, 400]));
    await writeFile(join(folder, 'small.binaryproto'), small);
    const { mean } = await importFile('with.caffemodel', model([]), { mean: join(folder, 'small.binaryproto') });
    assert.deepEqual([...mean.subarray(0, 3)], [250, 25, 2.5]);
  });

  it('is read from a .npy of three numbers, in the order of the channels', async () => {
    const header = "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }".padEnd(117);
    const head = Buffer.from(`\x93NUMPY\x01\x00\x76\x00${header}\n`, 'latin1');
    await writeFile(join(folder, 'mean.npy'), Buffer.concat([head, new Uint8Array(Float64Array.of(1, 2, 3).buffer)]));
    const { mean } = await importFile('with.caffemodel', model([]), { mean: join(folder, 'mean.npy') });
    assert.deepEqual([...mean.subarray(0, 3)], [3, 2, 1]);
  });
});

it('refuses weights of layers that no network here has, and files that are not of Caffe', async () => {
  const scale: CaffeLayer = { name: 'scale1', type: 'Scale', blobs: [{ dims: [6], data: new Float32Array(6) }] };
  const layers = [...caffeNetwork('alexnet', width, 5), scale];
  const cases: [Uint8Array, RegExp][] = [
    [caffemodel(layers), /and weights of no such layer: scale1 \(Scale\)/],
    [Buffer.from('no message, just a sentence'), /x\.caffemodel: (damaged or cut short|expected a \.caffemodel)/],
    [caffemodel([{ name: 'relu', type: 'ReLU' }]), /expected a \.caffemodel, got a message without weights/],
    [
      Buffer.concat([numberField(4, 1), Buffer.from([0x12, 4, 0x0a, 2, 0x0a, 0])]),
      /form of 2013; convert it with Caffe's upgrade/,
    ],
  ];
  for (const [bytes, message] of cases) {
    await assert.rejects(importFile('x.caffemodel', bytes, {}, 'alexnet'), { name: 'UserError', message });
  }
});

it('damaged at any byte is imported or refused', async () => {
  const stream = random(3, 'caffe');
  const whole = caffemodel(caffeNetwork('alexnet', width, 2));
  let refusals = 0;
  for (let round = 0; round < 24; round++) {
    const bytes = Buffer.from(whole);
    for (let i = 0; i < 3; i++) bytes[stream.integer(i === 0 ? 200 : bytes.length)] = stream.integer(256);
    try {
      await importFile('damaged.caffemodel', round % 2 === 0 ? bytes : bytes.subarray(0, stream.integer(bytes.length)));
    } catch (error) {
      assert.ok(error instanceof UserError, (error as Error).stack);
      refusals += 1;
    }
  }
  assert.ok(refusals > 10, `${refusals}`);
});

it('gives a network of 1000 classes those of ImageNet, with synsets, in the published order', async () => {
  const file = join(folder, 'imagenet.caffemodel');
  await writeFile(file, caffemodel(caffeNetwork('alexnet', width, 1000)));
  const result = await importNetwork(file, undefined, { width });
  imported.add(result);
  const { labels, synsets } = result;
  assert.deepEqual([labels.length, new Set(labels).size, new Set(synsets).size], [1000, 1000, 1000]);
  assert.deepEqual(synsets, synsets!.toSorted());
  for (const [index, synset, label] of [
    [0, 'n01440764', 'tench, Tinca tinca'],
    [134, 'n02012849', 'crane (n02012849)'],
    [207, 'n02099601', 'golden retriever'],
    [281, 'n02123045', 'tabby, tabby cat'],
    [517, 'n03126707', 'crane (n03126707)'],
    [651, 'n03761084', 'microwave, microwave oven'],
    [999, 'n15075141', 'toilet tissue, toilet paper, bathroom tissue'],
  ] as const) {
    assert.deepEqual([synsets![index], labels[index]], [synset, label]);
  }
});
