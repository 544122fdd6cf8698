/** Tensors as files store them, and their numbers as float32. */
import { Float16Array } from '@petamoriken/float16';
import { UserError } from '../../base/errors.js';

/** A tensor in a file; its numbers are read when asked for. */
export interface StoredTensor {
  /** As the file calls it. */
  name: string;
  /** Row-major. */
  dims: readonly number[];
  /** @throws {UserError} when they are missing, cut short or of a type that is not a float */
  read(): Promise<Float32Array>;
}

/** Little-endian floats: IEEE 754 of 64, 32 and 16 bits, and the upper half of a float32. */
export type FloatType = 'F64' | 'F32' | 'F16' | 'BF16';

export function isFloatType(type: string): type is FloatType {
  return type === 'F64' || type === 'F32' || type === 'F16' || type === 'BF16';
}

/** Number of elements of a shape. */
export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, length) => product * length, 1);
}

/**
 * Numbers in a buffer of their own, whatever the alignment of `bytes`; float64 is rounded to the nearest.
 * @param where  names the tensor in errors
 * @throws {UserError} when their length is not that of `dims`
 */
export function toFloat32(where: string, bytes: Uint8Array, type: FloatType, dims: readonly number[]): Float32Array {
  const expected = sizeOf(dims) * ELEMENT_BYTES[type];
  if (bytes.length !== expected) {
    throw new UserError(`${where}: expected ${expected} bytes for ${type} [${dims.join(', ')}], got ${bytes.length}`);
  }
  const { buffer } = Uint8Array.from(bytes);
  switch (type) {
    case 'F64':
      return new Float32Array(new Float64Array(buffer));
    case 'F32':
      return new Float32Array(buffer);
    case 'F16':
      return Float32Array.from(new Float16Array(buffer));
    case 'BF16':
      return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer);
  }
}

const ELEMENT_BYTES: Record<FloatType, number> = { F64: 8, F32: 4, F16: 2, BF16: 2 };
