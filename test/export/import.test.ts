import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import onnxProto from 'onnx-proto';
import { importNetwork } from '../../export/import/import-network.js';
import { importRun } from '../../export/import/main.js';
import { exportClassifier, saveModel } from '../../export/index.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork, NETWORKS } from '../../model/registry.js';
import { selectBackend } from '../../train/backend.js';
import { loadCheckpoint } from '../../train/load-checkpoint.js';
import { openRun } from '../../train/run-folder.js';
import { modelWeights } from '../../train/weights.js';
import { numbers } from './on-both.js';

const { onnx } = onnxProto;
const { FLOAT, INT64 } = onnx.TensorProto.DataType;
const labels = ['ant', 'bee', 'cat', 'dog', 'eel'];
let folder: string;
const at = (name: string) => join(folder, name);

before(async () => {
  await selectBackend('onnxruntime');
  folder = await mkdtemp(join(tmpdir(), 'alexnet-import-'));
});
after(() => rm(folder, { recursive: true }));

function weightsOf(model: tfl.LayersModel): Map<string, Float32Array> {
  return new Map(modelWeights(model, 'all').map(({ name, variable }) => [name, variable.dataSync() as Float32Array]));
}

/** A network with weights and biases that are all different. */
function network(name: string, width?: number): tfl.LayersModel {
  const model = buildNetwork(findNetwork(name), { classes: labels.length, seed: 2, width });
  modelWeights(model, 'all').forEach(({ variable }, i) => {
    tf.tidy(() => variable.assign(tf.tensor(numbers(variable.size, i + 1), variable.shape)));
  });
  return model;
}

async function exported(model: tfl.LayersModel, name: string, head: 'image' | 'tensor', externalData = false) {
  const { imagePx, inputPx } = findNetwork(name);
  const mean = numbers(imagePx ** 2 * 3, 5).map((value) => 100 + 20 * value);
  const meanRgb: [number, number, number] = [101, 102, 103];
  const metadata = { model: name, labels, meanRgb, dataset: 'x', toolVersion: '0', top1Error: 0.25, top5Error: 0.125 };
  const result = await exportClassifier(model, { head, opset: 13, imagePx, inputPx, mean, metadata });
  const file = at(`${name}-${head}.onnx`);
  await saveModel(result.model, file, { externalData });
  return { file, mean };
}

describe("a file of this project's own", () => {
  for (const name of Object.keys(NETWORKS)) {
    it(`gives the weights back bit for bit: ${name}`, async () => {
      const width = name.startsWith('cifar10') ? undefined : 0.0625;
      const model = network(name, width);
      for (const head of ['image', 'tensor'] as const) {
        const { file, mean } = await exported(model, name, head, head === 'tensor');
        const imported = await importNetwork(file, findNetwork(name), { width });
        assert.deepEqual(weightsOf(imported.model), weightsOf(model));
        assert.deepEqual(imported.labels, labels);
        assert.deepEqual(imported.warnings, []);
        assert.ok(typeof imported.compared === 'object' && imported.compared.maxRel < 1e-5, `${imported.compared}`);
        if (head === 'image') assert.deepEqual(imported.mean, mean);
        else assert.deepEqual([...imported.mean.subarray(0, 4)], [101, 102, 103, 101]);
        imported.model.dispose();
      }
      model.dispose();
    });
  }

  it('becomes a run that holds labels, mean, errors and weights', async () => {
    const model = network('cifar10-quick');
    const { file, mean } = await exported(model, 'cifar10-quick', 'image');
    const report = await importRun({ file, model: 'cifar10-quick', out: at('run'), force: false });
    assert.equal(report.parameters, model.countParams());
    const run = await openRun(at('run'));
    assert.deepEqual(run.labels, labels);
    assert.deepEqual(run.mean, mean);
    const { model: read, state } = await loadCheckpoint(run.best);
    assert.equal(state.bestValidation?.top1Error, 0.25);
    assert.deepEqual(weightsOf(read), weightsOf(model));
    await assert.rejects(
      importRun({ file, model: 'cifar10-quick', out: at('run'), force: false }),
      /holds a run already/,
    );
    // Written again, it is the same file but for the checkpoint's name.
    assert.equal((await stat((await exported(read, 'cifar10-quick', 'image')).file)).size, (await stat(file)).size);
  });

  it('that is of another network: every layer with what was expected and what came, and the run there stays', async () => {
    const model = network('cifar10-18pct');
    const { file } = await exported(model, 'cifar10-18pct', 'image');
    await importRun({ file, model: 'cifar10-18pct', out: at('kept'), force: false });
    const before = await readFile(join(at('kept'), 'config.json'), 'utf8');
    await assert.rejects(importRun({ file, model: 'cifar10-quick', out: at('kept'), force: true }), (error: Error) => {
      assert.equal(error.name, 'UserError');
      assert.match(error.message, /does not fit cifar10-quick/);
      assert.match(error.message, /conv3: conv \[64, 32, 5, 5\], bias \[64\] +got conv \[64, 32, 5, 5\]/);
      assert.match(error.message, /fc\w+: fc \[1024, 64\], bias \[64\] +got fc \[1024, 5\].*← differs/);
      return true;
    });
    assert.equal(await readFile(join(at('kept'), 'config.json'), 'utf8'), before);
  });
});

/** Caffe's AlexNet as Caffe2 wrote it to ONNX: foreign names, weights among the inputs, BGR, `Gemm` with transB, an old operator set. */
function zooModel(width: number, seed: number, k = 1) {
  const initializer: { name: string; dims: number[]; dataType: number; floatData: number[] }[] = [];
  const stored = (name: string, ...dims: number[]) => {
    const length = dims.reduce((product, side) => product * side, 1);
    initializer.push({ name, dims, dataType: FLOAT, floatData: [...numbers(length, seed + initializer.length)] });
    return name;
  };
  const ints = (name: string, ...values: number[]) => ({ name, type: 7, ints: values });
  const int = (name: string, i: number) => ({ name, type: 2, i });
  const float = (name: string, f: number) => ({ name, type: 1, f });
  const nodes: object[] = [];
  let last = 'data_0';
  const add = (opType: string, name: string, more: string[], attribute: object[]) => {
    nodes.push({ opType, input: [last, ...more], output: [name], attribute });
    last = name;
  };
  let n = 0;
  const conv = (out: number, inPerGroup: number, kernel: number, stride: number, pad: number, group: number) => {
    n += 1;
    const weights = [stored(`w_${n}`, out, inPerGroup, kernel, kernel), stored(`b_${n}`, out)];
    const geometry = [ints('strides', stride, stride), ints('pads', pad, pad, pad, pad), int('group', group)];
    add('Conv', `c${n}`, weights, [ints('kernel_shape', kernel, kernel), ...geometry]);
    add('Relu', `r${n}`, [], []);
  };
  const norm = () =>
    add('LRN', `n${n}`, [], [int('size', 5), float('alpha', 1e-4), float('beta', 0.75), float('bias', k)]);
  const pool = () => add('MaxPool', `p${n}`, [], [ints('kernel_shape', 3, 3), ints('strides', 2, 2)]);
  const fc = (out: number, inputs: number) => {
    n += 1;
    if (n > 6) add('Relu', `r${n}`, [], []);
    add('Gemm', `f${n}`, [stored(`w_${n}`, out, inputs), stored(`b_${n}`, out)], [int('transB', 1)]);
  };
  const [a, b, c, wide] = [96 * width, 256 * width, 384 * width, 4096 * width];
  conv(a, 3, 11, 4, 0, 1);
  norm();
  pool();
  conv(b, a / 2, 5, 1, 2, 2);
  norm();
  pool();
  conv(c, b, 3, 1, 1, 1);
  conv(c, c / 2, 3, 1, 1, 2);
  conv(b, c / 2, 3, 1, 1, 2);
  pool();
  add('Reshape', 'flat', ['shape'], []);
  fc(wide, b * 36);
  fc(wide, wide);
  fc(labels.length, wide);
  add('Softmax', 'prob_1', [], []);
  const shape = { name: 'shape', dims: [2], dataType: INT64, int64Data: [1, b * 36] };
  const value = (name: string, elemType: number, dims: number[]) => {
    const dim = dims.map((dimValue) => ({ dimValue }));
    return { name, type: { tensorType: { elemType, shape: { dim } } } };
  };
  const tensors = [...initializer, shape];
  const input = [value('data_0', FLOAT, [1, 3, 224, 224])];
  input.push(...tensors.map(({ name, dataType, dims }) => value(name, dataType, dims)));
  const output = [value('prob_1', FLOAT, [1, labels.length])];
  const graph = { name: 'AlexNet', node: nodes, initializer: tensors, input, output };
  const bytes = onnx.ModelProto.encode({
    irVersion: 3,
    producerName: 'onnx-caffe2',
    opsetImport: [{ domain: '', version: 9 }],
    graph,
  }).finish();
  return { bytes, stored: new Map(initializer.map((tensor) => [tensor.name, tensor])) };
}

describe('files of others', () => {
  const width = 0.0625;

  it("the ONNX Model Zoo's form, by structure: BGR turned to RGB, Caffe's mean, k = 1 of its response normalisation, its logits", async () => {
    const { bytes, stored } = zooModel(width, 3);
    await writeFile(at('zoo.onnx'), bytes);
    const imported = await importNetwork(at('zoo.onnx'), findNetwork('alexnet'), { width });
    const weights = weightsOf(imported.model);
    const [conv1, fc6] = [stored.get('w_1')!, stored.get('w_6')!];
    const [out] = conv1.dims;
    // HWIO, channel c of ours is 2 − c of the file's.
    for (const [h, w, c, o] of [
      [0, 0, 0, 0],
      [10, 3, 2, 5],
      [4, 7, 1, 2],
    ]) {
      const ours = weights.get('conv1/kernel')![((h * 11 + w) * 3 + c) * out + o];
      assert.equal(ours, Math.fround(conv1.floatData[((o * 3 + (2 - c)) * 11 + h) * 11 + w]));
    }
    const channels = 256 * width;
    const [rows, columns] = [fc6.dims[0], fc6.dims[1]];
    for (const [h, w, c, o] of [
      [5, 0, 3, 7],
      [1, 4, 15, 200],
    ]) {
      const ours = weights.get('fc6/kernel')![((h * 6 + w) * channels + c) * rows + o];
      assert.equal(ours, Math.fround(fc6.floatData[o * columns + (c * 6 + h) * 6 + w]));
    }
    assert.equal(imported.channelOrder, 'bgr');
    assert.deepEqual([...imported.mean.subarray(0, 3)].map(Math.round), [123, 117, 104]);
    assert.equal(imported.labels[4], 'class 4');
    const norm = { depthRadius: 2, bias: 1, alpha: 1e-4 / 5, beta: 0.75 };
    assert.deepEqual(imported.lrn, { norm1: norm, norm2: norm });
    assert.ok(typeof imported.compared === 'object' && imported.compared.maxRel < 1e-5, `${imported.compared}`);
    assert.deepEqual(imported.warnings, ['input: the file reads 224×224 pixels, alexnet 227×227']);
    imported.model.dispose();
    await assert.rejects(
      importNetwork(at('zoo.onnx'), findNetwork('caffenet'), { width: 0.125 }),
      /does not fit caffenet/,
    );
  });

  /** A safetensors file: length of the header, header, numbers. */
  function safetensors(tensors: Record<string, { shape: number[]; data: Float32Array }>): Buffer {
    let offset = 0;
    const header: Record<string, object> = { __metadata__: { format: 'pt' } };
    for (const [name, { shape, data }] of Object.entries(tensors)) {
      header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] };
      offset += data.byteLength;
    }
    const text = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    return Buffer.concat([length, text, ...Object.values(tensors).map(({ data }) => Buffer.from(data.buffer))]);
  }

  function stateDict(): Record<string, { shape: number[]; data: Float32Array }> {
    const [a, b, c, wide] = [4, 12, 24, 256];
    const shapes: Record<string, number[]> = {
      'features.0': [a, 3, 11, 11],
      'features.3': [b, a, 5, 5],
      'features.6': [c, b, 3, 3],
      'features.8': [16, c, 3, 3],
      'features.10': [16, 16, 3, 3],
      'classifier.1': [wide, 16 * 36],
      'classifier.4': [wide, wide],
      'classifier.6': [labels.length, wide],
    };
    return Object.fromEntries(
      Object.entries(shapes).flatMap(([name, shape], i) => {
        const size = shape.reduce((product, side) => product * side, 1);
        return [
          [`${name}.weight`, { shape, data: numbers(size, i + 1) }],
          [`${name}.bias`, { shape: [shape[0]], data: numbers(shape[0], i + 20) }],
        ];
      }),
    );
  }

  it("torchvision's state dict: (x / 255 − mean) / std moved into conv1 and the mean", async () => {
    const tensors = stateDict();
    await writeFile(at('tv.safetensors'), safetensors(tensors));
    const imported = await importNetwork(at('tv.safetensors'), findNetwork('alexnet-torchvision'), { width });
    const weights = weightsOf(imported.model);
    const { data } = tensors['features.0.weight'];
    const std = [0.229, 0.224, 0.225];
    for (const [o, c, h, w] of [
      [0, 0, 0, 0],
      [3, 2, 10, 4],
      [1, 1, 5, 9],
    ]) {
      const expected = data[((o * 3 + c) * 11 + h) * 11 + w] / (255 * std[c]);
      const ours = weights.get('conv1/kernel')![((h * 11 + w) * 3 + c) * 4 + o];
      assert.ok(Math.abs(ours - expected) <= 1e-7 * Math.abs(expected), `${ours}, ${expected}`);
    }
    const mean = [0.485, 0.456, 0.406].map((value) => Math.fround(255 * value));
    assert.deepEqual([...imported.mean.subarray(0, 3)], mean);
    assert.equal(imported.labels.length, labels.length);
    imported.model.dispose();
  });

  it('names a file that is damaged, cut short or of another kind', async () => {
    const spec = findNetwork('alexnet-torchvision');
    const whole = safetensors(stateDict());
    const { bytes } = zooModel(width, 3);
    const nan = stateDict();
    nan['classifier.4.bias'].data[7] = Number.NaN;
    const { 'features.6.weight': _, ...missing } = stateDict();
    const cases: [string, Uint8Array | string, RegExp][] = [
      ['cut.safetensors', whole.subarray(0, whole.length - 9), /cut\.safetensors: .*(cut short|expected .* bytes)/],
      ['head.safetensors', whole.subarray(0, 20), /head\.safetensors: /],
      ['text.safetensors', 'no tensors in here, just a sentence', /text\.safetensors: /],
      ['nan.safetensors', safetensors(nan), /fc7: number 7 of the bias is NaN/],
      ['missing.safetensors', safetensors(missing), /does not fit alexnet-torchvision(.|\n)*features\.6\.bias/],
      ['cut.onnx', bytes.subarray(0, bytes.length - 100), /cut\.onnx: cut short/],
      ['text.onnx', 'not a model', /text\.onnx: not an ONNX file/],
      ['weights.bin', 'abc', /expected a file name that ends in \.onnx or \.safetensors/],
    ];
    for (const [name, contents, message] of cases) {
      await writeFile(at(name), contents);
      await assert.rejects(importNetwork(at(name), spec, { width }), { name: 'UserError', message }, name);
    }
    await assert.rejects(importNetwork(at('absent.onnx'), spec), { name: 'UserError', message: /absent\.onnx/ });
    await cp(at('zoo.onnx'), at('copy.onnx'));
  });
});
