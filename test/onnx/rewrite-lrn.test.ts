import assert from 'node:assert/strict';
import { test } from 'node:test';
import { random } from '../../base/random.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import * as ort from '../../onnx/onnxruntime.js';
import { rewriteLrn } from '../../onnx/rewrite/lrn.js';

const { FLOAT } = onnx.TensorProto.DataType;
const { INT, FLOAT: FLOAT_ATTRIBUTE } = onnx.AttributeProto.AttributeType;

/** Batch, channels, height, width of the normalised tensor. */
const SHAPE = [2, 7, 5, 3];

interface Lrn {
  alpha?: number;
  beta?: number;
  bias?: number;
  size: number;
}

/** Conv 4 → 7 channels, Relu, LRN; the shapes in between are not stated. */
function convReluLrn(lrn: Lrn) {
  const stream = random('kernel');
  const kernel = Float32Array.from({ length: 7 * 4 }, () => stream.normal());
  const value = (name: string, channels: number) => {
    const dim = [2, channels, 5, 3].map((dimValue) => ({ dimValue }));
    return { name, type: { tensorType: { elemType: FLOAT, shape: { dim } } } };
  };
  const { size, ...floats } = lrn;
  const attribute = [
    { name: 'size', type: INT, i: size },
    ...Object.entries(floats).map(([name, f]) => ({ name, type: FLOAT_ATTRIBUTE, f })),
  ];
  return onnx.ModelProto.create({
    irVersion: 7,
    opsetImport: [{ domain: '', version: 13 }],
    graph: {
      name: 'g',
      input: [value('x', 4)],
      output: [value('norm1', 7)],
      initializer: [{ name: 'kernel', dims: [7, 4, 1, 1], dataType: FLOAT, rawData: new Uint8Array(kernel.buffer) }],
      node: [
        { opType: 'Conv', input: ['x', 'kernel'], output: ['conv1'] },
        { opType: 'Relu', input: ['conv1'], output: ['relu1'] },
        { opType: 'LRN', input: ['relu1'], output: ['norm1'], attribute },
      ],
    },
  });
}

type ModelProto = onnx.IModelProto;

async function run(model: ModelProto): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(onnx.ModelProto.encode(model).finish(), { logSeverityLevel: 3 });
  const stream = random('activations');
  const x = Float32Array.from({ length: 2 * 4 * 5 * 3 }, () => 20 * stream.normal());
  const { norm1 } = await session.run({ x: new ort.Tensor('float32', x, [2, 4, 5, 3]) });
  assert.deepEqual(norm1.dims, SHAPE);
  return norm1.data as Float32Array;
}

function largestRelativeDifference(a: Float32Array, b: Float32Array): number {
  return Math.max(...a.map((value, i) => (value === b[i] ? 0 : Math.abs(value - b[i]) / Math.abs(value))));
}

const ops = (model: ModelProto) => model.graph?.node?.map(({ opType }) => opType);

for (const [name, lrn] of Object.entries({
  "the paper's constants": { size: 5, alpha: 5e-4, beta: 0.75, bias: 2 },
  'ONNX defaults and a window that reaches over the edges': { size: 11 },
  'a power other than 0.75': { size: 3, alpha: 0.01, beta: 0.6, bias: 1 },
})) {
  test(`gives what onnxruntime's LRN gives, with ${name}`, async () => {
    const before = convReluLrn(lrn);
    const { model, rewritten } = rewriteLrn(before);
    assert.equal(rewritten, 1);
    assert.ok(!ops(model)?.includes('LRN'));
    // float32 sums over at most 11 squares and two roots, each exact to 6e-8.
    const difference = largestRelativeDifference(await run(before), await run(model));
    assert.ok(difference < 1e-6, `largest relative difference ${difference}`);
  });
}

test('takes an even window, which onnxruntime refuses, as the ONNX text defines it: one channel more on the far side', async () => {
  const { model } = rewriteLrn(convReluLrn({ size: 4, alpha: 0.3, beta: 0.75, bias: 1.5 }));
  model.graph!.output!.push({ ...model.graph!.output![0], name: 'relu1' });
  const session = await ort.InferenceSession.create(onnx.ModelProto.encode(model).finish(), { logSeverityLevel: 3 });
  const x = Float32Array.from({ length: 2 * 4 * 5 * 3 }, (_, i) => ((i * 37) % 23) - 11);
  const { norm1, relu1 } = await session.run({ x: new ort.Tensor('float32', x, [2, 4, 5, 3]) });
  const [a, b] = [relu1.data as Float32Array, norm1.data as Float32Array];
  for (let n = 0; n < 2; n++) {
    for (let c = 0; c < 7; c++) {
      for (let place = 0; place < 15; place++) {
        let squares = 0;
        for (const j of [c - 1, c, c + 1, c + 2]) if (j >= 0 && j < 7) squares += a[(n * 7 + j) * 15 + place] ** 2;
        const i = (n * 7 + c) * 15 + place;
        const expected = a[i] / (1.5 + (0.3 / 4) * squares) ** 0.75;
        assert.ok(
          Math.abs(b[i] - expected) <= 1e-6 * Math.abs(expected),
          `${b[i]}, expected ${expected} at ${[n, c, place]}`,
        );
      }
    }
  }
});

test('computes the power 0.75 by square roots and others by Pow', () => {
  assert.deepEqual(ops(rewriteLrn(convReluLrn({ size: 5 })).model), [
    'Conv',
    'Relu',
    'Mul',
    'Conv',
    'Sqrt',
    'Sqrt',
    'Mul',
    'Div',
  ]);
  assert.deepEqual(ops(rewriteLrn(convReluLrn({ size: 5, beta: 0.5 })).model), [
    'Conv',
    'Relu',
    'Mul',
    'Conv',
    'Pow',
    'Div',
  ]);
});

test('leaves the model it was given as it was', () => {
  const before = convReluLrn({ size: 5 });
  const bytes = onnx.ModelProto.encode(before).finish();
  rewriteLrn(before);
  assert.deepEqual(onnx.ModelProto.encode(before).finish(), bytes);
});

test('takes the number of channels from stated shapes if no convolution tells it', () => {
  const model = convReluLrn({ size: 5 });
  model.graph!.node!.splice(0, 2);
  model.graph!.node![0].input = ['x'];
  const kernel = rewriteLrn(model).model.graph?.initializer?.find(({ name }) => name === 'norm1/band');
  assert.deepEqual(kernel?.dims, [4, 4, 1, 1]);
});

test('leaves an LRN alone whose number of channels cannot be told', () => {
  const model = convReluLrn({ size: 5 });
  model.graph!.node![1].opType = 'Abs';
  const { rewritten, model: after } = rewriteLrn(model);
  assert.equal(rewritten, 0);
  assert.deepEqual(ops(after), ['Conv', 'Abs', 'LRN']);
});
