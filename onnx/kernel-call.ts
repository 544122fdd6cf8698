/**
 * A tfjs program as data: the kernel calls it made, in order. Recorded by the lazy backend; lowered to ONNX for a file
 * or a session.
 */
import type { Layout, TensorData } from './layout.js';

/** Types of tensors that ONNX computes with here; complex64 and strings stay with the cpu backend. */
export type DType = 'float32' | 'int32' | 'bool';

/** What is known of a tensor before it is computed. */
export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/**
 * A tensor that a kernel call reads: an earlier call's output, or a leaf (`source` undefined) with data or fed from
 * outside.
 */
export interface Operand extends TensorSpec {
  readonly source?: { readonly call: KernelCall; readonly output: number };
  /** Order of a leaf's axes in memory. */
  readonly layout: Layout;
  /** A leaf's values in memory order; absent if they are fed from outside. */
  readonly data?: TensorData;
}

/** Kernel attributes as tfjs passes them. */
// biome-ignore lint/suspicious/noExplicitAny: tfjs gives each kernel attributes of its own type
export type Attrs = Record<string, any>;

export interface KernelCall {
  readonly kernel: string;
  readonly inputs: readonly (Operand | undefined)[];
  readonly attrs: Attrs;
  readonly outputs: readonly TensorSpec[];
  /** Kernel and attributes as text. */
  readonly signature: string;
  /** The same call with numbers among its attributes as an input, where they change from step to step: see `LOOSE`. */
  readonly loose?: { readonly signature: string; readonly attrs: Attrs; readonly numbers: Operand };
  /** Label under which its nodes appear: a layer's name while a model is traced. */
  readonly scope: string;
}

/** Attributes as text that tells all of them apart: JSON alone writes NaN, ∞ and −∞ as null, and −0 as 0. */
export function textOf(attrs: object): string {
  const exact = (_key: string, value: unknown) =>
    typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))
      ? `${Object.is(value, -0) ? '-' : ''}${value}`
      : value;
  return JSON.stringify(attrs, exact);
}
