/** How far two computations of the same outputs are apart. */
import { UserError } from '../../base/errors.js';

/** One output both ways, row-major. */
export interface OutputPair {
  name: string;
  dims: readonly number[];
  expected: ArrayLike<number>;
  actual: ArrayLike<number>;
}

export interface Difference {
  /** Largest absolute difference over all outputs. */
  maxAbs: number;
  /** Largest difference of an output as a share of its largest value. */
  maxRel: number;
  /** Where `maxRel` was met: output, index in it, and both values; absent if there is no difference. */
  worst?: { output: string; index: number[]; expected: number; actual: number };
}

/** @throws {UserError} if one of the two is NaN or infinite and the other is not the same */
export function largestDifference(pairs: readonly OutputPair[]): Difference {
  const result: Difference = { maxAbs: 0, maxRel: 0 };
  for (const { name, dims, expected, actual } of pairs) {
    if (expected.length !== actual.length)
      throw new UserError(`output ${name}: expected ${expected.length} values as in tfjs, got ${actual.length}`);
    let [worst, largest, furthest] = [0, 0, 0];
    for (let i = 0; i < expected.length; i++) {
      if (!Number.isFinite(actual[i]) || !Number.isFinite(expected[i])) {
        if (Object.is(actual[i], expected[i])) continue;
        throw new UserError(
          `output ${name}[${indexOf(i, dims)}] is ${actual[i]} in onnxruntime and ${expected[i]} in tfjs: the weights hold NaN or are too large`,
        );
      }
      const distance = Math.abs(actual[i] - expected[i]);
      if (distance > furthest) [worst, furthest] = [i, distance];
      largest = Math.max(largest, Math.abs(expected[i]));
    }
    const relative = largest > 0 ? furthest / largest : furthest;
    result.maxAbs = Math.max(result.maxAbs, furthest);
    if (relative <= result.maxRel) continue;
    result.maxRel = relative;
    result.worst = { output: name, index: indexOf(worst, dims), expected: expected[worst], actual: actual[worst] };
  }
  return result;
}

/** @throws {UserError} if `maxRel` is above `tolerance` */
export function checkDifference({ maxRel, worst }: Difference, tolerance: number): void {
  if (maxRel <= tolerance) return;
  throw new UserError(
    `the exported graph differs from the tfjs model by ${maxRel.toExponential(1)} of the largest output (allowed ${tolerance}); ` +
      `worst at ${worst!.output}[${worst!.index}]: expected ${worst!.expected}, got ${worst!.actual}`,
  );
}

function indexOf(position: number, dims: readonly number[]): number[] {
  const index: number[] = [];
  for (let axis = dims.length - 1, rest = position; axis >= 0; axis--) {
    index.unshift(rest % dims[axis]);
    rest = Math.floor(rest / dims[axis]);
  }
  return index;
}
