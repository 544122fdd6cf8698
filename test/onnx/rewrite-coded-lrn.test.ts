import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onnx } from '../../onnx/file/onnx-proto.js';
import * as ort from '../../onnx/onnxruntime.js';
import { rewriteCodedLrn } from '../../onnx/rewrite/coded-lrn.js';

const { FLOAT, UINT8 } = onnx.TensorProto.DataType;
const { INT, FLOAT: FLOAT_ATTRIBUTE } = onnx.AttributeProto.AttributeType;
type ModelProto = onnx.IModelProto;

/** Batch, channels, height, width. */
const SHAPE = [2, 7, 5, 3];
const ZERO = 20;
const CODES = Uint8Array.from({ length: 2 * 7 * 5 * 3 }, (_, i) => (i * 37 + (i >> 3)) % 256);

/** Codes → DequantizeLinear → LRN; `scale` is the step between two codes. */
function codedLrn({ scale, size }: { scale: number; size: number }) {
  const dim = SHAPE.map((dimValue) => ({ dimValue }));
  const value = (name: string, elemType: number) => ({ name, type: { tensorType: { elemType, shape: { dim } } } });
  const floats = { alpha: 0.01 * size, beta: 0.75, bias: 2 };
  return onnx.ModelProto.create({
    irVersion: 7,
    opsetImport: [{ domain: '', version: 13 }],
    graph: {
      name: 'g',
      input: [value('codes', UINT8)],
      output: [value('norm1', FLOAT)],
      valueInfo: [value('x', FLOAT)],
      initializer: [
        { name: 'scale', dims: [], dataType: FLOAT, rawData: new Uint8Array(Float32Array.of(scale).buffer) },
        { name: 'zero', dims: [], dataType: UINT8, rawData: Uint8Array.of(ZERO) },
      ],
      node: [
        { opType: 'DequantizeLinear', input: ['codes', 'scale', 'zero'], output: ['x'] },
        {
          opType: 'LRN',
          input: ['x'],
          output: ['norm1'],
          attribute: [
            { name: 'size', type: INT, i: size },
            ...Object.entries(floats).map(([name, f]) => ({ name, type: FLOAT_ATTRIBUTE, f })),
          ],
        },
      ],
    },
  });
}

/** By ONNX's text: the window reaches one channel further on the far side if its size is even. */
function expected(scale: number, size: number): Float32Array {
  const [, channels, height, width] = SHAPE;
  const inside = height * width;
  const x = Float32Array.from(CODES, (code) => scale * (code - ZERO));
  return x.map((value, i) => {
    const c = Math.floor(i / inside) % channels;
    let squares = 0;
    for (let j = c - Math.floor((size - 1) / 2); j <= c + Math.ceil((size - 1) / 2); j++)
      if (j >= 0 && j < channels) squares += x[i + (j - c) * inside] ** 2;
    return value / (2 + 0.01 * squares) ** 0.75;
  });
}

async function run(model: ModelProto): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(onnx.ModelProto.encode(model).finish(), { logSeverityLevel: 3 });
  const { norm1 } = await session.run({ codes: new ort.Tensor('uint8', CODES, SHAPE) });
  assert.deepEqual(norm1.dims, SHAPE);
  return norm1.data as Float32Array;
}

const ops = ({ graph }: ModelProto) => graph!.node!.map(({ opType }) => opType);

for (const { scale, size, codes, within } of [
  { scale: 0.03, size: 5, codes: true, within: 0.03 },
  { scale: 0.03, size: 4, codes: true, within: 0.03 },
  { scale: 3, size: 5, codes: false, within: 1e-5 }, // codes of squares would be too coarse
]) {
  test(`an LRN of codes with steps of ${scale} over ${size} channels: by ${codes ? 'integers' : 'float32'}, within ${within}`, async () => {
    const model = rewriteCodedLrn(codedLrn({ scale, size }));
    assert.ok(!ops(model).includes('LRN'));
    assert.equal(ops(model).includes('QuantizeLinear'), codes);
    assert.equal(ops(model).filter((op) => op === 'DequantizeLinear').length, codes ? 3 : 1); // of x once
    const wanted = expected(scale, size);
    const far = (await run(model)).map((value, i) => Math.abs(value - wanted[i]) / (Math.abs(wanted[i]) || 1));
    assert.ok(Math.max(...far) <= within, `largest relative difference ${Math.max(...far)}`);
  });
}

test('keeps the decoded numbers for others that read them, and an LRN of float32 as it is', async () => {
  const model = codedLrn({ scale: 0.03, size: 5 });
  model.graph!.output!.push({ ...model.graph!.output![0], name: 'x' });
  assert.equal(ops(rewriteCodedLrn(model)).filter((op) => op === 'DequantizeLinear').length, 4);
  const plain = codedLrn({ scale: 0.03, size: 5 });
  plain.graph!.node![0].opType = 'Cast';
  assert.ok(ops(rewriteCodedLrn(plain)).includes('LRN'));
});
