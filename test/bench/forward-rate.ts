/**
 * One process's rate of forward passes: `node forward-rate.js NETWORK BATCH PASSES BACKEND` prints JSON. BACKEND is
 * onnxruntime, or tfjs's own cpu or wasm. The first two passes are left out.
 */
import { random } from '../../base/random.js';
import { tf } from '../../base/tfjs/core.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';

const LOADERS: Record<string, () => Promise<unknown>> = {
  onnxruntime: () => import('../../onnx/backend/index.js'),
  cpu: () => import('../../base/tfjs/backend-cpu.js'),
  wasm: () => import('@tensorflow/tfjs-backend-wasm'),
};
const WARM_UP_PASSES = 2;

const [network, batch, passes, backend] = [
  process.argv[2],
  Number(process.argv[3]),
  Number(process.argv[4]),
  process.argv[5],
];
await LOADERS[backend]();
if (!(await tf.setBackend(backend))) throw new Error(`backend ${backend} does not start`);
const spec = findNetwork(network);
const model = buildNetwork(spec, { classes: 10, seed: 1 });
const noise = random('bench');
const images = Float32Array.from({ length: batch * spec.inputPx ** 2 * 3 }, () => noise.uniform() * 240 - 120);

const times: number[] = [];
for (let i = 0; i < WARM_UP_PASSES + passes; i++) {
  const started = performance.now();
  tf.tidy(() => (model.predict(tf.tensor(images, [batch, spec.inputPx, spec.inputPx, 3])) as tf.Tensor).dataSync());
  times.push(performance.now() - started);
}
const measured = times.slice(WARM_UP_PASSES).sort((a, b) => a - b);
console.log(JSON.stringify({ images_per_s_median: (1000 * batch) / measured[measured.length >> 1] }));
