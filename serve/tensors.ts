/** Tensors as the Open Inference Protocol names and writes them: little-endian, row-major, no padding. */

/** Datatypes by their names in the protocol: bytes per element, onnxruntime's name, and the number in onnx.proto. */
export const DATATYPES = {
  BOOL: { bytes: 1, ort: 'bool', onnx: 9 },
  UINT8: { bytes: 1, ort: 'uint8', onnx: 2 },
  UINT16: { bytes: 2, ort: 'uint16', onnx: 4 },
  UINT32: { bytes: 4, ort: 'uint32', onnx: 12 },
  UINT64: { bytes: 8, ort: 'uint64', onnx: 13 },
  INT8: { bytes: 1, ort: 'int8', onnx: 3 },
  INT16: { bytes: 2, ort: 'int16', onnx: 5 },
  INT32: { bytes: 4, ort: 'int32', onnx: 6 },
  INT64: { bytes: 8, ort: 'int64', onnx: 7 },
  FP16: { bytes: 2, ort: 'float16', onnx: 10 },
  FP32: { bytes: 4, ort: 'float32', onnx: 1 },
  FP64: { bytes: 8, ort: 'float64', onnx: 11 },
} as const;

export type Datatype = keyof typeof DATATYPES;

/** What a model takes or gives; −1 is a length that is free. */
export interface TensorSpec {
  name: string;
  datatype: Datatype;
  shape: number[];
}

/** As the file has it: free lengths have names there, or ''. */
export interface NamedSpec extends TensorSpec {
  axes: string[];
}

export interface Tensor {
  name: string;
  datatype: Datatype;
  shape: number[];
  bytes: Uint8Array;
}

export function datatypeOf(key: 'ort' | 'onnx', value: string | number | null | undefined): Datatype | undefined {
  return (Object.keys(DATATYPES) as Datatype[]).find((name) => DATATYPES[name][key] === value);
}

/** Number of elements; of a shape with free lengths, of one along each. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * Math.abs(length), 1);
}

/** `[-1, 256, 256, 3]` allows any first length. */
export function allows(spec: readonly number[], shape: readonly number[]): boolean {
  return spec.length === shape.length && spec.every((length, axis) => length === -1 || length === shape[axis]);
}

type Numbers = Exclude<ArrayBufferView, DataView> & { [index: number]: number | bigint; length: number };

const ARRAYS = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const;

/**
 * A typed array of its own over a copy of `bytes`, which may lie anywhere in a larger buffer; float16 stays as its
 * bits.
 */
export function numbersOf(datatype: Datatype, bytes: Uint8Array): Numbers {
  return new ARRAYS[datatype](Uint8Array.from(bytes).buffer) as Numbers;
}

/** Zeroes to be filled. */
export function zeroes(datatype: Datatype, count: number): Numbers {
  return new ARRAYS[datatype](count) as Numbers;
}

export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

/** For errors; free axes by their names, else as N. @param anyBatch  whatever the length of the first axis */
export function describeTensor(
  { name, datatype, shape, axes }: TensorSpec & Partial<NamedSpec>,
  anyBatch = false,
): string {
  const lengths = shape.map((length, axis) => {
    if (anyBatch && axis === 0) return 'N';
    return length === -1 ? axes?.[axis] || 'N' : length;
  });
  return `${name} ${datatype} [${lengths.join(', ')}]`;
}
