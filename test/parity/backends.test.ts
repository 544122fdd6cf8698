/**
 * One training step of every network on the backend `onnxruntime` against tfjs's plain JavaScript: the cpu backend
 * shares no code with the lowering rules.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NETWORKS } from '../../model/registry.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import './average-pooling-gradient.js';
import { assertSameStep } from './difference.js';
import { networkStep } from './network-step.js';

describe('a training step on onnxruntime and on the cpu backend', () => {
  for (const spec of Object.values(NETWORKS)) {
    // As small as still shows every kernel: the cpu backend is slow.
    const width = spec.name === 'alexnet' ? 1 / 16 : spec.inputPx > 32 ? 1 / 24 : 1 / 4;
    const batch = spec.name === 'alexnet' ? 3 : 2;
    it(`agrees for ${spec.name} at width ${width}, and takes one run`, async () => {
      await selectBackend('cpu');
      const expected = networkStep(spec, width, batch);
      await selectBackend('onnxruntime');
      const actual = networkStep(spec, width, batch);
      assert.equal(actual.runs, 1);
      assertSameStep(actual, expected);
    });
  }
});
