/** Programs and models that are easy to get wrong without a word. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import { exportOnnx, type InputSpec, type OnnxModel } from '../../export/index.js';
import * as ort from '../../onnx/onnxruntime.js';
import { numbers } from '../onnx/on-both.js';
import { withWeights } from './five-models.js';

const floats = (name: string, ...shape: (number | null)[]): InputSpec => ({ name, shape, dtype: 'float32' });
const rows: readonly InputSpec[] = [floats('x', null, 3)];

/** The file's outputs on these inputs, in its order of both. */
async function run(model: OnnxModel, ...inputs: [values: Float32Array, dims: number[]][]) {
  const session = await ort.InferenceSession.create(model.encode());
  const feeds = inputs.map(
    ([values, dims], i) => [session.inputNames[i], new ort.Tensor('float32', values, dims)] as const,
  );
  const results = await session.run(Object.fromEntries(feeds));
  await session.release();
  return session.outputNames.map((name) => results[name]);
}

function near(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++)
    assert.ok(Math.abs(actual[i] - expected[i]) <= 1e-5, `${i}: ${actual[i]} for ${expected[i]}`);
}

const sequential = (...layers: tfl.layers.Layer[]) => withWeights(tfl.sequential({ layers }));

describe('a free number of rows', () => {
  it('is refused where few rows are computed in another way than many', async () => {
    const padded = (x: tf.Tensor) =>
      x.shape[0] < 8
        ? tf.pad(x, [
            [0, 8 - x.shape[0]],
            [0, 0],
          ])
        : x;
    await assert.rejects(exportOnnx(padded, { inputs: rows }), { name: 'UserError', message: /shape \[8,3\] in tfjs/ });
    const branched = (x: tf.Tensor) => (x.shape[0] === 1 ? tf.add(x, 1) : tf.mul(x, 2));
    await assert.rejects(exportOnnx(branched, { inputs: rows }), {
      name: 'UserError',
      message: /differs from the tfjs model .* with 1 row/,
    });
    const large = (x: tf.Tensor) => (x.shape[0] > 100 ? tf.add(x, 1) : tf.mul(x, 2));
    await assert.rejects(exportOnnx(large, { inputs: rows }), /depends on the number of rows .*--batch/);
    assert.deepEqual((await exportOnnx(padded, { inputs: rows, batch: 2 })).parts.outputs[0].dims, [8, 3]);
  });
});

describe('height and width', () => {
  it('stay free where lengths follow them by whole numbers', async () => {
    const input = tfl.input({ shape: [null, null, 3] });
    const narrow = tfl.layers.conv2d({ filters: 4, kernelSize: 3, padding: 'valid' }).apply(input);
    const wide = tfl.layers.upSampling2d({ size: [2, 3] }).apply(narrow) as tfl.SymbolicTensor;
    const model = withWeights(tfl.model({ inputs: input, outputs: wide }));
    const exported = await exportOnnx(model);
    assert.deepEqual(exported.parts.inputs[0].dims, ['N', 'H', 'W', 3]);
    assert.deepEqual(exported.parts.outputs[0].dims, ['N', '2*H-4', '3*W-6', 4]);
    const values = numbers(2 * 9 * 11 * 3);
    const [output] = await run(exported, [values, [2, 9, 11, 3]]);
    assert.deepEqual(output.dims, [2, 14, 27, 4]);
    near(output.data as Float32Array, (model.predict(tf.tensor(values, [2, 9, 11, 3])) as tf.Tensor).dataSync());
  });

  it('stay free where strides divide them, odd or even', async () => {
    const input = tfl.input({ shape: [null, null, 3] });
    const layers = [
      tfl.layers.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same' }),
      tfl.layers.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' }),
      tfl.layers.depthwiseConv2d({ kernelSize: 3, strides: 2, padding: 'valid' }),
      tfl.layers.upSampling2d({ size: [2, 2] }),
      tfl.layers.averagePooling2d({ poolSize: 2, strides: 2, padding: 'same' }),
      tfl.layers.maxPooling2d({ poolSize: 1, strides: 2, padding: 'same' }),
      tfl.layers.conv2dTranspose({ filters: 2, kernelSize: 3, strides: 2, padding: 'same' }),
      tfl.layers.reshape({ targetShape: [-1, 2] }),
    ];
    const outputs = layers.reduce<tfl.SymbolicTensor>((x, layer) => layer.apply(x) as tfl.SymbolicTensor, input);
    const model = withWeights(tfl.model({ inputs: input, outputs }));
    const exported = await exportOnnx(model);
    assert.deepEqual(exported.parts.inputs[0].dims, ['N', 'H', 'W', 3]);
    const sizes = [
      [40, 41],
      [35, 38],
      [23, 64],
    ] as const;
    for (const [height, width] of sizes) {
      const values = numbers(2 * height * width * 3);
      const [output] = await run(exported, [values, [2, height, width, 3]]);
      const expected = model.predict(tf.tensor(values, [2, height, width, 3])) as tf.Tensor;
      assert.deepEqual(output.dims, expected.shape);
      near(output.data as Float32Array, expected.dataSync());
    }
  });

  it('are refused, with the flag that fixes them, where numbers of the graph depend on them', async () => {
    const scaled = (x: tf.Tensor) => tf.mul(x, Math.sqrt(x.shape[1]!));
    const halved = (x: tf.Tensor) => tf.image.resizeBilinear(x as tf.Tensor4D, [Math.ceil(x.shape[1]! / 2), 40]);
    await assert.rejects(exportOnnx(halved, { inputs: [floats('x', null, null, 40, 3)] }), {
      name: 'UserError',
      message: /^Resize: the graph depends on axis 1 of x /,
    });
    await assert.rejects(exportOnnx(scaled, { inputs: [floats('x', null, null, 3)] }), {
      name: 'UserError',
      message:
        /^Mul: the graph depends on axis 1 of x .*; give its length in inputShapes, e\.g\. --input-shape x=N,32,3/,
    });
  });
});

describe('what changes from call to call', () => {
  it('refuses random numbers, and keeps those with a seed', async () => {
    const noisy = (seed?: number) => (x: tf.Tensor) => tf.add(x, tf.randomNormal([3], 0, 1, 'float32', seed));
    for (const batch of [undefined, 2])
      await assert.rejects(exportOnnx(noisy(), { inputs: rows, batch }), {
        name: 'UserError',
        message: /^Add: the program draws random numbers, .* as an input, or a seed$/,
      });
    await assert.rejects(
      exportOnnx(() => tf.randomUniform([3]), { inputs: rows, batch: 1 }),
      /draws random numbers/,
    );
    assert.deepEqual((await exportOnnx(noisy(5), { inputs: rows })).operators, { Add: 1 });
  });

  it('refuses a program that assigns to a variable, and leaves the variable as it was', async () => {
    const total = tf.variable(tf.zeros([3]), true, 'total');
    const summing = (x: tf.Tensor) => {
      total.assign(tf.add(total, tf.sum(x, 0)));
      return tf.add(x, total);
    };
    await assert.rejects(exportOnnx(summing, { inputs: rows }), /assigns to the variable total/);
    assert.deepEqual([...total.dataSync()], [0, 0, 0]);
    total.dispose();
  });

  it("makes a stateful layer's state an input and an output, and leaves the model's as it is", async () => {
    const build = () =>
      sequential(
        tfl.layers.lstm({
          units: 4,
          stateful: true,
          recurrentInitializer: 'glorotUniform',
          batchInputShape: [2, 5, 3],
          name: 'memory',
        }),
      );
    const [model, fresh] = [build(), build()];
    const [first, second] = [numbers(30, 1), numbers(30, 2)];
    const predict = (network: tfl.LayersModel, values: Float32Array) =>
      (network.predict(tf.tensor(values, [2, 5, 3])) as tf.Tensor).dataSync();
    await tf.setBackend('cpu');
    predict(model, first);
    const exported = await exportOnnx(model, { opset: 17 });
    assert.deepEqual(
      [exported.parts.inputs, exported.parts.outputs].map((values) => values.map(({ name }) => name).slice(-2)),
      [
        ['memory_state0', 'memory_state1'],
        ['memory_state0_next', 'memory_state1_next'],
      ],
    );
    const zeros: [Float32Array, number[]] = [new Float32Array(8), [2, 4]];
    const [, h, c] = await run(exported, [first, [2, 5, 3]], zeros, zeros);
    const states = [h, c].map((state): [Float32Array, number[]] => [state.data as Float32Array, [2, 4]]);
    const [output] = await run(exported, [second, [2, 5, 3]], ...states);
    predict(fresh, first);
    const expected = predict(fresh, second);
    near(output.data as Float32Array, expected);
    near(predict(model, second), expected);
  });
});

describe('outputs', () => {
  it('may be inputs, and the same twice', async () => {
    const input = tfl.input({ shape: [4], name: 'numbers' });
    const same = await exportOnnx(tfl.model({ inputs: input, outputs: input }));
    assert.deepEqual([same.parts.inputs[0].name, same.parts.outputs[0].name], ['numbers', 'numbers_output']);
    const values = numbers(8);
    near((await run(same, [values, [2, 4]]))[0].data as Float32Array, values);
    const dense = tfl.layers.dense({ units: 3 }).apply(input) as tfl.SymbolicTensor;
    const twice = await run(await exportOnnx(tfl.model({ inputs: input, outputs: [dense, dense] })), [values, [2, 4]]);
    near(twice[0].data as Float32Array, twice[1].data as Float32Array);
  });

  it('may be those of inner layers', async () => {
    const model = sequential(
      tfl.layers.dense({ units: 5, inputShape: [4], name: 'inner' }),
      tfl.layers.dense({ units: 2, name: 'last' }),
    );
    const exported = await exportOnnx(model, { outputs: ['inner'] });
    assert.deepEqual(
      exported.parts.outputs.map(({ name, dims }) => [name, dims]),
      [['inner', ['N', 5]]],
    );
    await assert.rejects(exportOnnx(model, { outputs: ['iner'] }), /has no layer iner; it has 2, e\.g\. inner, last/);
  });

  it('of elu and selu may be too small for the 1 that onnxruntime subtracts', async () => {
    for (const activation of ['elu', 'selu'] as const) {
      for (const scale of [1e-5, 1e-7, 1e-9]) {
        const kernelInitializer = tfl.initializers.randomUniform({ minval: -scale, maxval: scale, seed: 3 });
        const dense = tfl.layers.dense({ units: 4, inputShape: [3], activation, kernelInitializer });
        assert.equal((await exportOnnx(tfl.sequential({ layers: [dense] }))).parts.outputs.length, 1);
      }
    }
  });

  it('of a sigmoid may be too small for a share of them to say anything', async () => {
    const model = tfl.sequential({
      layers: [
        tfl.layers.dense({
          units: 1,
          inputShape: [3],
          activation: 'sigmoid',
          kernelInitializer: 'zeros',
          biasInitializer: tfl.initializers.constant({ value: -18 }),
        }),
      ],
    });
    assert.deepEqual((await exportOnnx(model)).operators, { Gemm: 1, Sigmoid: 1 });
    const certainty = (x: tf.Tensor) => tf.mul(tf.sigmoid(tf.sub(x, 30)), tf.sigmoid(tf.sub(x, 18)));
    assert.equal((await exportOnnx(certainty, { inputs: rows })).operators.Mul, 1);
  });
});

describe('rows in the order of their scores', () => {
  const ranked = (scoreOf: (x: tf.Tensor) => tf.Tensor) => (x: tf.Tensor) => {
    const { values, indices } = tf.topk(scoreOf(x), 40);
    return [values, tf.gather(x, indices, 0)];
  };
  const options = { inputs: [floats('x', 40)], outputNames: ['scores', 'boxes'] };

  it('are compared as a set where scores tie', async () => {
    // Scores next to 1 are told apart by their last bits, which every implementation rounds in its own way.
    const model = await exportOnnx(
      ranked((x) => tf.sigmoid(tf.add(x, 15))),
      options,
    );
    assert.deepEqual(
      model.parts.outputs.map(({ name }) => name),
      options.outputNames,
    );
  });
});

describe('layers', () => {
  it('normalises over another axis than the last', async () => {
    for (const [axis, shape] of [
      [1, [3, 5, 7]],
      [2, [3, 5, 7]],
      [1, [5, 7]],
    ] as const) {
      const model = sequential(tfl.layers.batchNormalization({ axis, inputShape: [...shape] }));
      model.setWeights(model.getWeights().map((weight, i) => (i === 3 ? tf.add(tf.square(weight), 1) : weight)));
      const [gamma, beta, mean, variance] = model.getWeights().map((weight) => weight.dataSync());
      const size = shape.reduce<number>((product, length) => product * length, 2);
      const inner = shape.slice(axis).reduce((product, length) => product * length, 1);
      const values = numbers(size, 4);
      const expected = values.map((value, i) => {
        const c = Math.floor(i / inner) % shape[axis - 1];
        return ((value - mean[c]) / Math.sqrt(variance[c] + 1e-3)) * gamma[c] + beta[c];
      });
      const [output] = await run(await exportOnnx(model), [values, [2, ...shape]]);
      near(output.data as Float32Array, expected);
    }
  });

  it('encodes categories, and resizes what was rescaled', async () => {
    const words = Float32Array.of(1, 4, 1, 1, 0, 4, 0, 5, 2, 2, 0, 0);
    const expected = { multiHot: [1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1], count: [1, 3, 0, 0, 2, 0, 3, 0, 2, 0, 0, 1] };
    for (const [outputMode, counts] of Object.entries(expected)) {
      const encoding = tfl.layers.categoryEncoding({
        numTokens: 6,
        outputMode: outputMode as 'count',
        inputShape: [6],
      } as never);
      const [output] = await run(await exportOnnx(sequential(encoding)), [words, [2, 6]]);
      assert.deepEqual([...(output.data as Float32Array)], counts);
    }
    const resizing = sequential(
      tfl.layers.rescaling({ scale: 0.5, inputShape: [2, 2, 1] }),
      tfl.layers.resizing({ height: 4, width: 2, interpolation: 'nearest' }),
    );
    const [output] = await run(await exportOnnx(resizing), [Float32Array.of(2, 4, 6, 8), [1, 2, 2, 1]]);
    assert.deepEqual([...(output.data as Float32Array)], [1, 2, 1, 2, 3, 4, 3, 4]);
  });
});
