/** One tensor's data in the backend: still to be computed, or computed and laid out as onnxruntime left it. */
import type { backend_util, TensorInfo } from '@tensorflow/tfjs-core';
import type { DType, KernelCall, Operand } from '../kernel-call.js';
import { identity, isIdentity, type Layout, permutation, type TensorData, toMemory, transpose } from '../layout.js';
import type { Tensor } from '../onnxruntime.js';
import { nativeTensor } from './binding.js';
import { asArray } from './buffer-pool.js';

/** Types that ONNX computes with here; complex64 and strings are kept as the cpu backend keeps them. */
export const isNumeric = (dtype: string): dtype is DType =>
  dtype === 'float32' || dtype === 'int32' || dtype === 'bool';

export class TensorRecord implements Operand {
  /** References from tfjs tensors; 0 once disposed. */
  refCount = 1;
  /** Pending kernel calls that read it. */
  readers = 0;
  /** The call that will compute it; undefined once computed. */
  source?: { call: KernelCall; output: number };
  layout: Layout;
  /** Values in memory order; undefined while pending. */
  data?: TensorData;
  /** Someone outside may hold `data`: the array is never used again for another tensor. */
  shared = false;
  complexTensorInfos?: { real: TensorInfo; imag: TensorInfo };
  /** Strings; or `data` in tfjs's order if its memory order is another. */
  private host?: backend_util.BackendValues;
  private native?: Tensor;
  private failure?: Error;

  /** @param compute  makes the backend compute this record, with whatever else is pending */
  constructor(
    readonly shape: readonly number[],
    readonly dtype: DType,
    private readonly compute: (record: TensorRecord) => void,
  ) {
    this.layout = identity(shape.length);
  }

  /** Values in tfjs's order, computed now if they are pending: what delegated kernels and `readSync` see. */
  get values(): backend_util.BackendValues | undefined {
    if (this.source) this.compute(this);
    if (this.failure) throw this.failure;
    if (!this.data) return this.host;
    if (isIdentity(this.layout)) {
      this.shared = true;
      return this.data;
    }
    const perm = permutation(this.layout, identity(this.shape.length));
    this.host ??= transpose(this.data, toMemory(this.shape, this.layout), perm);
    return this.host;
  }

  set values(values: backend_util.BackendValues | undefined) {
    if (values && isNumeric(this.dtype))
      this.setData(asArray(this.dtype, values as TensorData), identity(this.shape.length), true);
    else this.host = values;
  }

  setData(data: TensorData, layout: Layout, shared: boolean): void {
    this.data = data;
    this.layout = layout;
    this.shared = shared;
    this.source = undefined;
    this.native = undefined;
  }

  /** Computing it failed; every read says why. */
  fail(failure: Error): void {
    this.failure = failure;
    this.source = undefined;
    this.data = undefined;
  }

  /** Its values are not available: it stands for an input while a program is traced, or computing it failed. */
  get failed(): boolean {
    return this.failure !== undefined;
  }

  /** The tensor as onnxruntime reads or writes it. */
  get tensor(): Tensor {
    if (this.failure) throw this.failure;
    this.native ??= nativeTensor(this.dtype, this.data!, toMemory(this.shape, this.layout));
    return this.native;
  }
}
