import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import onnxProto from 'onnx-proto';
import sharp from 'sharp';
import { silentProgress } from '../../base/progress.js';
import { importRun } from '../../cli/import.js';
import { cropsOfRun } from '../../export/crops-of-run.js';
import { exportRun } from '../../export/from-run.js';
import { importNetwork } from '../../export/import/import-network.js';
import { exportClassifier, saveModel } from '../../export/index.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork, NETWORKS } from '../../model/registry.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { loadCheckpoint } from '../../train/run/load-checkpoint.js';
import { openRun } from '../../train/run/run-folder.js';
import { modelWeights } from '../../train/run/weights.js';
import { numbers } from '../onnx/on-both.js';
import { alexnet, json } from '../real/command.js';

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
    // its recipe mirrors nothing
    assert.deepEqual(cropsOfRun(run), { crops: 2, reason: 'as in cifar10-quick-image.onnx' });
    assert.deepEqual(weightsOf(read), weightsOf(model));
    await assert.rejects(
      importRun({ file, model: 'cifar10-quick', out: at('run'), force: false }),
      /holds a run already/,
    );
    // Written again, it is the same file but for the checkpoint's name.
    assert.equal((await stat((await exported(read, 'cifar10-quick', 'image')).file)).size, (await stat(file)).size);
  });

  it('takes labels with a byte order mark, or in Latin-1, from a file', async () => {
    const model = network('cifar10-quick');
    const { file } = await exported(model, 'cifar10-quick', 'image');
    const given = ['café', 'thé', 'maïs', 'blé', 'kiwi'];
    for (const bytes of [Buffer.from(`\ufeff${given.join('\n')}`), Buffer.from(given.join('\n'), 'latin1')]) {
      await writeFile(at('labels.txt'), bytes);
      const imported = await importNetwork(file, findNetwork('cifar10-quick'), { labels: at('labels.txt') });
      assert.deepEqual(imported.labels, given);
    }
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

describe('constants of response normalisation that are not those of the network', () => {
  const rnorm1 = { depthRadius: 3, bias: 1.5, alpha: 0.002, beta: 0.6 };
  const lrn = { rnorm1, rnorm2: { depthRadius: 1, bias: 2, alpha: 0.0001, beta: 0.75 } };
  const configOf = async (name: string) => (await openRun(at(name))).config.lrn;

  before(async () => {
    const spec = findNetwork('cifar10-11pct');
    const model = buildNetwork(spec, { classes: 2, seed: 2, lrn });
    const { imagePx, inputPx } = spec;
    const metadata = { model: spec.name, labels: ['cat', 'dog'], dataset: 'x', toolVersion: '0' };
    const mean = new Float32Array(imagePx ** 2 * 3).fill(120);
    const options = {
      head: 'image',
      opset: 13,
      imagePx,
      inputPx,
      mean,
      metadata: { ...metadata, meanRgb: [120, 120, 120] },
    };
    await saveModel(
      (await exportClassifier(model, options as Parameters<typeof exportClassifier>[1])).model,
      at('lrn.onnx'),
    );
    model.dispose();
  });

  it('are kept in the run by `alexnet import`, which compares and says so', async () => {
    const words = [at('lrn.onnx'), '--model', 'cifar10-11pct', '--out', at('lrn')];
    const { stdout, code } = await alexnet('import', ...words);
    assert.equal(code, 0);
    assert.match(stdout, /compared: largest difference \S+ of the largest logit, on 3 generated images/);
    assert.deepEqual(await configOf('lrn'), lrn);
  });

  it('are shown by summary, and come back from a file that writes the normalisation as a convolution', async () => {
    const { stdout } = await alexnet('summary', '--run', at('lrn'));
    assert.match(stdout, /rnorm1: x \/ \(1\.5 \+ 0\.002 · Σ x² over 7 channels\)\^0\.6/);
    await exportRun({ head: 'image', opset: 13, run: at('lrn'), out: at('conv.onnx'), lrn: 'conv' }, silentProgress);
    const words = [at('conv.onnx'), '--model', 'cifar10-11pct', '--out', at('again')];
    const { run, model, classes, compared } = await json<Record<string, unknown>>('import', ...words);
    assert.deepEqual([run, model, classes], [at('again'), 'cifar10-11pct', 2]);
    const { images, max_rel } = compared as { images: number; max_rel: number };
    assert.ok(images === 3 && max_rel < 1e-5, `${max_rel}`);
    assert.deepEqual(await configOf('again'), lrn);
  });

  it('hold for a run that starts from that one, and for its file', async () => {
    for (const split of ['train', 'val']) {
      for (const [label, background] of Object.entries({ ant: 'red', bee: 'blue' })) {
        await mkdir(join(at('data'), split, label), { recursive: true });
        const image = sharp({ create: { width: 32, height: 32, channels: 3, background } }).png();
        await image.toFile(join(at('data'), split, label, '0.png'));
      }
    }
    const words = ['--data', at('data'), '--from', at('lrn'), '--epochs', '1', '--lr', '1e-6'];
    await json('train', ...words, '--out', at('trained'));
    assert.deepEqual(await configOf('trained'), lrn);
    await exportRun({ head: 'image', opset: 13, run: at('trained'), out: at('trained.onnx') }, silentProgress);
    const { graph } = onnx.ModelProto.decode(await readFile(at('trained.onnx')));
    const attributes = graph!.node!.filter(({ opType }) => opType === 'LRN').map(({ attribute }) => attribute!);
    assert.deepEqual(
      attributes.map((all) =>
        ['size', 'bias'].map((key) => all.find(({ name }) => name === key)!).map(({ f, i }) => f || Number(i)),
      ),
      [
        [7, 1.5],
        [3, 2],
      ],
    );
  });
});

/**
 * Caffe's AlexNet as Caffe2 wrote it to ONNX: foreign names, weights among the inputs, BGR, `Gemm` with transB, an old
 * operator set.
 */
function zooModel(width: number, seed: number, norm: 'op' | 'pytorch' = 'op') {
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
  /** PyTorch's LocalResponseNorm(3, alpha=2e-4, beta=0.6, k=1.3) as its exporter writes it. */
  const composed = (x: string) => {
    const axes = [ints('axes', 1)];
    const constant = (name: string, value: number) => {
      const tensor = { dims: [], dataType: FLOAT, floatData: [value] };
      nodes.push({ opType: 'Constant', output: [name], attribute: [{ name: 'value', type: 4, t: tensor }] });
      return name;
    };
    add('Mul', `${x}_square`, [x], []);
    add('Unsqueeze', `${x}_5d`, [], axes);
    add('Pad', `${x}_padded`, [], [ints('pads', 0, 0, 1, 0, 0, 0, 0, 1, 0, 0)]);
    add('AveragePool', `${x}_mean`, [], [ints('kernel_shape', 3, 1, 1)]);
    add('Squeeze', `${x}_4d`, [], axes);
    add('Mul', `${x}_scaled`, [constant(`${x}_alpha`, 2e-4)], []);
    add('Add', `${x}_sum`, [constant(`${x}_k`, 1.3)], []);
    add('Pow', `${x}_power`, [constant(`${x}_beta`, 0.6)], []);
    nodes.push({ opType: 'Div', input: [x, last], output: [`n${n}`] });
    last = `n${n}`;
  };
  const normalise = () => {
    if (norm === 'pytorch') return composed(last);
    add('LRN', `n${n}`, [], [int('size', 5), float('alpha', 1e-4), float('beta', 0.75), float('bias', 1)]);
  };
  const pool = () => add('MaxPool', `p${n}`, [], [ints('kernel_shape', 3, 3), ints('strides', 2, 2)]);
  const fc = (out: number, inputs: number) => {
    n += 1;
    if (n > 6) add('Relu', `r${n}`, [], []);
    add('Gemm', `f${n}`, [stored(`w_${n}`, out, inputs), stored(`b_${n}`, out)], [int('transB', 1)]);
  };
  const [a, b, c, wide] = [96 * width, 256 * width, 384 * width, 4096 * width];
  conv(a, 3, 11, 4, 0, 1);
  normalise();
  pool();
  conv(b, a / 2, 5, 1, 2, 2);
  normalise();
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

  it("PyTorch's LocalResponseNorm, which is not an operator of ONNX, with the constants that its nodes hold", async () => {
    await writeFile(at('pytorch.onnx'), zooModel(width, 3, 'pytorch').bytes);
    const imported = await importNetwork(at('pytorch.onnx'), findNetwork('alexnet'), { width });
    const norm = { depthRadius: 1, bias: 1.3, alpha: 0.0000666666666666667, beta: 0.6 };
    assert.deepEqual(imported.lrn, { norm1: norm, norm2: norm });
    assert.ok(typeof imported.compared === 'object' && imported.compared.maxRel < 1e-5, `${imported.compared}`);
    imported.model.dispose();
  });

  it('that prepares pixels itself: compared from its first convolution on, and said', async () => {
    const model = onnx.ModelProto.decode(zooModel(width, 3).bytes);
    const graph = model.graph!;
    graph.node![0].input![0] = 'ready';
    const mean = onnx.TensorProto.create({ name: 'mean', dims: [1], dataType: FLOAT, floatData: [120] });
    graph.initializer!.push(mean);
    graph.node!.unshift(onnx.NodeProto.create({ opType: 'Sub', input: ['data_0', 'mean'], output: ['ready'] }));
    await writeFile(at('ready.onnx'), onnx.ModelProto.encode(model).finish());
    const imported = await importNetwork(at('ready.onnx'), findNetwork('alexnet'), { width });
    assert.ok(typeof imported.compared === 'object', `${imported.compared}`);
    assert.match(
      imported.warnings.join(),
      /prepares pixels before its first convolution \(Sub\); say what it does by --mean/,
    );
    imported.model.dispose();
  });

  it('whose logits are others than the network gives: refused with the first layer that differs and the flags to try', async () => {
    const options = { width, lrnK: 2, out: at('refused'), model: 'alexnet', force: false, file: at('zoo.onnx') };
    await assert.rejects(importRun(options), (error: Error) => {
      assert.equal(error.name, 'UserError');
      assert.match(
        error.message,
        /its logits differ by up to [\d.]+ % of the largest \(allowed 0\.01 %\); not imported/,
      );
      assert.match(
        error.message,
        /first difference in norm1, pool1, conv2: conv2\[.*\] is .* in the file, .* in the network/,
      );
      assert.match(error.message, /Try --lrn-k, --lrn-alpha, --lrn-beta, --lrn printed\|code, or another --model/);
      return true;
    });
    await assert.rejects(stat(at('refused')), { code: 'ENOENT' });
  });

  it('that onnxruntime cannot run: imported, with the reason why its logits were not compared', async () => {
    const model = onnx.ModelProto.decode(zooModel(width, 3).bytes);
    model.graph!.node!.find(({ opType }) => opType === 'Relu')!.opType = 'Unheard';
    await writeFile(at('unheard.onnx'), onnx.ModelProto.encode(model).finish());
    const options = { width, out: at('unheard'), model: 'alexnet', force: false, file: at('unheard.onnx') };
    const { compared, notCompared } = await importRun(options);
    assert.equal(compared, null);
    assert.match(notCompared!, /onnxruntime cannot run the file on 227×227 pixels: .*Unheard/);
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

  it('weights alone: constants of normalisation as other programs read them, said in a warning, or by flags', async () => {
    const { stored } = zooModel(width, 3);
    const layers = ['conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7', 'fc8'];
    const tensors = Object.fromEntries(
      [...stored.values()].map(({ name, dims, floatData }) => {
        const [part, n] = name.split('_');
        const key = `${layers[Number(n) - 1]}.${part === 'w' ? 'weight' : 'bias'}`;
        return [key, { shape: dims, data: Float32Array.from(floatData) }];
      }),
    );
    const file = at('alexnet.safetensors');
    await writeFile(file, safetensors(tensors));
    const spec = findNetwork('alexnet');
    const assumed = await importNetwork(file, spec, { width, channels: 'bgr' });
    assert.equal(assumed.lrn, 'code');
    assert.match(
      assumed.warnings[0],
      /\(norm1, norm2\): .* taken are k 2, alpha 0\.0001 divided by the window of 5, beta 0\.75/,
    );
    assert.match(`${assumed.compared}`, /the file holds weights and no graph/);
    const told = await importNetwork(file, spec, { width, channels: 'bgr', lrnK: 1 });
    assert.deepEqual(told.warnings, []);
    const same = await importNetwork(at('zoo.onnx'), spec, { width });
    const x = tf.tensor4d(
      numbers(227 * 227 * 3, 4).map((value) => 100 * value),
      [1, 227, 227, 3],
    );
    const [a, b] = [told, same].map(({ model }) => [...(model.predict(x) as tf.Tensor).dataSync()]);
    assert.deepEqual(a, b);
    const printed = await importNetwork(file, spec, { width, lrn: 'printed', lrnAlpha: 3e-5, lrnBeta: 0.5 });
    const norm = { depthRadius: 2, bias: 2, alpha: 3e-5, beta: 0.5 };
    assert.deepEqual(printed.lrn, { norm1: norm, norm2: norm });
    for (const { model } of [assumed, told, same, printed]) model.dispose();
    await writeFile(at('tv.safetensors'), safetensors(stateDict()));
    await assert.rejects(importNetwork(at('tv.safetensors'), findNetwork('alexnet-torchvision'), { width, lrnK: 1 }), {
      name: 'UsageError',
      message: /alexnet-torchvision has no response normalisation; leave .* out/,
    });
  });

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

  it("torchvision's way to resize stays with the run, its exported file and a run made from that", async () => {
    await writeFile(at('resized.safetensors'), safetensors(stateDict()));
    const file = at('resized.onnx');
    await importRun({ file: at('resized.safetensors'), width, out: at('resized'), force: false });
    const { imported, config } = await openRun(at('resized'));
    assert.deepEqual([imported?.resampling, config.model], ['bilinear', 'alexnet-torchvision']);
    const { metadata } = await exportRun({ head: 'image', opset: 13, run: at('resized'), out: file }, silentProgress);
    assert.equal(metadata.resampling, 'bilinear');
    const again = await importNetwork(file, undefined, { width });
    assert.equal(again.resampling, 'bilinear');
    again.model.dispose();
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
      ['weights.bin', 'abc', /expected weights \(\.onnx, \.safetensors, /],
    ];
    for (const [name, contents, message] of cases) {
      await writeFile(at(name), contents);
      await assert.rejects(importNetwork(at(name), spec, { width }), { name: 'UserError', message }, name);
    }
    await assert.rejects(importNetwork(at('absent.onnx'), spec), { name: 'UserError', message: /absent\.onnx/ });
    await cp(at('zoo.onnx'), at('copy.onnx'));
  });
});
