/**
 * Trains `cifar10-quick` for 20 steps on fixed noise and prints by how much every weight moved, as base64 of float32:
 * `node train-twenty.js`. Run by provider.slow.test.ts, once a provider.
 */
import { tf } from '../../base/tfjs/core.js';
import '../../onnx/backend/index.js';
import { random } from '../../base/random.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { modelWeights } from '../../train/run/weights.js';
import { Sgd } from '../../train/sgd.js';
import { TrainingStep } from '../../train/step.js';

const BATCH = 4;

await tf.setBackend('onnxruntime');
const spec = findNetwork('cifar10-quick');
const model = buildNetwork(spec, { classes: 10, seed: 1 });
const weights = modelWeights(model, 'trainable');
const step = new TrainingStep(model, new Sgd(weights, { momentum: 0.9, weightDecay: 0.004 }));
const before = weights.map(({ variable }) => variable.dataSync().slice() as Float32Array);
const noise = random('twenty');
for (let i = 0; i < 20; i++) {
  const images = Float32Array.from({ length: BATCH * spec.inputPx ** 2 * 3 }, () => noise.uniform() * 240 - 120);
  step.run({ images, labels: Int32Array.from({ length: BATCH }, () => noise.integer(10)) }, 0.004);
}
const moves = weights.map(
  ({ variable }, i) => variable.dataSync().map((value, j) => value - before[i][j]) as Float32Array,
);
console.log(Buffer.concat(moves.map((move) => new Uint8Array(move.buffer))).toString('base64'));
