/** PyTorch's networks themselves against those that their files were imported into. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tf } from '../../base/tfjs/core.js';
import '../../onnx/backend/index.js';
import { type ImportOptions, importNetwork } from '../../export/import/import-network.js';
import { findNetwork } from '../../model/registry.js';
import { photographs } from '../bench/photographs.js';
import { json, needs } from '../real/command.js';

const PYTHON = process.env.ALEXNET_PYTHON ?? '/usr/bin/python3';
const script = (name: string) => fileURLToPath(new URL(`../../../test/export/${name}`, import.meta.url));
const run = promisify(execFile);
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-pytorch-'));
  await tf.setBackend('onnxruntime');
});
after(() => rm(folder, { recursive: true }));

/**
 * Largest difference between the logits of the imported network and PyTorch's, as a share of the largest logit.
 * @param name  of the network; undefined: as the file's layers have it
 */
async function difference(
  file: string,
  name: string | undefined,
  options: ImportOptions = {},
  pixels = 'image.bin',
): Promise<number> {
  const given = name === undefined ? undefined : findNetwork(name);
  const { model, mean, spec } = await importNetwork(join(folder, file), given, options);
  const { imagePx, inputPx } = spec;
  const image = await readFile(join(folder, pixels));
  const [r, g, b] = mean.subarray(0, 3);
  assert.equal(mean.length, imagePx ** 2 * 3);
  const input = Float32Array.from(image, (pixel, i) => pixel - [r, g, b][i % 3]);
  const logits = (model.predict(tf.tensor4d(input, [1, inputPx, inputPx, 3])) as tf.Tensor).dataSync();
  const expected = new Float32Array(Uint8Array.from(await readFile(join(folder, 'logits.bin'))).buffer);
  assert.equal(logits.length, 1000);
  model.dispose();
  const most = expected.reduce((m, value) => Math.max(m, Math.abs(value)), 0);
  return expected.reduce((m, value, i) => Math.max(m, Math.abs(value - logits[i])), 0) / most;
}

const skip = await run(PYTHON, ['-c', 'import torch, torchvision, onnx']).then(
  () => false as const,
  () => `needs Python with torch, torchvision and onnx (${PYTHON})`,
);

it("gives the logits of torchvision's AlexNet for the same image", { skip }, async (t) => {
  await run(PYTHON, [script('torchvision_state.py'), folder]);
  const far = await difference('alexnet.safetensors', 'alexnet-torchvision', {}, 'picture.bin');
  t.diagnostic(`largest difference ${far} of the largest logit`);
  assert.ok(far < 1e-5, `${far}`);
});

it("gives the logits of an AlexNet with PyTorch's LocalResponseNorm, from its .onnx file and its weights", {
  skip,
}, async (t) => {
  await run(PYTHON, [script('torch_lrn.py'), folder]);
  const mean: [number, number, number] = [123, 117, 104];
  for (const file of ['alexnet.onnx', 'alexnet.safetensors']) {
    const far = await difference(file, 'alexnet', { mean }, 'picture.bin');
    t.diagnostic(`${file}: largest difference ${far} of the largest logit`);
    assert.ok(far < 1e-4, `${file}: ${far}`);
  }
  assert.ok((await difference('alexnet.safetensors', 'alexnet', { mean, lrn: 'printed' }, 'picture.bin')) > 0.01);
  await assert.rejects(
    difference('alexnet.onnx', 'alexnet', { mean, lrn: 'printed' }, 'picture.bin'),
    /first difference in norm1/,
  );
});

/** Of float16 and bfloat16 against the float32 that they were rounded from. */
const FILES: Record<string, [file: string, limit: number, options?: ImportOptions][]> = {
  torchvision: [
    ['alexnet.pth', 1e-4],
    ['script.pt', 1e-4],
    ['half.pth', 2e-3],
    ['bfloat16.pth', 1e-2],
  ],
  grouped: [['module.pth', 1e-4, { mean: [123, 117, 104] }]],
  alexnet: [
    ['alexnet.caffemodel', 1e-4],
    ['alexnet.npy', 1e-4],
  ],
  caffenet: [['caffenet.caffemodel', 1e-4]],
};

for (const [kind, files] of Object.entries(FILES)) {
  it(`gives the logits of ${kind} from ${files.map(([file]) => file).join(', ')}, of which nobody says the network`, {
    skip,
  }, async (t) => {
    await run(PYTHON, [script('torch_weights.py'), kind, folder]);
    for (const [file, limit, options] of files) {
      const far = await difference(file, undefined, options);
      t.diagnostic(`${file}: largest difference ${far} of the largest logit`);
      assert.ok(far < limit, `${file}: ${far}`);
      await rm(join(folder, file));
    }
  });
}

it('classifies photographs as PIL and torchvision do, from a .pth file to five labels of ImageNet', {
  skip: skip || needs('imagenet-samples.tar').skip,
}, async (t) => {
  const images = (await photographs()).slice(0, 20).map((bytes, i) => {
    const file = join(folder, `${i}.jpg`);
    writeFileSync(file, bytes);
    return file;
  });
  await run(PYTHON, [script('classify_photographs.py'), folder, ...images]);
  const [network, file] = [join(folder, 'run'), join(folder, 'classified.onnx')];
  await json('import', join(folder, 'alexnet.pth'), '--out', network);
  await json('export', '--run', network, '--out', file, '--crops', '1');
  const { results } = await json<{ results: { predictions: Prediction[] }[] }>('classify', '--model', file, ...images);
  const bytes = Uint8Array.from(await readFile(join(folder, 'probabilities.bin')));
  const theirs = new Float32Array(bytes.buffer);
  let far = 0;
  for (const [i, { predictions }] of results.entries()) {
    const expected = theirs.subarray(i * 1000, (i + 1) * 1000);
    assert.equal(predictions.length, 5);
    for (const { index, probability, label, synset } of predictions) {
      far = Math.max(far, Math.abs(probability - expected[index]));
      assert.match(synset!, /^n\d{8}$/);
      assert.doesNotMatch(label, /^class/);
    }
    const fifth = expected.toSorted().at(-5)!;
    assert.ok(
      predictions.every(({ index }) => expected[index] > fifth - 0.01),
      `photograph ${i}`,
    );
  }
  t.diagnostic(`20 photographs: probabilities at most ${far} apart`);
  assert.ok(far < 0.01, `${far}`);
});

interface Prediction {
  index: number;
  label: string;
  synset?: string;
  probability: number;
}
