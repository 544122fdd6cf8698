/**
 * One process's training rate: `node training-rate.js NETWORK CLASSES BATCH STEPS [BACKEND]` prints JSON. Images are
 * noise in memory, so that the step alone is measured: forward, backward and update. The first two steps compile and
 * map memory and are left out.
 */
import { random } from '../../base/random.js';
import { tf } from '../../base/tfjs/core.js';
import { reseedDropout } from '../../model/dropout.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { keepMemory } from '../../onnx/backend/keep-memory.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { modelWeights } from '../../train/run/weights.js';
import { Sgd } from '../../train/sgd.js';
import { TrainingStep } from '../../train/step.js';
import { flopsPerImage } from './flops.js';

const WARM_UP_STEPS = 2;

const [name, classes, batch, steps] = [process.argv[2], ...process.argv.slice(3, 6).map(Number)] as [
  string,
  number,
  number,
  number,
];
keepMemory(); // as alexnet train does
const { name: backend } = await selectBackend((process.argv[6] ?? 'onnxruntime') as 'onnxruntime');
const spec = findNetwork(name);
const model = buildNetwork(spec, { classes, seed: 1 });
const step = new TrainingStep(model, new Sgd(modelWeights(model, 'trainable'), { momentum: 0.9, weightDecay: 0.0005 }));
const noise = random('bench');
const images = Float32Array.from({ length: batch * spec.inputPx ** 2 * 3 }, () => noise.uniform() * 240 - 120);
const labels = Int32Array.from({ length: batch }, () => noise.integer(classes));

/** Rate of a large matrix product on this backend, FLOP/s: the best of some. */
function peakFlops(): number {
  const side = 2048;
  const [a, b] = [tf.randomUniform([side, side]), tf.randomUniform([side, side])];
  const times = Array.from({ length: 8 }, () => {
    const started = performance.now();
    const sum = tf.tidy(() => tf.sum(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D)));
    sum.dataSync();
    sum.dispose();
    return performance.now() - started;
  });
  tf.dispose([a, b]);
  return (2 * side ** 3) / (Math.min(...times) / 1000);
}

const times: number[] = [];
for (let i = 0; i < WARM_UP_STEPS + steps; i++) {
  const started = performance.now();
  reseedDropout(model, 1, i);
  step.run({ images, labels }, 0.0001);
  times.push(performance.now() - started);
}
const measured = times.slice(WARM_UP_STEPS).sort((a, b) => a - b);
const rate = (ms: number) => (1000 * batch) / ms;
console.log(
  JSON.stringify({
    backend,
    images_per_s_median: rate(measured[measured.length >> 1]),
    images_per_s_best: rate(measured[0]),
    first_step_s: times[0] / 1000,
    resident_gb: process.resourceUsage().maxRSS / 1e6,
    gflop_per_image: flopsPerImage(model, 'step') / 1e9,
    share_of_matmul_peak: (rate(measured[measured.length >> 1]) * flopsPerImage(model, 'step')) / peakFlops(),
    tensors: tf.memory().numTensors,
  }),
);
