/**
 * One training step of every network on the backend `onnxruntime` against tfjs's plain JavaScript: the cpu backend shares no code
 * with the lowering rules.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildNetwork } from '../../model/network.js';
import { random } from '../../model/random.js';
import { NETWORKS } from '../../model/registry.js';
import type { NetworkSpec } from '../../model/spec.js';
import { type BackendName, selectBackend } from '../../train/backend.js';
import { modelWeights } from '../../train/weights.js';
import './average-pooling-gradient.js';
import { assertNear, TOLERANCE } from './difference.js';
import { oneStep, type StepValues, setWeights } from './one-step.js';

const CLASSES = 10;

/** Numbers in −bound … bound. */
function uniform(name: string, length: number, bound: number): Float32Array {
  const stream = random('parity', name);
  return Float32Array.from({ length }, () => bound * (2 * stream.uniform() - 1));
}

/**
 * Kernels as in He et al. 2015, so that values keep the size of pixels through the net and normalisations are not idle; small
 * logits, for what they are off by appears whole, not as a share, in the gradients; biases −1 … 1.
 */
function weightValues(name: string, shape: number[]): Float32Array {
  const size = shape.reduce((a, b) => a * b, 1);
  if (name.endsWith('/bias')) return uniform(name, size, 1);
  const places = shape.length === 3 ? shape[0] : 1; // of an untied layer: [places, inputs, channels]
  const inputs = size / places / shape[shape.length - 1];
  const isLast = shape.length === 2 && shape[1] === CLASSES;
  return uniform(name, size, Math.sqrt(6 / inputs) / (isLast ? 512 : 1));
}

async function stepOn(backend: BackendName, spec: NetworkSpec, width: number, batch: number): Promise<StepValues> {
  await selectBackend(backend);
  const model = buildNetwork(spec, { classes: CLASSES, width, seed: 0 });
  const shapes = new Map(modelWeights(model, 'all').map(({ name, variable }) => [name, variable.shape]));
  setWeights(model, (name) => weightValues(name, shapes.get(name)!));
  const images = uniform('pictures', batch * spec.inputPx ** 2 * 3, 120);
  const values = oneStep(
    model,
    images,
    Int32Array.from({ length: batch }, (_, n) => 3 * n + 1),
  );
  model.dispose();
  return values;
}

describe('a training step on onnxruntime and on the cpu backend', () => {
  for (const spec of Object.values(NETWORKS)) {
    // As small as still shows every kernel: the cpu backend is slow.
    const width = spec.name === 'alexnet' ? 1 / 16 : spec.inputPx > 32 ? 1 / 24 : 1 / 4;
    const batch = spec.name === 'alexnet' ? 3 : 2;
    it(`agrees for ${spec.name} at width ${width}, and takes one run`, async () => {
      const expected = await stepOn('cpu', spec, width, batch);
      const actual = await stepOn('onnxruntime', spec, width, batch);
      assert.equal(actual.runs, 1);
      assertNear('loss', [actual.loss], [expected.loss], TOLERANCE.logits);
      assertNear('logits', actual.logits, expected.logits, TOLERANCE.logits);
      for (const what of ['gradients', 'updated'] as const) {
        for (const [name, values] of expected[what]) {
          assertNear(`${what} ${name}`, actual[what].get(name)!, values, TOLERANCE[what]);
        }
      }
    });
  }
});
