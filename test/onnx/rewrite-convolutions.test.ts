import assert from 'node:assert/strict';
import { test } from 'node:test';
import { random } from '../../base/random.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import * as ort from '../../onnx/onnxruntime.js';
import { rewriteConvolutions } from '../../onnx/rewrite/convolutions.js';

const { FLOAT } = onnx.TensorProto.DataType;
const { INT, INTS } = onnx.AttributeProto.AttributeType;

interface Grouped {
  groups: number;
  /** Channels that a group takes and gives. */
  from: number;
  to: number;
  bias?: boolean;
  opset?: number;
}

const noise = (name: string, length: number) => {
  const stream = random(name);
  return Float32Array.from({ length }, () => stream.normal());
};

/** One Conv of 3 × 2, stride 2 × 1, on [2, channels, 7, 5]. */
function grouped({ groups, from, to, bias = true, opset = 13 }: Grouped) {
  const value = (name: string, dims: number[]) => ({
    name,
    type: { tensorType: { elemType: FLOAT, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
  });
  const stored = (name: string, dims: number[]) => {
    const values = noise(
      name,
      dims.reduce((product, length) => product * length),
    );
    return { name, dims, dataType: FLOAT, rawData: new Uint8Array(values.buffer) };
  };
  const attribute = [
    { name: 'group', type: INT, i: groups },
    { name: 'kernel_shape', type: INTS, ints: [3, 2] },
    { name: 'strides', type: INTS, ints: [2, 1] },
    { name: 'pads', type: INTS, ints: [1, 0, 1, 1] },
  ];
  const all = groups * to;
  return onnx.ModelProto.create({
    irVersion: 8,
    opsetImport: [{ domain: '', version: opset }],
    graph: {
      name: 'g',
      input: [value('x', [2, groups * from, 7, 5])],
      output: [value('y', [2, all, 4, 5])],
      initializer: [stored('kernel', [all, from, 3, 2]), ...(bias ? [stored('bias', [all])] : [])],
      node: [{ opType: 'Conv', input: ['x', 'kernel', ...(bias ? ['bias'] : [])], output: ['y'], attribute }],
    },
  });
}

type ModelProto = import('onnx-proto').onnx.IModelProto;

async function run(model: ModelProto, channels: number): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(onnx.ModelProto.encode(model).finish(), { logSeverityLevel: 3 });
  const x = new ort.Tensor('float32', noise('x', 2 * channels * 35), [2, channels, 7, 5]);
  const { y } = await session.run({ x });
  await session.release();
  return y.data as Float32Array;
}

const operators = (model: ModelProto) => model.graph?.node?.map(({ opType }) => opType);

for (const shape of [
  { groups: 2, from: 4, to: 6 },
  { groups: 4, from: 2, to: 5, bias: false },
  { groups: 2, from: 3, to: 5, opset: 18 },
]) {
  const { groups, from, to } = shape;
  test(`splits ${groups} groups of ${to} channels, and gives the same numbers`, async () => {
    const before = grouped(shape);
    const after = rewriteConvolutions(before);
    assert.equal(operators(after)?.filter((op) => op === 'Conv').length, groups);
    const [expected, actual] = [await run(before, groups * from), await run(after, groups * from)];
    // float32 sums over at most 24 products, in another order
    const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i])), 0);
    assert.ok(worst < 1e-5, `differ by ${worst}`);
  });
}

for (const shape of [
  { groups: 1, from: 6, to: 4 },
  { groups: 1, from: 9, to: 5, bias: false },
  { groups: 2, from: 6, to: 6, opset: 18 },
]) {
  const { groups, from } = shape;
  test(`fills ${from} channels of ${groups} group(s) up with zeros, and gives the same numbers`, async () => {
    const before = grouped(shape);
    const after = rewriteConvolutions(before);
    assert.equal(operators(after)?.filter((op) => op === 'Pad').length, 2 * groups);
    const [expected, actual] = [await run(before, groups * from), await run(after, groups * from)];
    const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i])), 0);
    assert.ok(worst < 1e-5, `differ by ${worst}`);
  });
}

for (const [why, shape] of Object.entries({
  'whole vectors of 4 channels': { groups: 2, from: 3, to: 8 },
  'groups of fewer than 4 channels': { groups: 4, from: 1, to: 3 },
  'no vectors, for their number is odd': { groups: 3, from: 2, to: 5 },
  'a single group': { groups: 1, from: 4, to: 6 },
})) {
  test(`leaves a convolution as it is that has ${why}`, () => {
    assert.deepEqual(operators(rewriteConvolutions(grouped(shape))), ['Conv']);
  });
}
