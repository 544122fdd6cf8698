/** torchvision's AlexNet itself against the network that its state dict was imported into. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import '../../export/backend/index.js';
import { importNetwork } from '../../export/import/import-network.js';
import { findNetwork } from '../../model/registry.js';

const PYTHON = process.env.ALEXNET_PYTHON ?? '/usr/bin/python3';
const SCRIPT = fileURLToPath(new URL('../../../test/export/torchvision_state.py', import.meta.url));
const run = promisify(execFile);

it('gives the logits of torchvision for the same picture', async (t) => {
  const found = await run(PYTHON, ['-c', 'import torch, torchvision']).then(
    () => true,
    () => false,
  );
  if (!found) return t.skip(`needs Python with torch and torchvision (${PYTHON})`);
  const folder = await mkdtemp(join(tmpdir(), 'alexnet-torchvision-'));
  try {
    await run(PYTHON, [SCRIPT, folder]);
    const spec = findNetwork('alexnet-torchvision');
    await tf.setBackend('onnxruntime');
    const { model, mean } = await importNetwork(join(folder, 'alexnet.safetensors'), spec);
    const { imagePx, inputPx } = spec;
    const picture = await readFile(join(folder, 'picture.bin'));
    const [r, g, b] = mean.subarray(0, 3);
    assert.equal(mean.length, imagePx ** 2 * 3);
    const input = Float32Array.from(picture, (pixel, i) => pixel - [r, g, b][i % 3]);
    const logits = (model.predict(tf.tensor4d(input, [1, inputPx, inputPx, 3])) as tf.Tensor).dataSync();
    const expected = new Float32Array(Uint8Array.from(await readFile(join(folder, 'logits.bin'))).buffer);
    assert.equal(logits.length, 1000);
    const most = expected.reduce((m, value) => Math.max(m, Math.abs(value)), 0);
    const far = expected.reduce((m, value, i) => Math.max(m, Math.abs(value - logits[i])), 0);
    t.diagnostic(`largest difference ${far}, largest logit ${most}`);
    assert.ok(far < 1e-5 * Math.max(1, most), `${far} of ${most}`);
    model.dispose();
  } finally {
    await rm(folder, { recursive: true });
  }
});
