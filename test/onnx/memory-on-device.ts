/**
 * Updates a weight of 16 MB 500 times, then asks for more than a device has: `node memory-on-device.js`. Prints JSON.
 * SwiftShader's memory is the process's own. Run by provider.slow.test.ts.
 */
import { tf } from '../../base/tfjs/core.js';
import '../../onnx/backend/index.js';

await tf.setBackend('onnxruntime');
const weight = tf.variable(tf.zeros([4096, 1024]), false);

function update(steps: number): number {
  for (let i = 0; i < steps; i++)
    tf.tidy(() => {
      const hidden = tf.mul(tf.add(weight, tf.scalar(i)), tf.scalar(0.5));
      weight.assign(tf.sub(hidden, weight));
      tf.mean(hidden).dataSync();
    });
  globalThis.gc!();
  return process.memoryUsage.rss();
}

const after50 = update(50);
const after500 = update(450);
let error = '';
try {
  tf.tidy(() => tf.sum(tf.mul(tf.fill([1200, 1024, 1024], 1), tf.scalar(2))).dataSync());
} catch (thrown) {
  error = String(thrown);
}
console.log(JSON.stringify({ after50, after500, error, mean: tf.mean(weight).dataSync()[0] }));
