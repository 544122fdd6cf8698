/**
 * Struct arrays of MATLAB's MAT files, version 5 ("MAT-File Format", MathWorks): as much as the ImageNet challenge's
 * `meta.mat` needs. Fields are text or numbers; others are left out.
 */
import { inflateSync } from 'node:zlib';

/** Types of data elements. */
const INT8 = 1;
const MATRIX = 14;
const COMPRESSED = 15;
/** Classes of matrices. */
const STRUCT = 2;
const CHAR = 4;

const HEADER_BYTES = 128;

interface Element {
  type: number;
  data: Buffer;
  /** Offset behind it, padding included. */
  end: number;
}

interface Matrix {
  class: number;
  name: string;
  count: number;
  /** What follows dimensions and name. */
  rest: Buffer;
}

export type MatValue = string | number[];

/**
 * @param name  of the struct array
 * @returns     its elements, a record of fields each
 * @throws {Error} if it is not such a file, or has no such array
 */
export function readStructs(file: Buffer, name: string): Record<string, MatValue>[] {
  if (!file.subarray(0, 20).toString('latin1').startsWith('MATLAB 5.0 MAT-file'))
    throw new Error('no MAT file, version 5');
  if (file.toString('latin1', 126, 128) !== 'IM') throw new Error('a MAT file of a big-endian machine');
  for (let at = HEADER_BYTES; at + 8 <= file.length; ) {
    const outer = elementAt(file, at);
    const inner = outer.type === COMPRESSED ? elementAt(inflateSync(outer.data), 0) : outer;
    const matrix = inner.type === MATRIX ? matrixOf(inner.data) : undefined;
    if (matrix?.name === name && matrix.class === STRUCT) return structsOf(matrix);
    // Compressed elements are not padded.
    at = outer.type === COMPRESSED ? at + 8 + outer.data.length : outer.end;
  }
  throw new Error(`no struct array ${name}`);
}

function elementAt(bytes: Buffer, at: number): Element {
  const first = bytes.readUInt32LE(at);
  if (first >>> 16 !== 0)
    return { type: first & 0xffff, data: bytes.subarray(at + 4, at + 4 + (first >>> 16)), end: at + 8 };
  const length = bytes.readUInt32LE(at + 4);
  const end = at + 8 + length;
  if (end > bytes.length) throw new Error(`cut short: an element ends at byte ${end} of ${bytes.length}`);
  return { type: first, data: bytes.subarray(at + 8, end), end: Math.ceil(end / 8) * 8 };
}

function matrixOf(bytes: Buffer): Matrix {
  const flags = elementAt(bytes, 0);
  const dimensions = elementAt(bytes, flags.end);
  const name = elementAt(bytes, dimensions.end);
  let count = 1;
  for (let i = 0; i < dimensions.data.length; i += 4) count *= dimensions.data.readInt32LE(i);
  return { class: flags.data[0], name: name.data.toString('latin1'), count, rest: bytes.subarray(name.end) };
}

function structsOf({ count, rest }: Matrix): Record<string, MatValue>[] {
  const width = elementAt(rest, 0);
  const names = elementAt(rest, width.end);
  if (names.type !== INT8) throw new Error(`field names have the type ${names.type}`);
  const size = width.data.readInt32LE(0);
  const fields = Array.from({ length: names.data.length / size }, (_, i) =>
    names.data.toString('latin1', i * size, (i + 1) * size).replace(/\0.*$/s, ''),
  );
  let at = names.end;
  return Array.from({ length: count }, () => {
    const record: Record<string, MatValue> = {};
    for (const field of fields) {
      const { type, data, end } = elementAt(rest, at);
      at = end;
      const value = type === MATRIX && data.length > 0 ? matValue(matrixOf(data)) : undefined;
      if (value !== undefined) record[field] = value;
    }
    return record;
  });
}

function matValue({ class: kind, count, rest }: Matrix): MatValue | undefined {
  if (kind < CHAR || rest.length === 0) return undefined;
  if (count === 0) return kind === CHAR ? '' : [];
  const numbers = numbersOf(elementAt(rest, 0));
  if (kind !== CHAR) return numbers;
  return String.fromCodePoint(...numbers);
}

/** Numbers are stored in the smallest type that holds them. */
function numbersOf({ type, data }: Element): number[] {
  const readers: Record<number, [number, (at: number) => number]> = {
    1: [1, (at) => data.readInt8(at)],
    2: [1, (at) => data.readUInt8(at)],
    3: [2, (at) => data.readInt16LE(at)],
    4: [2, (at) => data.readUInt16LE(at)],
    5: [4, (at) => data.readInt32LE(at)],
    6: [4, (at) => data.readUInt32LE(at)],
    7: [4, (at) => data.readFloatLE(at)],
    9: [8, (at) => data.readDoubleLE(at)],
  };
  if (type === 16) return Array.from(data.toString('utf8'), (letter) => letter.codePointAt(0)!);
  if (type === 17) return Array.from(data.toString('utf16le'), (letter) => letter.codePointAt(0)!);
  const reader = readers[type];
  if (!reader) throw new Error(`numbers of type ${type}`);
  const [size, read] = reader;
  return Array.from({ length: Math.floor(data.length / size) }, (_, i) => read(i * size));
}
