/**
 * A network's training step on the kernels that tfjs-node 4.22 has, in a stand-in for the package
 * (test/fixtures/tfjs-node-gpu) that computes with tfjs's cpu backend: a kernel or a padding that the package lacks
 * ends the step.
 */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { it } from 'node:test';
import { tf } from '../../base/tfjs/core.js';
import type { NetworkSpec } from '../../model/spec.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { networkStep } from './network-step.js';

export function itHasTheKernelsOf(spec: NetworkSpec): void {
  it(`has all that ${spec.name} asks for, and gives what the cpu backend gives, bit for bit`, async () => {
    const width = spec.inputPx > 32 ? 1 / 24 : 1 / 4;
    await selectBackend('cpu');
    const expected = networkStep(spec, width, 1);
    createRequire(import.meta.url)('../../../test/fixtures/tfjs-node-gpu/kernels.js');
    await tf.setBackend('tensorflow');
    assert.deepEqual(networkStep(spec, width, 1), expected);
  });
}
