/**
 * 500 steps of `cifar10-18pct` on noise; prints the resident memory after step 50 and 500 as JSON. Run by
 * memory.slow.test.ts.
 */

import { random } from '../../base/random.js';
import { reseedDropout } from '../../model/dropout.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { modelWeights } from '../../train/run/weights.js';
import { Sgd } from '../../train/sgd.js';
import { TrainingStep } from '../../train/step.js';

const BATCH = 128;

await selectBackend('onnxruntime');
const spec = findNetwork('cifar10-18pct');
const model = buildNetwork(spec, { classes: 10, seed: 1 });
const step = new TrainingStep(model, new Sgd(modelWeights(model, 'trainable'), { momentum: 0.9, weightDecay: 0.0005 }));
const noise = random('memory');

/** Batches are new arrays each time, as a data set gives them. */
function train(steps: number): number {
  for (let i = 0; i < steps; i++) {
    const images = Float32Array.from({ length: BATCH * spec.inputPx ** 2 * 3 }, () => noise.uniform() * 240 - 120);
    reseedDropout(model, 1, i);
    step.run({ images, labels: Int32Array.from({ length: BATCH }, () => noise.integer(10)) }, 0.0001);
  }
  globalThis.gc!();
  return process.memoryUsage.rss();
}

const after50 = train(50);
console.log(JSON.stringify({ after50, after500: train(450) }));
