/**
 * Weights of one kernel as levels 0 … 255, scaled by its largest: 0 is the grey in the middle, black or white the
 * largest.
 */
export function kernelColours(weights: Float32Array): Uint8Array {
  const largest = weights.reduce((max, weight) => Math.max(max, Math.abs(weight)), 0) || 1;
  return Uint8Array.from(weights, (weight) => Math.round(127.5 * (1 + weight / largest)));
}
