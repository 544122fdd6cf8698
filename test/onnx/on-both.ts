/**
 * Runs a tensor program on tfjs's cpu backend and on ours and compares: the cpu backend is the oracle for every
 * lowering rule.
 */
import assert from 'node:assert/strict';
import { tf } from '../../base/tfjs/core.js';
import { compileAlways } from '../../onnx/backend/eager.js';
import { kernelCounts } from '../../onnx/backend/index.js';

/** Reproducible numbers in −1 … 1 with a few exact zeros and equal pairs, so that ties are met. */
export function numbers(length: number, seed = 1): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.round((state / 2 ** 31 - 1) * 50) / 50;
  });
}

/** A tensor of such numbers. */
export function tensor<R extends tf.Rank>(shape: number[], seed = 1): tf.Tensor<R> {
  return tf.tensor(numbers(tf.util.sizeFromShape(shape), seed), shape as tf.ShapeMap[R], 'float32') as tf.Tensor<R>;
}

const ARRAYS: Record<string, unknown> = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };

interface Outcome {
  values: number[][];
  infos: string[];
}

async function outcome(backend: string, program: () => tf.Tensor | tf.Tensor[]): Promise<Outcome> {
  await tf.setBackend(backend);
  const before = tf.memory().numTensors;
  const results = ([] as tf.Tensor[]).concat(tf.tidy(program));
  const arrays = results.map((result) => result.dataSync());
  const values = arrays.map((array) => Array.from(array));
  const infos = results.map((result) => `${result.dtype}[${result.shape}]`);
  // The cpu backend hands the array of an int32 tensor on when it casts it to float32.
  if (backend !== 'cpu')
    for (const [i, { dtype }] of results.entries()) assert.equal(arrays[i].constructor, ARRAYS[dtype], `output ${i}`);
  tf.dispose(results);
  assert.equal(tf.memory().numTensors, before, `${backend} leaks tensors`);
  return { values, infos };
}

/**
 * Runs the program twice on our backend: as one too small or too new to be compiled, where it is, and compiled.
 * @param oracle     what the cpu backend runs, where not the same program
 * @param tolerance  largest difference allowed between floats, relative to the largest value of the tensor; both sum
 *   float32 in
 *                   different orders. Integers and booleans must be equal
 */
export async function sameOnBoth(
  program: () => tf.Tensor | tf.Tensor[],
  oracle: () => tf.Tensor | tf.Tensor[] = program,
  tolerance = 1e-5,
): Promise<void> {
  const expected = await outcome('cpu', oracle);
  for (const isAlways of [false, true]) {
    const wasAlways = compileAlways(isAlways);
    try {
      const before = kernelCounts();
      const actual = await outcome('onnxruntime', program);
      assert.deepEqual(kernelCounts().delegated, before.delegated, 'a kernel was delegated');
      agree(isAlways ? 'compiled' : 'not compiled', actual, expected, tolerance);
    } finally {
      compileAlways(wasAlways);
    }
  }
}

function agree(how: string, actual: Outcome, expected: Outcome, tolerance: number): void {
  assert.deepEqual(actual.infos, expected.infos, how);
  expected.values.forEach((values, which) => {
    const isFloat = expected.infos[which].startsWith('float32');
    compare(`${how}, output ${which}`, actual.values[which], values, isFloat ? tolerance : 0);
  });
}

/** NaN and infinities must be the same ones; the rest may differ by `tolerance` times the largest finite value. */
function compare(what: string, actual: number[], expected: number[], tolerance: number): void {
  const scale = expected.filter(Number.isFinite).reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
  let worst = 0;
  let difference = 0;
  expected.forEach((value, i) => {
    if (!Number.isFinite(value) || !Number.isFinite(actual[i])) {
      assert.equal(actual[i], value, `${what}[${i}]: ${actual[i]}, expected ${value}`);
    } else if (Math.abs(value - actual[i]) > difference) {
      worst = i;
      difference = Math.abs(value - actual[i]);
    }
  });
  assert.ok(
    difference <= tolerance * scale,
    `${what}: largest difference ${difference} at ${worst}: ${actual[worst]}, expected ${expected[worst]}`,
  );
}
