import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import * as ort from '../../onnx/onnxruntime.js';
import '../../onnx/backend/index.js';
import { tenCrops } from '../../base/crops.js';
import { UserError } from '../../base/errors.js';
import { type ClassifierOptions, exportClassifier } from '../../export/classifier.js';
import { trace } from '../../export/compile/trace.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { type ModelMetadata, metadataToProps, propsToMetadata } from '../../onnx/file/metadata.js';
import { readMetadata } from '../../onnx/file/model-file.js';
import { numbers } from '../onnx/on-both.js';

const labels = ['cat', 'dog', 'über-föhn', '日本'];

function optionsFor(name: string, head: 'image' | 'tensor', opset = 13): ClassifierOptions {
  const { imagePx, inputPx } = findNetwork(name);
  const mean = numbers(imagePx * imagePx * 3, 8).map((value) => 120 + 10 * value);
  const metadata = {
    model: name,
    labels,
    meanRgb: [120, 121, 122] as [number, number, number],
    dataset: 'x',
    toolVersion: '0.0.0',
  };
  return { head, opset, imagePx, inputPx, mean, metadata };
}

const networkNamed = (name: string) =>
  buildNetwork(findNetwork(name), { classes: labels.length, seed: 3, width: name === 'alexnet' ? 0.0625 : undefined });

function worst(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length);
  let largest = 0;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]));
    difference = Math.max(difference, Math.abs(actual[i] - expected[i]));
  }
  return difference / largest;
}

describe('an exported network', () => {
  before(async () => {
    await tf.setBackend('onnxruntime');
  });

  for (const name of ['alexnet', 'cifar10-18pct', 'cifar10-11pct', 'cifar10-quick']) {
    it(`gives tfjs's logits for any batch: ${name}`, async () => {
      const net = networkNamed(name);
      const { model } = await exportClassifier(net, optionsFor(name, 'tensor'));
      const session = await ort.InferenceSession.create(model.encode());
      const { inputPx } = findNetwork(name);
      for (const batch of [1, 3]) {
        const nhwc = numbers(batch * inputPx * inputPx * 3, batch).map((value) => value * 120);
        const expected = tf.tidy(() =>
          (net.predict(tf.tensor(nhwc, [batch, inputPx, inputPx, 3])) as tf.Tensor).dataSync(),
        );
        const nchw = new Float32Array(nhwc.length);
        nhwc.forEach((value, at) => {
          const [channel, column, row, image] = [
            at % 3,
            Math.floor(at / 3) % inputPx,
            Math.floor(at / 3 / inputPx) % inputPx,
            Math.floor(at / 3 / inputPx ** 2),
          ];
          nchw[((image * 3 + channel) * inputPx + row) * inputPx + column] = value;
        });
        const { logits } = await session.run({ input: new ort.Tensor('float32', nchw, [batch, 3, inputPx, inputPx]) });
        assert.deepEqual(logits.dims, [batch, labels.length]);
        // 1e-4: float32 sums over up to 9216 terms, in two orders.
        assert.ok(
          worst(logits.data as Float32Array, expected) < 1e-4,
          `difference ${worst(logits.data as Float32Array, expected)}`,
        );
      }
      await session.release();
      net.dispose();
    });
  }

  it('averages the probabilities of the crops inside the image head, mean subtracted pixel by pixel', async () => {
    for (const [name, asked, positions] of [
      ['alexnet', undefined, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
      ['cifar10-11pct', 5, [0, 1, 2, 3, 4]],
      ['cifar10-11pct', 2, [4, 9]],
      ['cifar10-11pct', 1, [4]],
      ['cifar10-18pct', 10, [0, 1]],
      ['cifar10-18pct', 5, [0]],
    ] as const) {
      const net = networkNamed(name);
      const options = { ...optionsFor(name, 'image'), crops: asked };
      const { model, metadata } = await exportClassifier(net, options);
      const { imagePx, inputPx } = options;
      const images = Uint8Array.from({ length: 2 * imagePx * imagePx * 3 }, (_, i) => (i * 7 + (i >> 5) * 31) % 256);
      const session = await ort.InferenceSession.create(model.encode());
      const { probabilities } = await session.run({
        image: new ort.Tensor('uint8', images, [2, imagePx, imagePx, 3]),
      });
      const ten = tenCrops(imagePx, inputPx);
      const crops = positions.map((position) => ten[position]);
      assert.equal(metadata.crops, crops.length);
      const expected = new Float64Array(2 * labels.length);
      for (const { top, left, mirror } of crops) {
        // Written from the definition, pixel by pixel, not with the code under test.
        const input = new Float32Array(2 * inputPx * inputPx * 3);
        for (let at = 0; at < input.length; at++) {
          const [channel, column, row, image] = [
            at % 3,
            Math.floor(at / 3) % inputPx,
            Math.floor(at / 3 / inputPx) % inputPx,
            Math.floor(at / 3 / inputPx ** 2),
          ];
          const x = left + (mirror ? inputPx - 1 - column : column);
          const pixel = ((top + row) * imagePx + x) * 3 + channel;
          input[at] = images[image * imagePx * imagePx * 3 + pixel] - options.mean[pixel];
        }
        const single = tf.tidy(() =>
          tf.softmax(net.predict(tf.tensor(input, [2, inputPx, inputPx, 3])) as tf.Tensor).dataSync(),
        );
        single.forEach((value, i) => {
          expected[i] += value / crops.length;
        });
      }
      assert.ok(
        worst(probabilities.data as Float32Array, expected) < 1e-5,
        `${name}, ${crops.length} crops: ${worst(probabilities.data as Float32Array, expected)}`,
      );
      await session.release();
      net.dispose();
    }
  });

  it('holds no Transpose between conv1 and fc6, one LRN a layer, and names as in the paper', async () => {
    const net = networkNamed('alexnet');
    const { model } = await exportClassifier(net, optionsFor('alexnet', 'tensor'));
    assert.deepEqual(model.operators, { Conv: 5, Relu: 7, LRN: 2, MaxPool: 3, Reshape: 1, Gemm: 3, Softmax: 1 });
    const { graph, irVersion, opsetImport } = onnx.ModelProto.decode(model.encode());
    assert.equal(Number(irVersion), 7);
    assert.deepEqual(
      opsetImport!.map(({ domain, version }) => [domain, Number(version)]),
      [['', 13]],
    );
    const outputs = graph!.node!.flatMap((node) => node.output!);
    for (const layer of [
      'conv1',
      'norm1',
      'pool1',
      'conv2',
      'norm2',
      'pool2',
      'conv3',
      'conv4',
      'conv5',
      'pool5',
      'fc6',
      'fc7',
      'logits',
      'probabilities',
    ]) {
      assert.ok(outputs.includes(layer), `no value ${layer} among ${outputs}`);
    }
    const shapes = Object.fromEntries(graph!.initializer!.map(({ name, dims }) => [name, dims!.map(Number)]));
    assert.deepEqual(shapes['conv2/kernel'], [16, 3, 5, 5]);
    assert.deepEqual(shapes['fc6/kernel'], [576, 256]);
    net.dispose();
  });

  it("writes LRN's alpha multiplied by the window, since ONNX divides it", async () => {
    const net = networkNamed('alexnet');
    const { model } = await exportClassifier(net, optionsFor('alexnet', 'tensor'));
    const lrn = onnx.ModelProto.decode(model.encode()).graph!.node!.find((node) => node.opType === 'LRN')!;
    const value = Object.fromEntries(
      lrn.attribute!.map((attribute) => [attribute.name, attribute.f || Number(attribute.i)]),
    );
    assert.deepEqual([value.size, value.beta, value.bias], [5, 0.75, 2]);
    assert.ok(Math.abs(value.alpha - 5e-4) < 1e-9, `alpha ${value.alpha}`);
    net.dispose();
  });

  it('gives the same with response normalisation as a band convolution, to 1e-6', async () => {
    for (const [name, inputPx] of [
      ['alexnet', 227],
      ['caffenet', 227],
      ['cifar10-11pct', 24],
    ] as const) {
      const net = buildNetwork(findNetwork(name), { classes: 4, seed: 3, width: inputPx === 227 ? 0.0625 : undefined });
      const images = numbers(2 * 3 * inputPx ** 2, 7).map((value) => value * 120);
      const input = new ort.Tensor('float32', images, [2, 3, inputPx, inputPx]);
      const logits: Float32Array[] = [];
      for (const lrn of ['op', 'conv'] as const) {
        const { model } = await exportClassifier(net, { ...optionsFor(name, 'tensor'), lrn });
        assert.equal(model.operators.LRN ?? 0, lrn === 'op' ? 2 : 0, name);
        const session = await ort.InferenceSession.create(model.encode());
        logits.push((await session.run({ input })).logits.data as Float32Array);
        await session.release();
      }
      assert.ok(worst(logits[1], logits[0]) < 1e-6, `${name}: ${worst(logits[1], logits[0])}`);
      net.dispose();
    }
  });

  it('is byte-identical when repeated and loads at every operator set', async () => {
    const net = networkNamed('cifar10-18pct');
    for (const opset of [13, 16, 17, 18, 20, 22]) {
      const exported = async () =>
        (await exportClassifier(net, optionsFor('cifar10-18pct', 'image', opset))).model.encode();
      const first = await exported();
      assert.ok(Buffer.from(first).equals(await exported()), `opset ${opset} differs`);
      await (await ort.InferenceSession.create(first)).release();
    }
    await assert.rejects(exportClassifier(net, optionsFor('cifar10-18pct', 'image', 12)), {
      name: 'UserError',
      message: 'opset: expected 13 to 22, got 12',
    });
    net.dispose();
  });

  it('leaves the model as it was and nothing in memory', async () => {
    const net = networkNamed('cifar10-18pct');
    const input = tf.tensor(numbers(32 * 32 * 3), [1, 32, 32, 3]);
    const before = (net.predict(input) as tf.Tensor).dataSync();
    const { numTensors } = tf.memory();
    await exportClassifier(net, optionsFor('cifar10-18pct', 'image'));
    assert.equal(tf.memory().numTensors, numTensors);
    assert.deepEqual((net.predict(input) as tf.Tensor).dataSync(), before);
    net.dispose();
  });

  it('names the kernel that has no lowering', async () => {
    class Tangent extends tfl.layers.Layer {
      static className = 'Tangent';
      override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
        return tf.tan(Array.isArray(inputs) ? inputs[0] : inputs);
      }
    }
    const net = tfl.sequential({ layers: [new Tangent({ inputShape: [6, 6, 3] })] });
    await assert.rejects(
      exportClassifier(net, { ...optionsFor('cifar10-18pct', 'tensor'), inputPx: 6 }),
      (error: Error) => {
        assert.ok(error instanceof UserError, String(error));
        assert.match(error.message, /no ONNX lowering for a tfjs kernel .*\n {2}Tan in /);
        return true;
      },
    );
    net.dispose();
  });

  it('refuses a program whose graph depends on data', async () => {
    const doubled = trace(([x]) => [x.dataSync()[0] > 0 ? x : tf.neg(x)], [{ shape: [2], dtype: 'float32' }]);
    await assert.rejects(doubled, { name: 'UserError', message: /read while the program was being traced/ });
    assert.equal(tf.sum(tf.tensor1d([1, 2])).dataSync()[0], 3);
  });
});

describe('metadata', () => {
  const metadata: ModelMetadata = {
    model: 'alexnet',
    head: 'image',
    labels,
    synsets: ['n1', 'n2', 'n3', 'n4'],
    imagePx: 256,
    inputPx: 227,
    crops: 10,
    meanRgb: [123.5, 117, 104],
    dataset: 'pictures',
    top1Error: 0.407,
    top5Error: 0.182,
    checkpoint: 'ab12',
    toolVersion: '0.1.0',
  };
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'alexnet-'));
  });
  after(() => rm(folder, { recursive: true }));

  it('survives the way through the file', async () => {
    const net = networkNamed('cifar10-18pct');
    const { imagePx, inputPx } = findNetwork('cifar10-18pct');
    const { model } = await exportClassifier(net, { ...optionsFor('cifar10-18pct', 'image'), metadata });
    const file = join(folder, 'a.onnx');
    await writeFile(file, model.encode());
    assert.deepEqual(await readMetadata(file), { ...metadata, imagePx, inputPx, crops: 2 });
    assert.deepEqual(propsToMetadata(metadataToProps(metadata), 'x'), metadata);
    net.dispose();
  });

  it('says what is wrong with a file', async () => {
    const write = async (name: string, contents: string | Uint8Array) => {
      await writeFile(join(folder, name), contents);
      return join(folder, name);
    };
    const other = onnx.ModelProto.encode({
      irVersion: 8,
      graph: { name: 'x' },
      metadataProps: [{ key: 'head', value: 'image' }],
    }).finish();
    const large = onnx.ModelProto.encode({ irVersion: 8, graph: { name: 'x'.repeat(5000) } }).finish();
    const cases: [string, RegExp][] = [
      [join(folder, 'absent.onnx'), /cannot be opened: no such file/],
      [await write('text.onnx', 'this is no model'), /not an ONNX file/],
      [await write('empty.onnx', ''), /not an ONNX file/],
      [await write('cut.onnx', large.subarray(0, 3000)), /cut short: expected at least \d+ bytes, got 3000/],
      [await write('other.onnx', other), /metadata labels, image_px, input_px missing/],
    ];
    for (const [file, message] of cases) await assert.rejects(readMetadata(file), { name: 'UserError', message });
  });
});
