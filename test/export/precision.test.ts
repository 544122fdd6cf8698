import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import { exportOnnx, type Feeds, type OnnxModel, quantize, toFloat16 } from '../../export/index.js';
import { Histogram } from '../../export/precision/calibrate.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import * as ort from '../../onnx/onnxruntime.js';
import { numbers } from '../onnx/on-both.js';
import { MODELS, withWeights } from './five-models.js';

const { DataType } = onnx.TensorProto;

/** Rows of numbers for a model's only input. */
function feedsFor({ parts }: OnnxModel, count: number): Feeds {
  const [{ name, dims }] = parts.inputs;
  const size = dims.slice(1).reduce<number>((product, length) => product * Number(length), 1);
  const rows = Array.from({ length: count }, (_, i) => numbers(size, i + 1));
  return {
    count,
    at: (first, n) => {
      const data = Float32Array.from(rows.slice(first, first + n).flatMap((row) => [...row]));
      return { [name]: new ort.Tensor('float32', data, [n, ...dims.slice(1).map(Number)]) };
    },
  };
}

async function outputs(model: OnnxModel, feeds: Feeds): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(model.encode(), { logSeverityLevel: 3 });
  const result = (await session.run(await feeds.at(0, feeds.count)))[session.outputNames[0]];
  await session.release();
  assert.equal(result.type, 'float32');
  return result.data as Float32Array;
}

function relativeDifference(expected: Float32Array, actual: Float32Array): number {
  const most = expected.reduce((m, value) => Math.max(m, Math.abs(value)), 0);
  return expected.reduce((m, value, i) => Math.max(m, Math.abs(value - actual[i])), 0) / most;
}

const initializers = (model: OnnxModel) =>
  new Map(onnx.ModelProto.decode(model.encode()).graph!.initializer!.map((tensor) => [tensor.name!, tensor]));

describe('half precision', () => {
  for (const name of ['mobile', 'residual', 'inception', 'perceptron'] as const) {
    it(`${name}: float16 weights, inputs and outputs as they were, numbers within float16's digits`, async () => {
      const model = withWeights(MODELS[name]());
      for (const opset of [13, 22]) {
        const exported = await exportOnnx(model, { opset });
        const half = toFloat16(exported);
        const feeds = feedsFor(exported, 3);
        const far = relativeDifference(await outputs(exported, feeds), await outputs(half, feeds));
        assert.ok(far > 0 && far < 0.01, `difference ${far}`); // 11 bits, a few layers deep
        const weights = [...initializers(half)].filter(([tensor]) => tensor.includes('/kernel'));
        assert.ok(weights.length > 0 && weights.every(([, { dataType }]) => dataType === DataType.FLOAT16));
        assert.ok((half.operators.Cast ?? 0) <= 5, `${half.operators.Cast} casts`);
      }
      model.dispose();
    });
  }

  it('names a weight that float16 cannot hold', async () => {
    const model = tfl.sequential({ layers: [tfl.layers.dense({ units: 2, inputShape: [3] })] });
    model.setWeights([tf.fill([3, 2], 7e4), tf.zeros([2])]);
    const exported = await exportOnnx(model);
    assert.throws(() => toFloat16(exported).encode(), {
      name: 'UserError',
      message: /kernel: holds 70000, which float16/,
    });
  });
});

describe('eight bits', () => {
  for (const name of ['mobile', 'residual', 'perceptron'] as const) {
    for (const method of ['entropy', 'percentile', 'minmax'] as const) {
      it(`${name}, ${method}: close to float32 on the images it was calibrated on`, async () => {
        const model = withWeights(MODELS[name]());
        const exported = await exportOnnx(model);
        const feeds = feedsFor(exported, 8);
        const options = { method, reduceRange: false, keepFloat: [] };
        const quantized = await quantize(exported, feeds, options);
        const far = relativeDifference(await outputs(exported, feeds), await outputs(quantized, feeds));
        // 1/255 of the range a layer, which random weights let add up
        assert.ok(far > 0 && far < 0.15, `difference ${far}`);
        assert.ok((quantized.operators.QuantizeLinear ?? 0) >= 2);
        model.dispose();
      });
    }
  }

  it('scales weights a channel, in seven bits if asked, and leaves out the layers to keep', async () => {
    const model = tfl.sequential({
      layers: [
        tfl.layers.dense({ name: 'first', units: 2, inputShape: [3], activation: 'relu' }),
        tfl.layers.dense({ name: 'second', units: 4 }),
      ],
    });
    const kernel = [1, -20, -4, 11, 3, 5]; // [3, 2]: the channels' largest are 4 and 20
    model.setWeights([
      tf.tensor2d(kernel, [3, 2]),
      tf.tensor1d([0.5, -1]),
      tf.tensor2d(numbers(8), [2, 4]),
      tf.zeros([4]),
    ]);
    const exported = await exportOnnx(model);
    const feeds: Feeds = {
      count: 1,
      at: () => ({ [exported.parts.inputs[0].name]: new ort.Tensor('float32', Float32Array.of(-1, 0, 1.55), [1, 3]) }),
    };
    for (const [reduceRange, most] of [
      [false, 127],
      [true, 63],
    ] as const) {
      const quantized = await quantize(exported, feeds, { method: 'minmax', reduceRange, keepFloat: ['second'] });
      const stored = initializers(quantized);
      const codes = stored.get('first/kernel/int8')!;
      assert.equal(codes.dataType, DataType.INT8);
      const expected = kernel.map((value, i) => Math.round((value / (i % 2 === 0 ? 4 : 20)) * most));
      assert.deepEqual([...new Int8Array(Uint8Array.from(codes.rawData!).buffer)], expected);
      const floats = (tensor: string) => new Float32Array(Uint8Array.from(stored.get(tensor)!.rawData!).buffer);
      assert.deepEqual([...floats('first/kernel/scale')], [Math.fround(4 / most), Math.fround(20 / most)]);
      const input = exported.parts.inputs[0].name;
      assert.equal(floats(`${input}/scale`)[0], Math.fround(2.55 / 255)); // −1 … 1.55
      assert.deepEqual([...stored.get(`${input}/zero_point`)!.rawData!], [100]);
      assert.ok(!stored.has('second/kernel/int8') && stored.has('second/kernel'));
    }
  });

  it('keeps the bias of a channel whose weights have all but vanished', async () => {
    for (const weight of [0, 1e-6, 1e-12, 1e-30]) {
      const model = tfl.sequential({ layers: [tfl.layers.dense({ units: 2, inputShape: [4] })] });
      const kernel = numbers(8).map((value, i) => (i % 2 === 0 ? value : weight));
      model.setWeights([tf.tensor2d(kernel, [4, 2]), tf.tensor1d([0.5, -3])]);
      const exported = await exportOnnx(model);
      const feeds = feedsFor(exported, 4);
      const options = { method: 'minmax', reduceRange: false, keepFloat: [] } as const;
      const quantized = await outputs(await quantize(exported, feeds, options), feeds);
      const far = relativeDifference(await outputs(exported, feeds), quantized);
      assert.ok(far < 0.01, `weights of ${weight}: difference ${far}`);
      model.dispose();
    }
  });

  it('cuts off what is rare', () => {
    const histogram = new Histogram({ min: -2, max: 100 });
    histogram.add(Float32Array.from({ length: 20_000 }, (_, i) => (i === 7 ? 100 : (i % 100) / 50 - 1)));
    const { min, max } = histogram.most(0.999);
    assert.equal(min, -max);
    assert.ok(max >= 1 && max < 1.1, `${max}`);
    const divergent = histogram.leastDivergence();
    assert.ok(divergent.max < 10, `${divergent.max}`);
    assert.equal(divergent.min, -2);
  });
});
