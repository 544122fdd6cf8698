/**
 * Child process of checkpoint.test.ts: saves checkpoint after checkpoint, every value of which is its step, until
 * killed.
 */
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import '../../base/tfjs/backend-cpu.js';
import { saveCheckpoint, startState } from '../../train/run/checkpoint.js';
import { modelWeights } from '../../train/run/weights.js';

const folder = process.argv[2];
const model = tfl.sequential({ layers: [tfl.layers.dense({ name: 'fc', units: 300, inputShape: [701] })] });
const weights = modelWeights(model, 'all');
const velocities = weights.map(({ name, variable }) => ({ name, variable: tf.variable(tf.zeros(variable.shape)) }));
for (let step = Number(process.argv[3]); ; step++) {
  for (const { variable } of weights) variable.assign(tf.fill(variable.shape, step));
  for (const { variable } of velocities) variable.assign(tf.fill(variable.shape, -step));
  await saveCheckpoint(folder, model, velocities, { ...startState(), step });
  process.stdout.write(`${step}\n`);
}
