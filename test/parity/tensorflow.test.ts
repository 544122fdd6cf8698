/**
 * One training step of every network on TensorFlow's native library against the backend `onnxruntime`, where
 * tfjs-node-gpu or tfjs-node is installed. They share no kernel.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import { NETWORKS } from '../../model/registry.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { assertSameStep } from './difference.js';
import { networkStep } from './network-step.js';

// Convolutions and products in whole float32 on GPUs of the Ampere generation and later, which round factors to 10 bits
// otherwise.
process.env.NVIDIA_TF32_OVERRIDE ??= '0';
const skip = await selectBackend('tensorflow').then(
  () => false,
  ({ message }: Error) => message,
);

describe('a training step on TensorFlow', () => {
  for (const spec of Object.values(NETWORKS)) {
    // Widths whose channels divide into groups.
    const width = spec.name === 'alexnet' ? 1 / 16 : spec.inputPx > 32 ? 1 / 24 : 1 / 4;
    it(`agrees with onnxruntime for ${spec.name} at width ${width}`, { skip }, async (t) => {
      await selectBackend('onnxruntime');
      const expected = networkStep(spec, width, 3);
      t.diagnostic((await selectBackend('tensorflow')).why);
      assertSameStep(networkStep(spec, width, 3), expected);
    });
  }

  it('has the kernels that its stand-in in the tests has', { skip }, () => {
    const names = tf.getKernelsForBackend('tensorflow').map(({ kernelName }) => kernelName);
    const file = new URL('../../../test/fixtures/tfjs-node-gpu/kernels.json', import.meta.url);
    assert.deepEqual(names.sort(), JSON.parse(readFileSync(file, 'utf8')));
  });
});
