import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import { openStrict } from '../../export/check/open-strict.js';
import { exportOnnx, type OnnxOptions } from '../../export/index.js';
import type { OnnxModel } from '../../onnx/file/onnx-model.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import * as ort from '../../onnx/onnxruntime.js';
import { numbers } from '../onnx/on-both.js';
import { MODELS, withWeights } from './five-models.js';

/** What the file gives and what tfjs's cpu backend gives, for `rows` rows, output by output. */
async function bothWays(model: tfl.LayersModel, exported: OnnxModel, rows: number, nchw = false) {
  const shapes = model.inputs.map(({ shape }) => shape.map((length) => length ?? rows));
  const words = model.name === 'recurrent';
  const data = shapes.map((shape, i) => {
    const values = numbers(tf.util.sizeFromShape(shape), i + rows);
    return words ? values.map((value) => Math.abs(Math.round(value * 9))) : values;
  });
  await tf.setBackend('cpu');
  const turned = (tensor: tf.Tensor) => (nchw && tensor.rank === 4 ? tf.transpose(tensor, [0, 3, 1, 2]) : tensor);
  const inputs = shapes.map((shape, i) => tf.tensor(data[i], shape));
  const fed = inputs.map(turned).map((tensor) => new ort.Tensor('float32', tensor.dataSync(), tensor.shape));
  const expected = ([] as tf.Tensor[]).concat(model.predict(inputs) as tf.Tensor[]).map(turned);
  const session = await openStrict(exported.encode()); // shapes are stated, and are those that onnxruntime infers
  assert.equal(
    exported.parts.valueInfo!.length,
    exported.parts.nodes.flatMap(({ outputs }) => outputs).length - exported.parts.outputs.length,
  );
  const results = await session.run(Object.fromEntries(session.inputNames.map((name, i) => [name, fed[i]])));
  const actual = session.outputNames.map((name) => results[name]);
  await session.release();
  return expected.map((tensor, i) => ({
    shapes: [tensor.shape, actual[i].dims],
    expected: tensor.dataSync(),
    actual: actual[i].data as Float32Array,
  }));
}

/** Largest difference as a share of the largest value. */
function difference(expected: ArrayLike<number>, actual: ArrayLike<number>): number {
  let [most, far] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    most = Math.max(most, Math.abs(expected[i]));
    far = Math.max(far, Math.abs(expected[i] - actual[i]));
  }
  assert.ok(most > 0, 'all outputs are zero');
  return far / most;
}

async function sameOutputs(model: tfl.LayersModel, options: OnnxOptions, nchw = false): Promise<OnnxModel> {
  const exported = await exportOnnx(model, options);
  for (const rows of [1, 3]) {
    for (const { shapes, expected, actual } of await bothWays(model, exported, rows, nchw)) {
      assert.deepEqual(shapes[1], shapes[0]);
      const far = difference(expected, actual);
      // 1e-4: float32 sums whose terms cancel, in two orders.
      assert.ok(far < 1e-4, `${model.name}, ${rows} rows: ${far}`);
    }
  }
  return exported;
}

describe('any layers model as an ONNX file', () => {
  for (const [name, build] of Object.entries(MODELS)) {
    it(`${name}: the outputs of tfjs's cpu backend at opsets 13, 17 and 22, for any batch`, async () => {
      const model = withWeights(build());
      for (const opset of [13, 17, 22]) {
        const exported = await sameOutputs(model, { opset });
        const { operators } = exported;
        for (const gone of ['BatchNormalization', 'Identity', 'Dropout', 'Cast'])
          if (name !== 'recurrent' && name !== 'twoInputs')
            assert.equal(operators[gone], undefined, `${gone} at opset ${opset}`);
        const images = model.inputs.some(({ shape }) => shape.length === 4);
        if (images) assert.ok((operators.Transpose ?? 0) <= 2, `${operators.Transpose} transposes`);
        const graph = onnx.ModelProto.decode(exported.encode()).graph!;
        const lengths = graph.input!.map(({ type }) => type!.tensorType!.shape!.dim![0].dimParam);
        assert.ok(lengths.every((length) => length === 'N'));
      }
      model.dispose();
    });
  }

  it('takes images channels first if that is asked for, without a transpose', async () => {
    const model = withWeights(MODELS.residual());
    const { operators } = await sameOutputs(model, { layout: 'nchw' }, true);
    assert.equal(operators.Transpose, undefined);
    model.dispose();
    // Joined with a vector after it was flattened, an image has to be in the model's order once.
    const two = withWeights(MODELS.twoInputs());
    assert.equal((await sameOutputs(two, { layout: 'nchw' }, true)).operators.Transpose, 1);
    two.dispose();
  });

  it('folds batch normalisation into the convolution before it and names initialisers after the layers', async () => {
    const model = withWeights(MODELS.mobile());
    const exported = await exportOnnx(model);
    assert.deepEqual(exported.operators, {
      Transpose: 1,
      Conv: 6,
      Clip: 5,
      ReduceMean: 1,
      Reshape: 2,
      Softmax: 1,
    });
    const names = onnx.ModelProto.decode(exported.encode()).graph!.initializer!.map(({ name }) => name!);
    const weights = names.filter((name) => name.includes('/'));
    assert.equal(weights.length, 12, names.join());
    for (const layer of ['conv2d_Conv2D', 'depthwise_conv2d_DepthwiseConv2D'])
      assert.ok(
        weights.some((name) => name.startsWith(layer)),
        weights.join(),
      );
    model.dispose();
  });

  it('exports a function of tensors', async () => {
    const weights = tf.tensor2d(numbers(35), [5, 7]);
    const exported = await exportOnnx((x, y) => [tf.relu(tf.matMul(x, weights)), tf.sum(y, 1)], {
      inputs: [
        { name: 'x', shape: [null, 5], dtype: 'float32' },
        { name: 'y', shape: [null, 3, 2], dtype: 'int32' },
      ],
      outputNames: ['product', 'total'],
      metadata: { author: 'a test' },
    });
    const session = await ort.InferenceSession.create(exported.encode());
    const x = numbers(10, 3);
    const { product, total } = await session.run({
      x: new ort.Tensor('float32', x, [2, 5]),
      y: new ort.Tensor(
        'int32',
        Int32Array.from({ length: 12 }, (_, i) => i),
        [2, 3, 2],
      ),
    });
    const expected = Float32Array.from({ length: 14 }, (_, i) => {
      const [row, column] = [Math.floor(i / 7), i % 7];
      const sum = [0, 1, 2, 3, 4].reduce((s, k) => s + x[row * 5 + k] * numbers(35)[k * 7 + column], 0);
      return Math.max(0, sum);
    });
    assert.ok(difference(expected, product.data as Float32Array) < 1e-6);
    assert.deepEqual([...(total.data as Int32Array)], [6, 9, 24, 27]);
    assert.deepEqual(total.dims, [2, 2]);
    const { metadataProps } = onnx.ModelProto.decode(exported.encode());
    assert.deepEqual(
      metadataProps!.map(({ key, value }) => [key, value]),
      [['author', 'a test']],
    );
    await session.release();
  });

  it('keeps what it stored when the model is trained on after the export', async () => {
    await tf.setBackend('onnxruntime');
    const model = tfl.sequential({ layers: [tfl.layers.dense({ units: 3, inputShape: [4] })] });
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const data = [tf.tensor2d(numbers(20), [5, 4]), tf.tensor2d(numbers(15, 2), [5, 3])];
    await model.fit(data[0], data[1], { epochs: 2 });
    const exported = await exportOnnx(model);
    const before = exported.encode();
    await model.fit(data[0], data[1], { epochs: 3 });
    assert.ok(Buffer.from(before).equals(exported.encode()));
  });

  it('is byte-identical on repetition', async () => {
    for (const build of Object.values(MODELS)) {
      const [first, again] = [withWeights(build()), withWeights(build())];
      const bytes = (await exportOnnx(first)).encode();
      assert.ok(Buffer.from(bytes).equals((await exportOnnx(first)).encode()), first.name);
      first.dispose();
      again.dispose();
    }
  });
});

describe('what cannot be exported', () => {
  it('lists every kernel without a rule at once, with the layers that call it', async () => {
    class Counts extends tfl.layers.Layer {
      static className = 'Counts';
      override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
        return tf.tan(tf.atan([inputs].flat()[0]));
      }
    }
    class Spectrum extends tfl.layers.Layer {
      static className = 'Spectrum';
      override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
        return tf.real(tf.spectral.fft(tf.complex([inputs].flat()[0], tf.zerosLike([inputs].flat()[0]))));
      }
    }
    const model = tfl.sequential({
      layers: [
        new Counts({ inputShape: [4], name: 'first' }),
        new Spectrum({ name: 'second' }),
        new Counts({ name: 'third' }),
      ],
    });
    await assert.rejects(exportOnnx(model), (error: Error) => {
      assert.equal(error.name, 'UserError');
      assert.match(error.message, / {2}Tan in first, third/);
      assert.match(error.message, / {2}Complex in second/);
      assert.match(error.message, / {2}FFT in second/);
      return true;
    });
  });

  it('takes the length of a free axis', async () => {
    const input = tfl.input({ shape: [null, 6] });
    const output = tfl.layers.conv1d({ filters: 3, kernelSize: 2 }).apply(input) as tfl.SymbolicTensor;
    const model = tfl.model({ inputs: input, outputs: output });
    await assert.rejects(exportOnnx(model, { inputShapes: { '': [null, 8, 5] } }), /does not fit the model's/);
    const exported = await exportOnnx(model, { inputShapes: { '': [null, 8, 6] } });
    assert.deepEqual(exported.parts.outputs[0].dims, ['N', 7, 3]);
  });

  it('names the weight that holds NaN', async () => {
    const model = MODELS.perceptron();
    model.setWeights(model.getWeights().map((weight, i) => (i === 2 ? tf.mul(weight, Number.NaN) : weight)));
    await assert.rejects(exportOnnx(model), { name: 'UserError', message: /weight \S+ holds NaN or infinity/ });
  });

  it('refuses a graph that depends on the number of rows, and exports it for a fixed number', async () => {
    const ranks = (x: tf.Tensor) => tf.mul(x, tf.reshape(tf.range(0, x.shape[0]), [-1, 1]));
    const inputs = [{ name: 'x', shape: [null, 3], dtype: 'float32' as const }];
    await assert.rejects(exportOnnx(ranks, { inputs }), {
      name: 'UserError',
      message: /depends on the number of rows/,
    });
    const exported = await exportOnnx(ranks, { inputs, batch: 4 });
    assert.deepEqual(exported.parts.inputs[0].dims, [4, 3]);
  });

  it('says which kernel needs a later operator set', async () => {
    const scattered = (x: tf.Tensor) => tf.scatterND(tf.tensor2d([[1], [1]], [2, 1], 'int32'), x, [4, 3]);
    const inputs = [{ name: 'x', shape: [2, 3], dtype: 'float32' as const }];
    await assert.rejects(exportOnnx(scattered, { inputs, opset: 13 }), /opset 13 is too old .* ScatterNd needs 16/);
    assert.equal((await exportOnnx(scattered, { inputs, opset: 16 })).parts.opset, 16);
  });
});
