/**
 * Reads NumPy's .npy files (numpy/lib/format.py, version 1.0): magic, header length, a Python dictionary as text, the
 * values.
 */
import { readFileSync } from 'node:fs';

const MAGIC = '\x93NUMPY\x01\x00';

const READERS: Record<string, (values: ArrayBuffer) => Float32Array> = {
  '<f4': (values) => new Float32Array(values),
  '<i8': (values) => Float32Array.from(new BigInt64Array(values), Number), // labels
};

/** An array in C order. */
export interface NpyArray {
  shape: number[];
  values: Float32Array;
}

/** @throws {Error} when the file is none of version 1.0 with little-endian float32 or int64 in C order */
export function readNpy(path: string): NpyArray {
  const file = readFileSync(path);
  const magic = file.toString('latin1', 0, MAGIC.length);
  const start = MAGIC.length + 2 + file.readUInt16LE(MAGIC.length);
  const header = file.toString('latin1', MAGIC.length + 2, start);
  const [, type] = /'descr': '([^']+)'/.exec(header) ?? [];
  const [, shape] = /'shape': \(([^)]*)\)/.exec(header) ?? [];
  const read = READERS[type];
  if (magic !== MAGIC || read === undefined || shape === undefined || !header.includes("'fortran_order': False")) {
    throw new Error(`${path}: expected .npy 1.0 of <f4 or <i8 in C order, got ${JSON.stringify(magic + header)}`);
  }
  const values = file.buffer.slice(file.byteOffset + start, file.byteOffset + file.length) as ArrayBuffer;
  return {
    shape: shape
      .split(',')
      .filter((side) => side.trim() !== '')
      .map(Number),
    values: read(values),
  };
}
