/** `alexnet export` of TensorFlow.js models on disk, as a person runs it. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { tfc } from '../../base/tfjs/converter.js';
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import '../../base/tfjs/backend-cpu.js';
import { exportOnnx, loadGraphModelFile, loadLayersModelFile } from '../../export/index.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import * as ort from '../../onnx/onnxruntime.js';
import { saveCheckpoint } from '../../train/run/checkpoint.js';
import { loadCheckpoint } from '../../train/run/load-checkpoint.js';
import { MODELS, withWeights } from '../export/five-models.js';
import { saveGraphModel, saveLayersModel } from '../export/saved-models.js';
import { numbers } from '../onnx/on-both.js';
import { alexnet, json } from '../real/shared-process.js';
import { writeOrigin } from '../train/frozen/origin.js';

interface Report {
  file: string;
  bytes: number;
  data_file?: string;
  opset: number;
  parity: {
    images: number;
    max_abs: number;
    max_rel: number;
    worst?: { output: string; index: number[] };
    how: string;
    seconds: number;
  };
}

/** Begins as what the command writes, so that it may be replaced. */
const OLD = '\x08\x07\x12\x07alexnet, precious';

describe('alexnet export of a model on disk', () => {
  let folder: string;
  const at = (...names: string[]) => join(folder, ...names);
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'alexnet-export-'));
    await tf.setBackend('cpu');
    await saveLayersModel(at('residual'), withWeights(MODELS.residual()));
    await saveLayersModel(at('sequence'), withWeights(MODELS.recurrent()));
    await saveGraphModel(at('graph'), numbers);
  });
  after(() => rm(folder, { recursive: true }));

  it('writes a layers model and says where the largest difference to tfjs is', async () => {
    const out = at('residual.onnx');
    const report = await json<Report>(
      'export',
      '--layers-model',
      at('residual', 'model.json'),
      '--out',
      out,
      '--opset',
      '17',
    );
    assert.equal(report.opset, 17);
    assert.equal(report.bytes, (await stat(out)).size);
    assert.equal(report.parity.images, 13);
    assert.ok(report.parity.max_rel > 0 && report.parity.max_rel < 1e-4, `difference ${report.parity.max_rel}`);
    assert.equal(report.parity.worst?.index.length, 2);
  });

  it('keeps large tensors in a file next to the model if asked', async () => {
    const out = at('outside.onnx');
    const report = await json<Report>(
      'export',
      '--layers-model',
      at('residual', 'model.json'),
      '--out',
      out,
      '--external-data',
    );
    assert.equal(report.data_file, `${out}.data`);
    const model = onnx.ModelProto.decode(await readFile(out));
    const outside = model.graph!.initializer!.filter((tensor) => tensor.dataLocation === 1);
    assert.ok(outside.length > 3);
    for (const { externalData } of outside) {
      const entries = Object.fromEntries(externalData!.map(({ key, value }) => [key, value]));
      assert.equal(entries.location, 'outside.onnx.data');
      assert.equal(Number(entries.offset) % 4096, 0);
    }
    const session = await ort.InferenceSession.create(out);
    const input = new ort.Tensor('float32', numbers(17 * 19 * 5), [1, 17, 19, 5]);
    const inside = await ort.InferenceSession.create(
      (await exportOnnx(await loadLayersModelFile(at('residual', 'model.json')))).encode(),
    );
    const [a, b] = [
      await session.run({ [session.inputNames[0]]: input }),
      await inside.run({ [inside.inputNames[0]]: input }),
    ];
    assert.deepEqual(a[session.outputNames[0]].data, b[inside.outputNames[0]].data);
    await session.release();
    await inside.release();
  });

  it('writes a graph model with a free batch, normalisation folded, nodes named after those of TensorFlow', async () => {
    const out = at('graph.onnx');
    await json<Report>('export', '--graph-model', at('graph', 'model.json'), '--out', out);
    const graph = onnx.ModelProto.decode(await readFile(out)).graph!;
    const operators = graph.node!.map(({ opType }) => opType);
    assert.deepEqual(operators, ['Transpose', 'Conv', 'Relu', 'MaxPool', 'Reshape', 'Gemm', 'Softmax']);
    assert.ok(graph.initializer!.some(({ name }) => name === 'conv/kernel'));
    assert.deepEqual(
      [graph.input!, graph.output!].flat().map(({ name }) => name),
      ['picture', 'probabilities'],
    );
    const session = await ort.InferenceSession.create(out);
    const images = numbers(2 * 11 * 9 * 3, 9);
    const { probabilities } = await session.run({ picture: new ort.Tensor('float32', images, [2, 11, 9, 3]) });
    await tf.setBackend('cpu');
    const model = await loadGraphModelFile(at('graph', 'model.json'));
    const expected = (model.predict(tf.tensor4d(images, [2, 11, 9, 3])) as tf.Tensor).dataSync();
    assert.deepEqual(probabilities.dims, [2, 4]);
    for (const [i, value] of expected.entries())
      assert.ok(Math.abs(value - (probabilities.data[i] as number)) < 1e-6, `${i}: ${probabilities.data[i]}, ${value}`);
    await session.release();
  });

  it('reads quantised weights as tfjs reads them', async () => {
    for (const quantization of ['uint8', 'uint16', 'float16'] as const) {
      await tf.setBackend('cpu');
      const original = withWeights(MODELS.perceptron());
      const file = await saveLayersModel(at(quantization), original, quantization);
      const read = await loadLayersModelFile(file);
      const kernels = [original, read].map((model) => model.getWeights()[0].dataSync());
      const error = { uint8: 0.01, uint16: 1e-4, float16: 2e-3 }[quantization];
      for (const [i, value] of kernels[0].entries()) {
        assert.ok(Math.abs(kernels[1][i] - value) <= error * Math.max(1, Math.abs(value)), `${quantization} ${i}`);
      }
      assert.notDeepEqual(kernels[1], kernels[0]);
      const report = await json<Report>('export', '--layers-model', file, '--out', at(`${quantization}.onnx`));
      assert.ok(report.parity.max_rel < 1e-5);
    }
  });

  it('takes the length of a free axis', async () => {
    const model = at('sequence', 'model.json');
    const report = await json<Report>('export', '--layers-model', model, '--out', at('s.onnx'), '--input-shape', 'N,5');
    assert.ok(report.parity.max_rel < 1e-5);
    const fixed = await json<Report>('export', '--layers-model', model, '--out', at('s2.onnx'), '--batch', '2');
    assert.equal(fixed.parity.images, 4);
  });

  it('gives inner layers on request, and compares less with --verify quick', async () => {
    const model = at('graph', 'model.json');
    const words = ['--graph-model', model, '--out', at('inner.onnx'), '--outputs', 'pool,logits', '--verify', 'quick'];
    const report = await json<Report>('export', ...words);
    assert.equal(report.parity.images, 3);
    assert.match(report.parity.how, /^1 \+ 2 rows on tfjs's cpu backend$/);
    assert.ok(report.parity.seconds > 0);
    const { output } = onnx.ModelProto.decode(await readFile(at('inner.onnx'))).graph!;
    assert.deepEqual(
      output!.map(({ name }) => name),
      ['pool', 'logits'],
    );
    const fixed = await alexnet('export', '--graph-model', model, '--out', at('one.onnx'), '--batch', '1');
    assert.match(fixed.stderr, /picture \[1, 11, 9, 3\]/);
  });

  it('compares a heavy network on wasm, on fewer rows, and says so', async () => {
    await tf.setBackend('cpu');
    const conv = { filters: 48, kernelSize: 3, padding: 'same' as const };
    const layers = [
      tfl.layers.conv2d({ ...conv, inputShape: [72, 72, 3] }),
      tfl.layers.conv2d(conv),
      tfl.layers.globalAveragePooling2d({}),
    ];
    const file = await saveLayersModel(at('heavy'), tfl.sequential({ layers }));
    const report = await json<Report>('export', '--layers-model', file, '--out', at('heavy.onnx'));
    assert.equal(report.parity.how, "1 + 2 rows on tfjs's wasm backend, 3 rows on this package's backend");
  });

  it('names the value that float16 cannot hold', async () => {
    const constant = (value: number) => tfl.initializers.constant({ value });
    const biased = { kernelInitializer: 'zeros' as const, biasInitializer: constant(-400) };
    // onnxruntime's cpu provider shows the one as -Infinity, and computes the other in float32.
    for (const last of [[tfl.layers.reshape({ targetShape: [2, 2] })], []]) {
      const layers = [
        tfl.layers.dense({ units: 4, inputShape: [3], ...biased }),
        tfl.layers.dense({ units: 4, name: 'loud', kernelInitializer: constant(100) }),
        ...last,
      ];
      await tf.setBackend('cpu');
      const file = await saveLayersModel(at('loud'), tfl.sequential({ layers }));
      const ended = await alexnet('export', '--layers-model', file, '--out', at('loud.onnx'), '--precision', 'fp16');
      assert.equal(ended.code, 1);
      assert.match(
        ended.stderr,
        /loud(\S*): is -160000 for the check's inputs, which float16 \(up to 65504\) cannot hold/,
      );
    }
  });

  it('names the value of a run that float16 cannot hold, for either head', async () => {
    await tf.setBackend('cpu');
    await writeOrigin(at('run'), 10); // its only image is black, −110 after the mean
    const { model, state } = await loadCheckpoint(at('run', 'best'));
    const [kernel, ...others] = model.getWeights();
    model.setWeights([tf.mul(kernel, 2000), ...others]);
    await saveCheckpoint(at('run', 'best'), model, [], state);
    for (const head of [['image', '--crops', '1'], ['tensor']]) {
      const words = ['--measure-images', '0', '--out', at('half.onnx'), '--precision', 'fp16', '--head', ...head];
      const { code, stderr } = await alexnet('export', '--run', at('run'), ...words);
      assert.match(
        stderr,
        /conv1\S*: is -?\d{5,}\S* for the check's inputs, which float16 \(up to 65504\) cannot hold/,
      );
      assert.equal(code, 1);
    }
  });

  it('says what is wrong, and leaves an older file as it was', async () => {
    const [old, broken] = [at('old.onnx'), at('broken')];
    await writeFile(old, OLD);
    const model = await saveLayersModel(broken, withWeights(MODELS.perceptron()));
    const contents = JSON.parse(await readFile(model, 'utf8'));
    const variant = async (name: string, json: object | string) => {
      await writeFile(join(broken, name), typeof json === 'string' ? json : JSON.stringify(json));
      return join(broken, name);
    };
    const custom = structuredClone(contents);
    custom.modelTopology.config.layers[2].class_name = 'MyOwnLayer';
    const shards = [{ paths: ['group1-shard1of2.bin'], weights: contents.weightsManifest[0].weights }];
    const cases: [string[], number, RegExp][] = [
      [['--layers-model', at('absent.json')], 1, /absent\.json: no such file; expected the model\.json/],
      [['--layers-model', folder], 1, /is a folder/],
      [['--layers-model', await variant('cut.json', '{"format": "lay')], 1, /cut\.json: not JSON, so cut short/],
      [['--layers-model', await variant('other.json', { a: 1 })], 1, /expected the keys modelTopology/],
      [['--layers-model', at('graph', 'model.json')], 1, /format graph-model; give it with --graph-model/],
      [['--graph-model', model], 1, /format layers-model; give it with --layers-model/],
      [['--layers-model', await variant('custom.json', custom)], 1, /layer class MyOwnLayer is not known/],
      [
        ['--layers-model', await variant('short.json', { ...contents, weightsManifest: shards })],
        1,
        /weights cut short: expected \d+ bytes in the shards, got \d+/,
      ],
      [['--layers-model', model, '--opset', '12'], 1, /opset: expected 13 to 22, got 12/],
      [['--layers-model', model, '--input-shape', 'N,12'], 1, /shape \[\?, 12\] does not fit the model's/],
      [['--layers-model', model, '--input-shape', 'N,x'], 2, /Expected lengths such as N,32,64/],
      [['--layers-model', model, '--run', folder], 2, /give one of --run/],
      [
        ['--layers-model', model, '--head', 'image'],
        2,
        /--head, --checkpoint, --crops, --data and --measure-images belong to --run/,
      ],
      [['--layers-model', model, '--precision', 'int8'], 2, /needs --calibrate DATA/],
      [
        ['--layers-model', model, '--outputs', 'nothing'],
        1,
        /outputs: the model has no layer nothing; it has \d+, e\.g\./,
      ],
      [['--run', folder, '--verify', 'quick'], 2, /--outputs and --verify belong to models/],
    ];
    for (const [words, code, message] of cases) {
      const ended = await alexnet('export', ...words, '--out', old);
      assert.match(ended.stderr, message, words.join(' '));
      assert.equal(ended.code, code, words.join(' '));
      assert.ok(!/ {4}at /.test(ended.stderr), `a stack: ${ended.stderr}`);
    }
    assert.equal(await readFile(old, 'utf8'), OLD);
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.includes('.old.onnx')),
      [],
    );
  });

  it('names an operator of a graph model that has no rule by its node', async () => {
    const file = await saveGraphModel(at('tan'), numbers, 'Tan');
    const model = await tfc
      .loadGraphModel({ load: async () => JSON.parse(await readFile(file, 'utf8')) })
      .catch(() => undefined);
    assert.equal(model, undefined); // weights are needed
    const ended = await alexnet('export', '--graph-model', file, '--out', at('tan.onnx'));
    assert.equal(ended.code, 1);
    assert.match(ended.stderr, /no ONNX lowering for a tfjs kernel .*\n {2}Tan in active/);
  });
});
