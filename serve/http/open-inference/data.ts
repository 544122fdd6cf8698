/**
 * Values of tensors in JSON and in bytes. Strings stand for themselves in JSON, and behind their length (uint32,
 * little-endian) in bytes.
 */
import { RequestError } from '../../errors.js';
import { bytesOf, type Datatype, elementCount, numbersOf, type Tensor, zeroes } from '../../tensors.js';
import { bytesOfBase64 } from '../json/base64.js';

/** Values that each integer type holds. */
const RANGES: Partial<Record<Datatype, readonly [number, number]>> = {
  UINT8: [0, 2 ** 8 - 1],
  UINT16: [0, 2 ** 16 - 1],
  UINT32: [0, 2 ** 32 - 1],
  UINT64: [0, Number.MAX_SAFE_INTEGER],
  INT8: [-(2 ** 7), 2 ** 7 - 1],
  INT16: [-(2 ** 15), 2 ** 15 - 1],
  INT32: [-(2 ** 31), 2 ** 31 - 1],
  INT64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
};

/**
 * Numbers of a JSON array, flat or nested as the shape.
 * @param where  stands in front of what is wrong
 * @throws {RequestError} BAD_REQUEST
 */
export function bytesOfJson(where: string, data: unknown, datatype: Datatype, shape: readonly number[]): Uint8Array {
  const bad = (problem: string) => new RequestError('BAD_REQUEST', `${where}: data: ${problem}`);
  if (datatype === 'FP16') throw bad('JSON cannot hold FP16; send it as binary data');
  if (!Array.isArray(data)) throw bad('expected an array');
  const values = flatten(data, shape, bad);
  const count = elementCount(shape);
  if (values.length !== count) throw bad(`expected ${count} values for the shape [${shape}], got ${values.length}`);
  const numbers = zeroes(datatype, count);
  const range = RANGES[datatype];
  const isBig = datatype === 'INT64' || datatype === 'UINT64';
  for (let i = 0; i < count; i++) {
    const value = datatype === 'BOOL' ? Number(values[i]) : values[i];
    if (typeof value !== 'number') throw bad(`value ${i}: expected a number, got ${nameOf(values[i])}`);
    if (range && !(Number.isInteger(value) && value >= range[0] && value <= range[1]))
      throw bad(`value ${i}: expected a whole number from ${range[0]} to ${range[1]}, got ${value}`);
    numbers[i] = isBig ? BigInt(value) : value;
  }
  return bytesOf(numbers);
}

/** @returns the values in order; arrays inside arrays only where the shape has as many axes */
function flatten(data: unknown[], shape: readonly number[], bad: (problem: string) => RequestError): unknown[] {
  let level = data;
  for (let axis = 1; Array.isArray(level[0]); axis++) {
    if (axis >= shape.length) throw bad(`nested more deeply than the shape [${shape}]`);
    const next: unknown[] = [];
    for (const part of level) {
      if (!Array.isArray(part) || part.length !== shape[axis])
        throw bad(`expected arrays of ${shape[axis]} along axis ${axis} of the shape [${shape}]`);
      for (const value of part) next.push(value);
    }
    level = next;
  }
  return level;
}

/** For a message: what is nested may be megabytes of text. */
function nameOf(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return JSON.stringify(value).slice(0, 40);
}

/** @throws {RequestError} BAD_REQUEST unless it is `count` images in base64 */
export function stringsOfJson(where: string, data: unknown, count: number): Buffer[] {
  const bad = (problem: string) => new RequestError('BAD_REQUEST', `${where}: data: ${problem}`);
  if (!Array.isArray(data)) throw bad('expected an array');
  const texts = data.flat();
  if (texts.length !== count) throw wrongCount(where, count, texts.length);
  return texts.map((text) => {
    const bytes = typeof text === 'string' ? bytesOfBase64(text) : undefined;
    if (!bytes) throw bad('expected images in base64');
    return bytes;
  });
}

function wrongCount(where: string, count: number, got: number | string): RequestError {
  return new RequestError('BAD_REQUEST', `${where}: expected ${count} images for the shape, got ${got}`);
}

/** @throws {RequestError} BAD_REQUEST unless it is `count` strings */
export function stringsOfBytes(where: string, bytes: Buffer, count: number): Buffer[] {
  const strings: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (strings.length === count) throw wrongCount(where, count, 'more');
    const start = at + 4;
    const end = start <= bytes.length ? start + bytes.readUInt32LE(at) : Number.POSITIVE_INFINITY;
    if (end > bytes.length)
      throw new RequestError(
        'BAD_REQUEST',
        `${where}: element ${strings.length} goes beyond the ${bytes.length} bytes`,
      );
    strings.push(bytes.subarray(start, end));
    at = end;
  }
  if (strings.length !== count) throw wrongCount(where, count, strings.length);
  return strings;
}

export function bytesOfStrings(strings: readonly string[]): Buffer {
  return Buffer.concat(
    strings.flatMap((text) => {
      const bytes = Buffer.from(text, 'utf8');
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}

/** @throws {RequestError} BAD_REQUEST if JSON has no form for them */
export function jsonOf({ name, datatype, bytes }: Tensor): (number | boolean)[] {
  if (datatype === 'FP16')
    throw new RequestError('BAD_REQUEST', `output "${name}": JSON cannot hold FP16; ask for it with binary_data`);
  return Array.from(numbersOf(datatype, bytes) as ArrayLike<number | bigint>, (value) =>
    datatype === 'BOOL' ? value !== 0 : Number(value),
  );
}
