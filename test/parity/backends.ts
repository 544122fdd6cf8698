/** A training step of a network on the backend `onnxruntime` and on tfjs's cpu backend. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { NetworkSpec } from '../../model/spec.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import './average-pooling-gradient.js';
import { assertSameStep } from './difference.js';
import { networkStep } from './network-step.js';

export function itAgrees(spec: NetworkSpec): void {
  // As small as still shows every kernel: the cpu backend is slow.
  const width = spec.inputPx > 32 ? 1 / 24 : 1 / 4;
  it(`agrees for ${spec.name} at width ${width}, and takes one run`, async () => {
    await selectBackend('cpu');
    const expected = networkStep(spec, width, 2);
    await selectBackend('onnxruntime');
    const actual = networkStep(spec, width, 2);
    assert.equal(actual.runs, 1);
    assertSameStep(actual, expected);
  });
}
