/** Looks over many numbers at once. */

/** True if none is NaN or infinite. One pass without a call per value: the largest weight has 38 million. */
export function allFinite(values: ArrayLike<number>): boolean {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += 0 * values[i]; // 0, or NaN for NaN and infinity
  return sum === 0;
}
