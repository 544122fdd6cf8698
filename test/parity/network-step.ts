/** A training step of any network with weights and images that need no file, the same on every backend. */

import { random } from '../../base/random.js';
import { buildNetwork } from '../../model/network.js';
import type { NetworkSpec } from '../../model/spec.js';
import { modelWeights } from '../../train/run/weights.js';
import { oneStep, type StepValues, setWeights } from './one-step.js';

const CLASSES = 10;

/** Numbers in −bound … bound. */
function uniform(name: string, length: number, bound: number): Float32Array {
  const stream = random('parity', name);
  return Float32Array.from({ length }, () => bound * (2 * stream.uniform() - 1));
}

/**
 * Kernels as in He et al. 2015, so that values keep the size of pixels through the net and normalisations are not idle;
 * small logits, for what they are off by appears whole, not as a share, in the gradients; biases −1 … 1.
 */
export function weightValues(name: string, shape: number[]): Float32Array {
  const size = shape.reduce((a, b) => a * b, 1);
  if (name.endsWith('/bias')) return uniform(name, size, 1);
  const places = shape.length === 3 ? shape[0] : 1; // of an untied layer: [places, inputs, channels]
  const inputs = size / places / shape[shape.length - 1];
  const isLast = shape.length === 2 && shape[1] === CLASSES;
  return uniform(name, size, Math.sqrt(6 / inputs) / (isLast ? 512 : 1));
}

/** One step on tfjs's active backend. */
export function networkStep(spec: NetworkSpec, width: number, batch: number): StepValues {
  const model = buildNetwork(spec, { classes: CLASSES, width, seed: 0, drawn: [] });
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
