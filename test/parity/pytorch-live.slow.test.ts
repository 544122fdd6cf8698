/**
 * The full-size AlexNet on the backend `onnxruntime` against PyTorch, every element of every tensor: runs the peer
 * network (torch_alexnet.py in the folder ALEXNET_PEERS, else ../shared/peers next to the repository) with PyTorch's
 * own initial weights and normal noise as images. Needs Debian's python3-torch (or another python in ALEXNET_PYTHON)
 * and 0.8 GB in the temp folder.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type * as tfl from '@tensorflow/tfjs-layers';
import { tf } from '../../base/tfjs/core.js';
import '../../onnx/backend/index.js';
import { ALEXNET } from '../../model/alexnet.js';
import { buildNetwork } from '../../model/network.js';
import { modelWeights } from '../../train/run/weights.js';
import { assertNear, TOLERANCE } from './difference.js';
import { readNpy } from './npy.js';
import { oneStep, setWeights } from './one-step.js';
import { nchwToNhwc, torchName, torchToTfjs } from './torch-layout.js';

const PYTHON = process.env.ALEXNET_PYTHON ?? '/usr/bin/python3';
const PEERS = process.env.ALEXNET_PEERS ?? fileURLToPath(new URL('../../../../shared/peers', import.meta.url));
const PEER = join(PEERS, 'torch_alexnet.py');

/**
 * Where a ReLU input is 0, or two values of a pooling window are equal, but for rounding, the gradient is either of
 * two, and they are far apart. At seed 0 two such values in pool2 are one unit in the last place apart, and PyTorch's
 * float32 gradients are 1.3e-2 from its own float64 ones in conv2, 8e-3 in conv1 (ours 6e-7). These are the seeds below
 * 45 that keep farthest from it: no decision of their images is nearer than 2e-6 of the layer's root mean square,
 * against 1e-6 or less as a rule.
 */
const SEEDS = [16, 18];

/** Why the test cannot run here; undefined: it can. */
function obstacle(): string | undefined {
  if (!existsSync(PEER)) return `no peer network ${PEER}; set ALEXNET_PEERS to the folder that has it`;
  if (spawnSync(PYTHON, ['-c', 'import torch']).status !== 0)
    return `${PYTHON} cannot import torch; install python3-torch or set ALEXNET_PYTHON`;
  return undefined;
}

function runPeer(batch: number, seed: number, out: string): void {
  const peer = spawnSync(PYTHON, [PEER, 'golden', '--batch', `${batch}`, '--seed', `${seed}`, '--out', out]);
  assert.equal(peer.status, 0, `${PEER} failed: ${peer.stderr}`);
}

/** Runs the same step and reports the largest difference of each tensor. */
function compare(t: TestContext, model: tfl.LayersModel, folder: string): void {
  const npy = (name: string) => readNpy(join(folder, `${name}.npy`));
  const weight = (when: string, name: string) => {
    const { shape, values } = npy(`${when}.${torchName(name)}`);
    return torchToTfjs(name, shape, values);
  };
  setWeights(model, (name) => weight('before', name));
  const images = nchwToNhwc(npy('input_nchw').values, 3, ALEXNET.inputPx);
  const step = oneStep(model, images, Int32Array.from(npy('label').values));
  assert.equal(step.runs, 1);
  const logits = assertNear('logits', step.logits, npy('logits').values, TOLERANCE.logits);
  const loss = assertNear('loss', [step.loss], npy('loss').values, TOLERANCE.logits);
  t.diagnostic(`largest relative differences: logits ${logits.toExponential(1)}, loss ${loss.toExponential(1)}`);
  for (const { name } of modelWeights(model, 'all')) {
    const near = (what: 'gradients' | 'updated', expected: Float32Array) =>
      assertNear(`${what} ${name}`, step[what].get(name)!, expected, TOLERANCE[what]).toExponential(1);
    const [gradient, updated] = [near('gradients', weight('grad', name)), near('updated', weight('after', name))];
    t.diagnostic(`${name}: gradient ${gradient}, updated ${updated}`);
  }
}

describe('AlexNet on the backend onnxruntime, against PyTorch run now', { skip: obstacle() }, () => {
  let model: tfl.LayersModel;

  before(async () => {
    await tf.setBackend('onnxruntime');
    model = buildNetwork(ALEXNET, { classes: 1000, seed: 0 });
  });

  after(() => model.dispose());

  for (const batch of [2, 3]) {
    for (const seed of SEEDS) {
      it(`computes every element of a training step: batch ${batch}, seed ${seed}`, (t) => {
        const folder = mkdtempSync(join(tmpdir(), 'alexnet-golden-'));
        try {
          runPeer(batch, seed, folder);
          compare(t, model, folder);
        } finally {
          rmSync(folder, { recursive: true });
        }
      });
    }
  }
});
