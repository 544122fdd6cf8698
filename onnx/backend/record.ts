/** One tensor's data in the backend: still to be computed, or computed and laid out as onnxruntime left it. */
import type { backend_util, TensorInfo } from '@tensorflow/tfjs-core';
import { util } from '../../base/tfjs/core.js';
import type { DType, KernelCall, Operand } from '../kernel-call.js';
import { identity, isIdentity, type Layout, permutation, type TensorData, toMemory, transpose } from '../layout.js';
import type { Tensor } from '../onnxruntime.js';
import { nativeTensor } from './binding.js';
import { asArray, newArray } from './buffer-pool.js';
import { toDevice, toHost } from './device-copy.js';

/** Types that ONNX computes with here; complex64 and strings are kept as the cpu backend keeps them. */
export const isNumeric = (dtype: string): dtype is DType =>
  dtype === 'float32' || dtype === 'int32' || dtype === 'bool';

/** Smaller tensors are not worth a copy of their own. */
const MIN_KEPT_BYTES = 4096;

export class TensorRecord implements Operand {
  /** References from tfjs tensors; 0 once disposed. */
  refCount = 1;
  /** Pending kernel calls that read it. */
  readers = 0;
  /** The call that will compute it; undefined once computed. */
  source?: { call: KernelCall; output: number };
  layout: Layout;
  /** Someone outside may hold `data`: the array is never used again for another tensor. */
  shared = false;
  /** A variable had this value. */
  wasVariable = false;
  /** As the recorder counts them, while only pending calls hold the tensor. */
  heldBytes = 0;
  complexTensorInfos?: { real: TensorInfo; imag: TensorInfo };
  /** Strings; or `data` in tfjs's order if its memory order is another. */
  private host?: backend_util.BackendValues;
  /** In the host's memory. */
  private array?: TensorData;
  private native?: Tensor;
  /** In the device's memory; then `array` is absent, or holds the same. */
  private device?: Tensor;
  /** Runs that read it from the host's memory. */
  private feeds = 0;
  /** Why it has no values. */
  failure?: Error;

  /** @param compute  makes the backend compute this record, with whatever else is pending */
  constructor(
    readonly shape: readonly number[],
    readonly dtype: DType,
    private readonly compute: (record: TensorRecord) => void,
  ) {
    this.layout = identity(shape.length);
  }

  /** Values in memory order, fetched from the device if they lie there; undefined while pending. */
  get data(): TensorData | undefined {
    if (!this.array && this.device) {
      this.array = toHost(this.device);
      this.shared = true;
    }
    return this.array;
  }

  /** Of values that lie in the host's memory. */
  get hostBytes(): number {
    return this.array?.byteLength ?? 0;
  }

  /** Values in tfjs's order, computed now if they are pending: what delegated kernels see and must not change. */
  get values(): backend_util.BackendValues | undefined {
    const data = this.computed();
    if (!data) return this.host;
    if (isIdentity(this.layout)) {
      this.shared = true;
      return data;
    }
    this.host ??= this.inOrder(data);
    return this.host;
  }

  /** As many values as the shape says, for kernels of the cpu backend. */
  get sizedValues(): TensorData {
    return this.sized(this.values as TensorData);
  }

  /** A copy of the values, for a caller who may sort it or write to it. */
  read(): backend_util.BackendValues | undefined {
    const data = this.computed();
    if (!data) return this.host;
    return isIdentity(this.layout) ? data.slice() : this.inOrder(data);
  }

  private computed(): TensorData | undefined {
    if (this.source) this.compute(this);
    if (this.failure) throw this.failure;
    return this.data;
  }

  private inOrder(data: TensorData): TensorData {
    return transpose(data, toMemory(this.shape, this.layout), permutation(this.layout, identity(this.shape.length)));
  }

  set values(values: backend_util.BackendValues | undefined) {
    if (values && isNumeric(this.dtype))
      this.setData(asArray(this.dtype, values as TensorData), identity(this.shape.length), true);
    else this.host = values;
  }

  setData(data: TensorData, layout: Layout, shared: boolean): void {
    this.array = data;
    this.layout = layout;
    this.shared = shared;
    this.source = undefined;
    this.native = undefined;
  }

  /** Takes what onnxruntime allocated. @param memory  where it is to lie, if in the host's memory */
  take(tensor: Tensor, layout: Layout, memory?: TensorData): void {
    if (tensor.location === 'cpu') {
      const data = tensor.data as TensorData;
      memory?.set(data);
      this.setData(memory ?? data, layout, true);
      return;
    }
    this.device = tensor;
    this.layout = layout;
    this.source = undefined;
  }

  /** Moves values from the host to the device. */
  keepOnDevice(): void {
    this.device ??= toDevice(this.tensor);
    this.array = undefined;
    this.native = undefined;
  }

  /** Gives up its memory. @returns an array that can be used again, if it has one */
  free(): TensorData | undefined {
    this.device?.dispose();
    this.device = undefined;
    if (this.shared) return undefined;
    const { array } = this;
    this.array = undefined;
    return array;
  }

  /** Computing it failed; every read says why. */
  fail(failure: Error): void {
    this.failure = failure;
    this.source = undefined;
    this.array = undefined;
  }

  /** Its values are not available: it stands for an input while a program is traced, or computing it failed. */
  get failed(): boolean {
    return this.failure !== undefined;
  }

  /** The tensor as onnxruntime reads or writes it in the host's memory. */
  get tensor(): Tensor {
    if (this.failure) throw this.failure;
    this.native ??= nativeTensor(this.dtype, this.sized(this.array!), toMemory(this.shape, this.layout));
    return this.native;
  }

  /** tfjs lets a tensor have fewer values than its shape says; kernels of the cpu backend see NaN then, and so do ours. */
  private sized(array: TensorData): TensorData {
    const length = util.sizeFromShape([...this.shape]);
    if (array.length === length) return array;
    const sized = newArray(this.dtype, length).fill(this.dtype === 'float32' ? Number.NaN : 0);
    sized.set(array.subarray(0, length));
    return sized;
  }

  /**
   * The tensor as a run reads it, from the device if it lies there.
   * @param stays  where the device keeps tensors: one that is read from the host again stays there from then on
   */
  fed(stays: boolean): Tensor {
    if (this.device) return this.device;
    const { tensor } = this;
    this.feeds += 1;
    if (!stays || this.feeds < 2 || this.array!.byteLength < MIN_KEPT_BYTES) return tensor;
    this.device = toDevice(tensor);
    return this.device;
  }
}
