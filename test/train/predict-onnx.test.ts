import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { onnx } from '../../onnx/file/onnx-proto.js';
import { onnxPredictor } from '../../train/evaluate/predict-onnx.js';
import { IMAGE_PX, tinySplit } from './tiny.js';

const { FLOAT, UINT8 } = onnx.TensorProto.DataType;

/** A classifier whose probabilities are the softmax of an image's mean red, green and blue. */
function meanColourModel(): Uint8Array {
  const info = (name: string, elemType: number, shape: (number | string)[]) => ({
    name,
    type: {
      tensorType: {
        elemType,
        shape: { dim: shape.map((d) => (typeof d === 'string' ? { dimParam: d } : { dimValue: d })) },
      },
    },
  });
  const ints = (name: string, values: number[]) => ({
    name,
    type: onnx.AttributeProto.AttributeType.INTS,
    ints: values,
  });
  const int = (name: string, i: number) => ({ name, type: onnx.AttributeProto.AttributeType.INT, i });
  const graph = {
    name: 'mean-colour',
    node: [
      { opType: 'Cast', input: ['image'], output: ['pixels'], attribute: [int('to', FLOAT)] },
      {
        opType: 'ReduceMean',
        input: ['pixels'],
        output: ['colour'],
        attribute: [ints('axes', [1, 2]), int('keepdims', 0)],
      },
      { opType: 'Softmax', input: ['colour'], output: ['probabilities'], attribute: [int('axis', 1)] },
    ],
    input: [info('image', UINT8, ['N', IMAGE_PX, IMAGE_PX, 3])],
    output: [info('probabilities', FLOAT, ['N', 3])],
  };
  return onnx.ModelProto.encode(
    onnx.ModelProto.fromObject({ irVersion: 7, opsetImport: [{ domain: '', version: 13 }], graph }),
  ).finish();
}

test('feeds whole images in the order asked for', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'alexnet-onnx-'));
  const file = join(folder, 'mean-colour.onnx');
  await writeFile(file, meanColourModel());
  const split = tinySplit(5, 'val');
  const geometry = { head: 'image', imagePx: IMAGE_PX, inputPx: IMAGE_PX, meanRgb: [0, 0, 0] } as const;
  const { predict, release } = await onnxPredictor(file, { ...geometry, meanRgb: [0, 0, 0] });
  const actual = await predict(Uint32Array.of(4, 1), split);
  await release();
  await rm(folder, { recursive: true });

  const expected = [4, 1].flatMap((index) => {
    const pixels = split.pixels(index, undefined as never);
    const means = [0, 1, 2].map((c) => pixels.filter((_, i) => i % 3 === c).reduce((a, b) => a + b, 0) / IMAGE_PX ** 2);
    const sum = means.reduce((total, mean) => total + Math.exp(mean), 0);
    return means.map((mean) => Math.exp(mean) / sum);
  });
  assert.equal(actual.length, 6);
  // means near 60 in float32 are good to 4e-6, and so are their exponentials relative to each other
  expected.forEach((value, i) => {
    assert.ok(Math.abs(actual[i] - value) < 2e-5, `value ${i}: expected ${value}, got ${actual[i]}`);
  });
});
