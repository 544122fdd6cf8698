/**
 * Tensors of ONNX files (onnx/onnx.proto, TensorProto): numbers in `raw_data`, in the field of their type, or in a file
 * next to the model (`data_location` EXTERNAL, onnx/docs/ExternalData.md).
 */
import { UserError } from '../../base/errors.js';
import type { Roots } from '../../base/links.js';
import { isExternal, readExternalData } from './external-data.js';
import { onnx } from './onnx-proto.js';
import { type FloatType, type StoredTensor, sizeOf, toFloat32 } from './stored-tensor.js';

const { DataType } = onnx.TensorProto;
type TensorProto = onnx.ITensorProto;

const FLOAT_TYPES: Record<number, FloatType> = {
  [DataType.FLOAT]: 'F32',
  [DataType.FLOAT16]: 'F16',
  [DataType.DOUBLE]: 'F64',
  [DataType.BFLOAT16]: 'BF16',
};

/**
 * @param model  path of the model's file
 * @param roots  folders in which data next to it may lie; undefined for its own
 */
export function storedTensor(model: string, tensor: TensorProto, roots?: Roots): StoredTensor {
  const name = tensor.name ?? '';
  const dims = (tensor.dims ?? []).map(Number);
  return { name, dims, read: () => readTensor(model, tensor, dims, roots) };
}

async function readTensor(model: string, tensor: TensorProto, dims: number[], roots?: Roots): Promise<Float32Array> {
  const where = `${model}: ${tensor.name ?? ''}`;
  const type = FLOAT_TYPES[tensor.dataType ?? 0];
  if (!type) {
    throw new UserError(
      `${where}: expected floats (FLOAT, FLOAT16, BFLOAT16, DOUBLE), got ${DataType[tensor.dataType ?? 0]}`,
    );
  }
  if (isExternal(tensor)) return toFloat32(where, await readExternalData(model, tensor, roots), type, dims);
  if (tensor.rawData?.length) return toFloat32(where, tensor.rawData, type, dims);
  return fromTypedField(where, tensor, type, dims);
}

/** `float_data`, `double_data`, or 16 bits in each entry of `int32_data`. */
function fromTypedField(where: string, tensor: TensorProto, type: FloatType, dims: number[]): Float32Array {
  const numbers = { F32: tensor.floatData, F64: tensor.doubleData, F16: tensor.int32Data, BF16: tensor.int32Data }[
    type
  ];
  const count = numbers?.length ?? 0;
  if (count !== sizeOf(dims)) {
    throw new UserError(`${where}: expected ${sizeOf(dims)} numbers for [${dims.join(', ')}], got ${count}`);
  }
  if (type === 'F32' || type === 'F64') return Float32Array.from(numbers ?? []);
  return toFloat32(where, new Uint8Array(Uint16Array.from(numbers ?? []).buffer), type, dims);
}
