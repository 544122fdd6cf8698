/** How far two computations of one tensor are apart. */
import assert from 'node:assert/strict';
import type { StepValues } from './one-step.js';

/**
 * Largest differences allowed, as shares of the tensor's largest value: float32 sums of up to 9216 terms in two orders,
 * through 8 layers; measured 1e-6, 2.4e-6 and 1.1e-6. Weights updated without decay would be off by 5e-6.
 */
export const TOLERANCE = { logits: 1e-5, gradients: 1e-5, updated: 3e-6 };

/**
 * Asserts the same length, and every element within `tolerance` of the largest absolute value expected.
 * @returns the largest difference, as a share of that value
 */
export function assertNear(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): number {
  assert.equal(actual.length, expected.length, `${what}: number of elements`);
  let [worst, difference, largest] = [0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]));
    const here = Math.abs(actual[i] - expected[i]);
    if (here <= difference) continue;
    [worst, difference] = [i, here];
    if (Number.isNaN(here)) break;
  }
  const relative = difference / largest;
  assert.ok(
    relative <= tolerance,
    `${what}: element ${worst} is ${actual[worst]}, expected ${expected[worst]}: off by ${relative} of the largest value ${largest}`,
  );
  return relative;
}

/** Asserts that two training steps are within `TOLERANCE` of each other in everything that they compute. */
export function assertSameStep(actual: StepValues, expected: StepValues): void {
  assertNear('loss', [actual.loss], [expected.loss], TOLERANCE.logits);
  assertNear('logits', actual.logits, expected.logits, TOLERANCE.logits);
  for (const what of ['gradients', 'updated'] as const) {
    for (const [name, values] of expected[what]) {
      assertNear(`${what} ${name}`, actual[what].get(name)!, values, TOLERANCE[what]);
    }
  }
}
