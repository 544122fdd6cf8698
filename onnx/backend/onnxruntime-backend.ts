/**
 * A tfjs backend that computes with onnxruntime: kernels with a lowering rule are recorded and run together, as one
 * ONNX graph, when a value is read; the rest is delegated to tfjs's own cpu backend, which this one extends.
 */

import type { TensorData } from '@tensorflow/tfjs-backend-cpu/dist/backend_cpu.js';
import type { backend_util, DataType, TensorInfo } from '@tensorflow/tfjs-core';
import { cpu } from '../../base/tfjs/backend-cpu.js';
import { util } from '../../base/tfjs/core.js';
import type { DType } from '../kernel-call.js';
import { activeProvider } from './choose-provider.js';
import { KEEPS_TENSORS } from './provider.js';

import { isNumeric, TensorRecord } from './record.js';
import { Recorder } from './recorder.js';

type DataId = object;

/** A copy of what a caller holds too. */
function owned(values: backend_util.BackendValues): backend_util.BackendValues {
  return ArrayBuffer.isView(values) ? (values as Float32Array).slice() : values;
}

/** Outlives backend instances: tfjs throws them away on `reset()`. */
export const recorder = new Recorder();

export class OnnxruntimeBackend extends cpu.MathBackendCPU {
  /** Copies: the caller may change its array afterwards. */
  override write(values: backend_util.BackendValues, shape: number[], dtype: DataType): DataId {
    return this.register(this.newRecord(owned(values), shape, dtype)).dataId;
  }

  override makeTensorInfo(
    shape: number[],
    dtype: DataType,
    values?: backend_util.BackendValues | string[],
  ): TensorInfo {
    const isText = dtype === 'string' && values != null && values.length > 0 && util.isString(values[0]);
    const data = isText
      ? (values as string[]).map((text) => util.encodeString(text))
      : (values as backend_util.BackendValues);
    return { dataId: this.register(this.newRecord(data, shape, dtype)).dataId, shape, dtype };
  }

  override move(
    dataId: DataId,
    values: backend_util.BackendValues,
    shape: number[],
    dtype: DataType,
    refCount: number,
  ): void {
    const record = this.newRecord(owned(values), shape, dtype);
    record.refCount = refCount;
    this.data.set(dataId, record as unknown as TensorData<DataType>);
  }

  /** Copies, as `write` does. */
  override readSync(dataId: DataId): backend_util.BackendValues {
    const { dtype } = this.data.get(dataId);
    const values = isNumeric(dtype) && this.recordOf(dataId).read();
    recorder.stretchEnds();
    return values || super.readSync(dataId);
  }

  /** Makes a record known to tfjs. */
  register(record: TensorRecord): TensorInfo {
    const dataId = {};
    this.data.set(dataId, record as unknown as TensorData<DataType>);
    return { dataId, shape: [...record.shape], dtype: record.dtype };
  }

  /** The record behind a tensor. */
  recordOf(dataId: DataId): TensorRecord {
    return this.data.get(dataId) as unknown as TensorRecord;
  }

  /**
   * Computes these tensors now, with what they depend on; what else was recorded waits for the next read.
   * @param memory  for each, as long as it is; to be left alone for as long as the tensor lives
   * @returns       which of them lie there: one that was computed before does not, nor one whose memory order is not tfjs's
   */
  computeInto(tensors: readonly TensorInfo[], memory: readonly Float32Array[]): boolean[] {
    const records = tensors.map(({ dataId }) => this.recordOf(dataId));
    recorder.computeOnly(new Map(records.map((record, i) => [record, memory[i]])));
    return records.map(({ data }, i) => data === memory[i]);
  }

  /** True if results of runs stay on a device. */
  get keepsTensors(): boolean {
    return KEEPS_TENSORS[activeProvider()];
  }

  /** Moves a tensor from the host to the device, where it stays. */
  keepOnDevice({ dataId }: TensorInfo): void {
    this.recordOf(dataId).keepOnDevice();
  }

  override disposeData(dataId: DataId, force = false): boolean {
    const record = this.data.has(dataId) ? this.recordOf(dataId) : undefined;
    const gone = super.disposeData(dataId, force);
    if (gone && record) {
      record.refCount = 0;
      recorder.release(record, 0);
    }
    return gone;
  }

  private newRecord(values: backend_util.BackendValues | undefined, shape: number[], dtype: DataType): TensorRecord {
    const record = new TensorRecord(shape, dtype as DType, recorder.compute);
    record.values = values;
    return record;
  }
}
