import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { toFloat16 } from '../../export/index.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import * as ort from '../../onnx/onnxruntime.js';
import { partsOf, splitCrops } from '../../onnx/rewrite/crops.js';
import { rewriteFor } from '../../onnx/rewrite/for-provider.js';
import { writeNetwork } from '../serve/network-file.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-parts-'));
after(() => rmSync(folder, { recursive: true }));
type ModelProto = onnx.IModelProto;

async function answers(model: ModelProto, px: number): Promise<ort.Tensor> {
  const session = await ort.InferenceSession.create(onnx.ModelProto.encode(model).finish(), { logSeverityLevel: 3 });
  const pixels = Uint8Array.from({ length: 2 * px * px * 3 }, (_, i) => (i * 7919) % 251);
  const { probabilities } = await session.run({ image: new ort.Tensor('uint8', pixels, [2, px, px, 3]) });
  await session.release();
  return probabilities;
}

const count = ({ graph }: ModelProto, op: string) => graph!.node!.filter(({ opType }) => opType === op).length;

for (const [name, px, convolutions] of [
  ['alexnet', 256, 5],
  ['cifar10-11pct', 32, 2], // then layers that turn the batch axis inward
] as const) {
  test(`${name}: ten crops of two images in five parts give the same bits as at once`, async () => {
    const file = await writeNetwork(join(folder, `${name}.onnx`), name, 10);
    const whole = rewriteFor('cpu', onnx.ModelProto.decode(readFileSync(file)));
    const before = onnx.ModelProto.encode(whole).finish();
    const parts = splitCrops(whole, 5);
    assert.deepEqual(onnx.ModelProto.encode(whole).finish(), before);
    const perImage = count(whole, 'Conv');
    assert.ok(perImage >= convolutions);
    assert.deepEqual([count(parts, 'Conv'), count(parts, 'Gemm')], [5 * perImage, count(whole, 'Gemm')]);
    const [expected, actual] = [await answers(whole, px), await answers(parts, px)];
    assert.deepEqual(actual.dims, [2, 5]);
    assert.deepEqual(actual.data, expected.data);
  });
}

test('crops stay together in half precision, whose numbers depend on where they are joined', async () => {
  const file = await writeNetwork(join(folder, 'half.onnx'), 'cifar10-11pct', 10, toFloat16);
  const whole = onnx.ModelProto.decode(readFileSync(file));
  assert.equal(splitCrops(whole, 5), whole);
});

test('a file of one crop stays whole, and parts leave each thread a crop', async () => {
  const file = await writeNetwork(join(folder, 'one.onnx'), 'cifar10-18pct', 1);
  const model = onnx.ModelProto.decode(readFileSync(file));
  assert.equal(count(splitCrops(model, partsOf(1, 1)), 'Conv'), count(model, 'Conv'));
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 10, 64].map((threads) => partsOf(10, threads)),
    [10, 5, 2, 2, 2, 1, 1, 1],
  );
});
