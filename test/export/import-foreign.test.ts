import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import sharp from 'sharp';
import { silentProgress } from '../../base/progress.js';
import { random } from '../../base/random.js';
import { tf } from '../../base/tfjs/core.js';
import { importRun } from '../../cli/import.js';
import { exportRun } from '../../export/from-run.js';
import { importNetwork } from '../../export/import/import-network.js';
import { findNetwork } from '../../model/registry.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import { evaluateRun } from '../../train/evaluate/evaluate-run.js';
import { openRun } from '../../train/run/run-folder.js';
import { numbers } from '../onnx/on-both.js';
import { post, running } from '../serve/running.js';
import { weightsOf } from '../train/weights-of.js';
import { CLASSES, safetensors, stateDict, zooModel } from './foreign-weights.js';

const { FLOAT } = onnx.TensorProto.DataType;
let folder: string;
const at = (name: string) => join(folder, name);

before(async () => {
  await selectBackend('onnxruntime');
  folder = await mkdtemp(join(tmpdir(), 'alexnet-import-'));
});
after(() => rm(folder, { recursive: true }));

/**
 * Noise of every size: large and small, upright by its EXIF orientation, with alpha; one of each class. Filters differ
 * most on it.
 * @returns their bytes by name in the data set
 */
async function writePhotographs(data: string): Promise<Map<string, Buffer>> {
  const sizes = [
    [400, 300],
    [301, 515],
    [1300, 900],
    [120, 200],
    [333, 333],
  ];
  const written = new Map<string, Buffer>();
  for (const [i, [width, height]] of sizes.entries()) {
    const stream = random('photograph', i);
    const channels = i === 4 ? 4 : 3;
    const pixels = Uint8Array.from({ length: width * height * channels }, () => stream.integer(256));
    const image = sharp(pixels, { raw: { width, height, channels } });
    const name = `class ${i}/image.${i % 2 ? 'jpg' : 'png'}`;
    const bytes = await (i % 2 ? image.jpeg().withMetadata({ orientation: 6 }) : image.png()).toBuffer();
    await mkdir(join(data, `class ${i}`), { recursive: true });
    await writeFile(join(data, name), bytes);
    written.set(name, bytes);
  }
  return written;
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
    assert.equal(imported.labels.length, CLASSES);
    imported.model.dispose();
  });

  it("Keras's names, whose first layer of a kind bears no number, as the advice on .h5 leaves them", async () => {
    const tensors = stateDict();
    const keras = Object.fromEntries(
      Object.entries(tensors).map(([name, tensor]) => {
        const [part, , what] = name.split('.');
        const kind = part === 'features' ? 'conv2d' : 'dense';
        const places = Object.keys(tensors).filter((other) => other.startsWith(part) && other.endsWith(what));
        const number = places.indexOf(name);
        const layer = number === 0 ? kind : `${kind}_${number}`;
        return [`model_weights/${layer}/${layer}/${what === 'weight' ? 'kernel' : what}:0`, tensor];
      }),
    );
    await writeFile(at('keras.safetensors'), safetensors(keras));
    await writeFile(at('tv.safetensors'), safetensors(tensors));
    const [theirs, ours] = await Promise.all(
      ['keras', 'tv'].map((name) => importNetwork(at(`${name}.safetensors`), undefined, { width })),
    );
    assert.deepEqual(weightsOf(theirs.model), weightsOf(ours.model));
    for (const { model } of [theirs, ours]) model.dispose();
  });

  it("torchvision's way to resize stays with the run, its exported file and a run made from that", async () => {
    await writeFile(at('resized.safetensors'), safetensors(stateDict()));
    const file = at('resized.onnx');
    await importRun({ file: at('resized.safetensors'), width, out: at('resized'), force: false });
    const { imported, config } = await openRun(at('resized'));
    assert.deepEqual([imported?.resampling, config.model], ['bilinear', 'alexnet-torchvision']);
    const notes: string[] = [];
    const progress = { ...silentProgress, note: (line: string) => void notes.push(line) };
    const { metadata } = await exportRun({ head: 'image', opset: 13, run: at('resized'), out: file }, progress);
    assert.ok(
      notes.some((line) => /^the file will state no errors: .*trained on; give --data DATA$/.test(line)),
      notes.join('\n'),
    );
    assert.equal(metadata.resampling, 'bilinear');
    const again = await importNetwork(file, undefined, { width });
    assert.equal(again.resampling, 'bilinear');
    again.model.dispose();
  });

  it('evaluates it, as a run and as a file, to what the server answers to the same photographs', async () => {
    const photographs = await writePhotographs(at('photographs'));
    const tensors = stateDict();
    // Else all classes are about as probable for every image.
    for (const { data, shape } of Object.values(tensors)) {
      const scale = shape.length === 1 ? 0.1 : 2 / Math.sqrt(data.length / shape[0]);
      for (let i = 0; i < data.length; i++) data[i] *= scale;
    }
    await writeFile(at('served.safetensors'), safetensors(tensors));
    const [run, file] = [at('served'), at('served.onnx')];
    await importRun({ file: at('served.safetensors'), width, out: run, force: false });
    await exportRun({ head: 'image', opset: 13, run, out: file, crops: 1, measureImages: 0 }, silentProgress);
    const asked = { data: at('photographs'), split: 'train', holdOut: { fraction: 0 } };
    const evaluated = async (subject: { run: string } | { onnx: string }) => {
      const predictions = at('predictions.jsonl');
      await evaluateRun({ ...asked, ...subject, predictions }, silentProgress);
      const lines = (await readFile(predictions, 'utf8')).trim().split('\n');
      return new Map(lines.map((line) => JSON.parse(line)).map(({ name, ...answer }) => [name, answer]));
    };
    const [ofRun, ofFile] = [await evaluated({ run }), await evaluated({ onnx: file })];
    const { url } = await running({ file });
    for (const [name, bytes] of photographs) {
      const { predictions } = (await (await post(url, bytes)).json()) as {
        predictions: { index: number; probability: number }[];
      };
      for (const { top5, probability } of [ofRun.get(name)!, ofFile.get(name)!]) {
        assert.deepEqual(
          top5,
          predictions.map(({ index }) => index),
          name,
        );
        // two runtimes, float32 sums over some thousand terms; Lanczos is 0.02 to 0.08 away
        const far = Math.abs(probability - predictions[0].probability);
        assert.ok(far < 1e-4, `${name}: ${probability}, ${predictions[0].probability}`);
      }
    }
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
  });
});
