/** How far two computations of the same outputs are apart. */
import { UserError } from '../../base/errors.js';

/** One output both ways, row-major. */
export interface OutputPair {
  name: string;
  dims: readonly number[];
  expected: ArrayLike<number>;
  actual: ArrayLike<number>;
  /** What bounds it, if something does. */
  range?: OutputRange;
  /** What it was computed from, e.g. `3 rows`. */
  fed?: string;
}

/** An output that cannot leave its range, e.g. a sigmoid's: 1; or that is rounded as numbers of a certain size are. */
export interface OutputRange {
  /** ONNX's operator. */
  operator: string;
  /** Largest absolute value; may be infinite. */
  bound: number;
  /** The output is measured against this at least; default: `LEAST_SHARE` of the bound. */
  least?: number;
}

export interface Difference {
  /** Largest absolute difference over all outputs. */
  maxAbs: number;
  /** Largest difference of an output as a share of its scale: see `measure`. */
  maxRel: number;
  /** Where `maxRel` was met: output, index in it, and both values; absent if there is no difference. */
  worst?: { output: string; index: number[]; expected: number; actual: number; measure: string; fed?: string };
}

/**
 * An output of a bounded operator may be tiny everywhere, where rounding is not: it is measured against this share of
 * the bound at least.
 */
const LEAST_SHARE = 0.01;

/** An output that is infinite or NaN in one of the two computations alone. */
export class NonFiniteError extends UserError {
  constructor(
    readonly output: string,
    where: string,
    readonly actual: number,
    readonly expected: number,
  ) {
    super(`${where} is ${actual} in onnxruntime and ${expected} in tfjs: the weights hold NaN or are too large`);
  }
}

/**
 * An output may be given several times, for several inputs: it is measured against its largest value over all of them.
 * @throws {UserError} if one of the two is NaN or infinite and the other is not the same
 */
export function largestDifference(pairs: readonly OutputPair[]): Difference {
  const result: Difference = { maxAbs: 0, maxRel: 0 };
  for (const name of new Set(pairs.map((pair) => pair.name))) {
    const same = pairs.filter((pair) => pair.name === name);
    const found = same.map(furthest);
    const largest = found.reduce((most, pair) => Math.max(most, pair.largest), 0);
    const { range } = same[0];
    const least = range ? (range.least ?? LEAST_SHARE * range.bound) : 0;
    const scale = Math.max(largest, least);
    found.forEach(({ distance, at }, i) => {
      const relative = scale > 0 ? distance / scale : distance;
      result.maxAbs = Math.max(result.maxAbs, distance);
      if (relative <= result.maxRel) return;
      const { dims, expected, actual, fed } = same[i];
      const measure =
        least > largest
          ? `${least}, ${range!.least ? `the smallest scale used for ${range!.operator}` : `a hundredth of what ${range!.operator} gives at most`}`
          : 'the largest output';
      result.maxRel = relative;
      result.worst = {
        output: name,
        index: indexOf(at, dims),
        expected: expected[at],
        actual: actual[at],
        measure,
        fed,
      };
    });
  }
  return result;
}

export function furthest({ name, dims, expected, actual }: OutputPair): {
  at: number;
  distance: number;
  largest: number;
} {
  if (expected.length !== actual.length)
    throw new UserError(`output ${name}: expected ${expected.length} values as in tfjs, got ${actual.length}`);
  let [at, largest, distance] = [0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    if (!Number.isFinite(actual[i]) || !Number.isFinite(expected[i])) {
      if (Object.is(actual[i], expected[i])) continue;
      throw new NonFiniteError(name, `output ${name}[${indexOf(i, dims)}]`, actual[i], expected[i]);
    }
    const apart = Math.abs(actual[i] - expected[i]);
    if (apart > distance) [at, distance] = [i, apart];
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return { at, distance, largest };
}

/** @throws {UserError} if `maxRel` is above `tolerance` */
export function checkDifference({ maxRel, worst }: Difference, tolerance: number): void {
  if (maxRel <= tolerance) return;
  const fed = worst!.fed ? ` with ${worst!.fed}` : '';
  throw new UserError(
    `the exported graph differs from the tfjs model by ${maxRel.toExponential(1)} of ${worst!.measure}${fed} (allowed ${tolerance}); ` +
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
