/**
 * A sum over processes with half the bytes: numbers travel as float16 and are added as float32. Every process adds one
 * part of the places, which the others send it, and sends its sums to all, as a ring all-reduce does. Parts are scaled
 * by a power of two before they are rounded, so that the largest number is near the top of float16's range: all down to
 * 2⁻²⁸ of it keep 11 bits. Gradients as they are would lose bits below 6e-5.
 */
import type { Communicator } from './communicator.js';

/** In front of the numbers of a part: what they were multiplied by, float32. */
const HEADER_BYTES = 4;
/** Numbers are scaled to below 2^15, half of float16's largest. */
const TOP = 14;

/** Adds `values` over all processes, in place; each is rounded to 11 bits twice. */
export async function sumAsHalves(group: Communicator, values: Float32Array): Promise<void> {
  const { rank, size } = group;
  const length = Math.ceil(values.length / size);
  const message = HEADER_BYTES + 2 * (length + (length % 2));
  const part = (of: number) => values.subarray(of * length, (of + 1) * length);

  const own = new Uint8Array(message * size);
  for (let to = 0; to < size; to++) encode(part(to), own.subarray(to * message, (to + 1) * message));
  const came = await group.allToAll(own);
  const sums = part(rank).fill(0);
  for (let from = 0; from < size; from++) decodeAdd(came.subarray(from * message, (from + 1) * message), sums);
  const summed = new Uint8Array(message);
  encode(sums, summed);
  const all = await group.allGather(summed);
  for (const [of, bytes] of all.entries()) decodeAdd(bytes, part(of).fill(0));
}

function encode(values: Float32Array, message: Uint8Array): void {
  const scale = scaleFor(values);
  new DataView(message.buffer, message.byteOffset).setFloat32(0, scale, true);
  toHalves(values, scale, halvesOf(message));
}

/** sums ← sums + the numbers of a message. */
function decodeAdd(message: Uint8Array, sums: Float32Array): void {
  const inverse = 1 / new DataView(message.buffer, message.byteOffset).getFloat32(0, true);
  const halves = halvesOf(message);
  for (let i = 0; i < sums.length; i++) sums[i] += HALVES[halves[i]] * inverse;
}

function halvesOf(message: Uint8Array): Uint16Array {
  return new Uint16Array(message.buffer, message.byteOffset + HEADER_BYTES, (message.length - HEADER_BYTES) / 2);
}

/** The power of two for these numbers; 1 if all are 0 or one is not finite. */
function scaleFor(values: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const value = Math.abs(values[i]);
    if (!(value <= largest)) largest = value;
  }
  if (largest === 0 || !Number.isFinite(largest)) return 1;
  return 2 ** Math.min(TOP - Math.floor(Math.log2(largest)), 126);
}

const word = new Float32Array(1);
const wordBits = new Uint32Array(word.buffer);
/** Adding and taking it away rounds a float32 to a whole number, ties to even. */
const ROUNDING = 1.5 * 2 ** 23;
const SMALLEST_NORMAL = 2 ** -14;

/** The bits of values · scale as float16 (IEEE 754, ties to even). */
export function toHalves(values: Float32Array, scale: number, halves: Uint16Array): void {
  for (let i = 0; i < values.length; i++) {
    word[0] = values[i] * scale;
    const bits = wordBits[0];
    const sign = (bits >>> 16) & 0x8000;
    const magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x47800000) halves[i] = sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
    else if (magnitude >= 0x38800000)
      halves[i] = sign + ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
    else halves[i] = sign | (Math.fround((Math.abs(word[0]) / SMALLEST_NORMAL) * 1024 + ROUNDING) - ROUNDING);
  }
}

/** The number of each of the 2¹⁶ patterns. */
const HALVES = Float32Array.from({ length: 2 ** 16 }, (_, bits) => {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
});
