/**
 * Trains a network on fixed noise for some steps, then predicts: `node steps-on-provider.js NETWORK WIDTH BATCH
 * large|own NOISE STEPS`. Prints JSON: by how much every weight moved, as base64 of float32, and what crossed the bus.
 * Run by provider.slow.test.ts, once a provider.
 */
import { random } from '../../base/random.js';
import { tf } from '../../base/tfjs/core.js';
import { reseedDropout, SeededDropout } from '../../model/dropout.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { kernelCounts } from '../../onnx/backend/index.js';
import { modelWeights } from '../../train/run/weights.js';
import { Sgd } from '../../train/sgd.js';
import { TrainingStep } from '../../train/step.js';
import { weightValues } from '../parity/network-step.js';
import { setWeights } from '../parity/one-step.js';

export interface Measured {
  /** By name: base64 of float32. */
  moves: Record<string, string>;
  /** Bytes of images, labels and dropout masks that a step is given. */
  givenBytes: number;
  /** Bytes copied in the last step. */
  bytesToDevice: number;
  bytesToHost: number;
  probabilities: number[];
}

const [name, width, batch, start, stream, steps] = process.argv.slice(2);
const count = Number(batch);
await tf.setBackend('onnxruntime');
const spec = findNetwork(name);
const model = buildNetwork(spec, { classes: 10, seed: 1, width: Number(width) });
const weights = modelWeights(model, 'trainable');
const shapes = new Map(weights.map(({ name, variable }) => [name, variable.shape]));
/** Networks whose own first weights hardly move get larger ones: else a move is little more than its rounding. */
if (start === 'large') setWeights(model, (name) => weightValues(name, shapes.get(name)!));
const rate = start === 'large' ? 1e-5 : 0.004;
const step = new TrainingStep(model, new Sgd(weights, { momentum: 0.9, weightDecay: 0.004 }));
const before = weights.map(({ variable }) => variable.dataSync().slice() as Float32Array);
const noise = random(stream);
const pixels = () => Float32Array.from({ length: count * spec.inputPx ** 2 * 3 }, () => noise.uniform() * 240 - 120);

let counts = kernelCounts();
let last = counts;
for (let i = 0; i < Number(steps); i++) {
  last = counts;
  reseedDropout(model, 1, i);
  step.run({ images: pixels(), labels: Int32Array.from({ length: count }, () => noise.integer(10)) }, rate);
  counts = kernelCounts();
}
const images = pixels();
const predict = () =>
  tf.softmax(
    model.apply(tf.tensor(images, [count, spec.inputPx, spec.inputPx, 3]), { training: false }) as tf.Tensor2D,
  );
const probabilities = [...tf.tidy(predict).dataSync()];
const moves = weights.map(({ name, variable }, i) => {
  const move = variable.dataSync().map((value, j) => value - before[i][j]) as Float32Array;
  return [name, Buffer.from(move.buffer).toString('base64')];
});
const dropped = model.layers.filter((layer) => layer instanceof SeededDropout);
const maskBytes = dropped.reduce(
  (sum, layer) => sum + tf.util.sizeFromShape([count, ...(layer.outputShape.slice(1) as number[])]),
  0,
);
const measured: Measured = {
  moves: Object.fromEntries(moves),
  givenBytes: images.byteLength + 4 * count + maskBytes,
  bytesToDevice: counts.bytesToDevice - last.bytesToDevice,
  bytesToHost: counts.bytesToHost - last.bytesToHost,
  probabilities,
};
console.log(JSON.stringify(measured));
