/**
 * Random projections (Johnson and Lindenstrauss): features of thousands of numbers become hundreds that keep distances
 * to some percent, so that a graph over them is built in minutes and fits in memory. Distances that people see are
 * computed from the features themselves.
 */
import { random } from '../../../base/random.js';

export const PROJECTED = 256;
/** Neighbours of an image in the graph. */
export const HNSW_M = 16;

/** The same for every index of one dimension. */
export class Projection {
  private readonly matrix: Float32Array;

  constructor(
    private readonly dimension: number,
    readonly length = PROJECTED,
  ) {
    const stream = random('projection', dimension, length);
    const scale = 1 / Math.sqrt(length);
    this.matrix = Float32Array.from({ length: dimension * length }, () => scale * stream.normal());
  }

  of(feature: Float32Array): Float32Array {
    const sums = new Float64Array(this.length);
    for (let i = 0; i < this.dimension; i++) {
      const value = feature[i];
      if (value === 0) continue; // most are, after ReLU
      for (let j = 0, at = i * this.length; j < this.length; j++, at++) sums[j] += value * this.matrix[at];
    }
    return Float32Array.from(sums);
  }
}
