/** PyTorch's networks themselves against those that their files were imported into. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
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

const PYTHON = process.env.ALEXNET_PYTHON ?? '/usr/bin/python3';
const script = (name: string) => fileURLToPath(new URL(`../../../test/export/${name}`, import.meta.url));
const run = promisify(execFile);
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-pytorch-'));
  await tf.setBackend('onnxruntime');
});
after(() => rm(folder, { recursive: true }));

/** Largest difference between the logits of the imported network and PyTorch's, as a share of the largest logit. */
async function difference(file: string, name: string, options: ImportOptions = {}): Promise<number> {
  const spec = findNetwork(name);
  const { model, mean } = await importNetwork(join(folder, file), spec, options);
  const { imagePx, inputPx } = spec;
  const image = await readFile(join(folder, 'picture.bin'));
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
  const far = await difference('alexnet.safetensors', 'alexnet-torchvision');
  t.diagnostic(`largest difference ${far} of the largest logit`);
  assert.ok(far < 1e-5, `${far}`);
});

it("gives the logits of an AlexNet with PyTorch's LocalResponseNorm, from its .onnx file and its weights", {
  skip,
}, async (t) => {
  await run(PYTHON, [script('torch_lrn.py'), folder]);
  const mean: [number, number, number] = [123, 117, 104];
  for (const file of ['alexnet.onnx', 'alexnet.safetensors']) {
    const far = await difference(file, 'alexnet', { mean });
    t.diagnostic(`${file}: largest difference ${far} of the largest logit`);
    assert.ok(far < 1e-4, `${file}: ${far}`);
  }
  assert.ok((await difference('alexnet.safetensors', 'alexnet', { mean, lrn: 'printed' })) > 0.01);
  await assert.rejects(difference('alexnet.onnx', 'alexnet', { mean, lrn: 'printed' }), /first difference in norm1/);
});
