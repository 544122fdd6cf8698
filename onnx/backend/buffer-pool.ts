/**
 * Memory for results, used again once its tensor is gone: a training step writes new weights into the memory of the
 * step before, and nothing of that size is allocated per step.
 */
import type { DType } from '../kernel-call.js';
import type { TensorData } from '../layout.js';

const ARRAY_TYPES = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;

/**
 * A fresh array of a tensor's type with arbitrary contents: memory that nobody cleared, so that the threads of the run
 * that writes it are the first to touch it.
 */
export function newArray(dtype: DType, length: number): TensorData {
  const { BYTES_PER_ELEMENT } = ARRAY_TYPES[dtype];
  return new ARRAY_TYPES[dtype](Buffer.allocUnsafeSlow(length * BYTES_PER_ELEMENT).buffer);
}

/** `values` as the array type that belongs to `dtype`: the same array if it already is. */
export function asArray(dtype: DType, values: ArrayLike<number>): TensorData {
  return values instanceof ARRAY_TYPES[dtype] ? values : ARRAY_TYPES[dtype].from(values);
}

/** Runs after which memory that nobody took is given up. */
const KEEP_RUNS = 16;

export class BufferPool {
  private readonly free = new Map<string, { data: TensorData; run: number }[]>();
  private run = 0;

  /** An array of `length` elements with arbitrary contents. */
  take(dtype: DType, length: number): TensorData {
    return this.free.get(`${dtype}${length}`)?.pop()?.data ?? newArray(dtype, length);
  }

  /** Gives an array back; the caller must hold no other reference to it. */
  give(dtype: DType, data: TensorData): void {
    const key = `${dtype}${data.length}`;
    const list = this.free.get(key) ?? [];
    list.push({ data, run: this.run });
    this.free.set(key, list);
  }

  /** Call once a run. */
  age(): void {
    this.run += 1;
    for (const [key, list] of this.free) {
      const kept = list.filter((entry) => this.run - entry.run <= KEEP_RUNS);
      if (kept.length > 0) this.free.set(key, kept);
      else this.free.delete(key);
    }
  }
}
