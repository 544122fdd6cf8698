/** Images are prepared and probabilities computed in float32, also for models whose input or output is float16. */
import { Float16Array } from '@petamoriken/float16';
import type { Datatype } from '../tensors.js';

/** Values as the input of a model takes them; those of float16 as their bits. */
export function asInput(
  datatype: Datatype,
  values: Uint8Array | Float32Array,
): Uint8Array | Float32Array | Uint16Array {
  return datatype === 'FP16' ? new Uint16Array(new Float16Array(values).buffer) : values;
}

/** @param bytes  of float32, or of float16 where `isHalf`; float32 is not copied */
export function floatsOf({ buffer, byteOffset, byteLength }: ArrayBufferView, isHalf: boolean): Float32Array {
  const bits = buffer as ArrayBuffer;
  if (!isHalf) return new Float32Array(bits, byteOffset, byteLength / 4);
  return Float32Array.from(new Float16Array(bits, byteOffset, byteLength / 2));
}
