/**
 * Gradients added up over the processes of a job, in buckets from the last layer to the first, since the backward pass computes them in
 * that order: while one bucket travels, the next is computed, where the backend computes lazily. Source: Li et al. 2020, "PyTorch
 * Distributed: Experiences on Accelerating Data Parallel Training", §3.2.
 */
import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs-core';
import type { Communicator } from './communicator.js';
import { sumAsHalves } from './half-sum.js';

/** How gradients travel. */
export const GRADIENT_TYPES = ['float32', 'float16'] as const;
export type GradientType = (typeof GRADIENT_TYPES)[number];

/** A bucket is closed once it has so many: PyTorch's default. */
const BUCKET_BYTES = 25e6;

interface Bucket {
  weights: tf.Variable[];
  values: Float32Array;
}

/** A backend that computes lazily can compute some tensors and leave the rest for later. */
interface LazyBackend {
  computeOnly?(tensors: readonly tf.TensorInfo[]): void;
}

export class GradientSum {
  private readonly buckets: Bucket[];

  /** @param weights  those that have gradients, from the first layer to the last */
  constructor(
    private readonly group: Communicator,
    weights: readonly tf.Variable[],
    private readonly type: GradientType,
  ) {
    this.buckets = bucketsOf(weights);
  }

  /** Bytes of the gradients of one step. */
  get bytes(): number {
    return this.buckets.reduce((sum, { values }) => sum + values.byteLength, 0);
  }

  /**
   * @param gradients  of this process, by `variable.name`; the caller keeps ownership
   * @returns          the sums under the same names, equal in all processes; the caller disposes them
   */
  async sum(gradients: tf.NamedTensorMap): Promise<tf.NamedTensorMap> {
    let travelled = Promise.resolve();
    for (const bucket of this.buckets) {
      const own = bucket.weights.map(({ name }) => gradients[name]);
      (tf.backend() as LazyBackend).computeOnly?.(own);
      let start = 0;
      for (const gradient of own) {
        bucket.values.set(await gradient.data<'float32'>(), start);
        start += gradient.size;
      }
      travelled = travelled.then(() => this.add(bucket.values));
      await setImmediate(); // sets it off
    }
    await travelled;
    return Object.fromEntries(this.buckets.flatMap(tensorsOf));
  }

  private add(values: Float32Array): Promise<void> {
    return this.type === 'float16' ? sumAsHalves(this.group, values) : this.group.allReduceSum(values);
  }
}

function bucketsOf(weights: readonly tf.Variable[]): Bucket[] {
  const groups: tf.Variable[][] = [];
  let bytes = BUCKET_BYTES;
  for (const weight of weights.toReversed()) {
    if (bytes >= BUCKET_BYTES) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)!.push(weight);
    bytes += 4 * weight.size;
  }
  return groups.map((group) => ({
    weights: group,
    values: new Float32Array(group.reduce((length, { size }) => length + size, 0)),
  }));
}

function tensorsOf({ weights, values }: Bucket): [string, tf.Tensor][] {
  let start = 0;
  return weights.map(({ name, shape, size }) => {
    start += size;
    return [name, tf.tensor(values.subarray(start - size, start), shape)];
  });
}
