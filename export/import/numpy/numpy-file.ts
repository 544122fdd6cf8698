/**
 * NumPy's files (numpy/lib/format.py): `.npy`, one array, which may be an object such as bvlc_alexnet.npy's dictionary
 * {layer: [kernel, bias]}; `.npz`, a ZIP archive of them.
 */
import { UserError } from '../../../base/errors.js';
import { readRange } from '../../../onnx/file/safetensors.js';
import { type FloatType, type StoredTensor, toFloat32 } from '../../../onnx/file/stored-tensor.js';
import { type Bytes, FileBytes, inMemory } from '../../../onnx/file/wire.js';
import { transpose } from '../../../onnx/layout.js';
import { containers } from '../pickle/containers.js';
import { readPickle } from '../pickle/read-pickle.js';
import { unpickle } from '../pickle/unpickle.js';
import { kindOf, Span, type Value } from '../pickle/values.js';
import { readMember, type ZipMember } from '../zip.js';
import { NdArray, numpyGlobals } from './numpy-globals.js';

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
/** Of a header, which is a line of text. */
const MAX_HEADER_BYTES = 65_536;
/** An array and what it is the data of; caffe-tensorflow's dictionaries are two deep. */
const MAX_DEPTH = 4;

/** A dtype of Python objects. */
const OBJECT = /O/;

const FLOATS: Record<string, FloatType> = { f2: 'F16', f4: 'F32', f8: 'F64' };

/** Where the bytes of a `.npy` are: a file, or an archive's member. */
export interface NpyBytes {
  path: string;
  source: Bytes;
  size: number;
  /** Later, when `source` may be closed. */
  read(from: number, to: number): Promise<Uint8Array>;
}

export const isNpy = (head: Buffer): boolean => head.subarray(0, MAGIC.length).equals(MAGIC);

/** @throws {UserError} if the file is damaged or holds something else than arrays */
export async function openNpy(path: string): Promise<StoredTensor[]> {
  const file = new FileBytes(path);
  try {
    const read = (from: number, to: number) => readRange(path, from, to - from);
    return tensorsOf({ path, source: file, size: file.size, read }, '');
  } finally {
    file.close();
  }
}

/** @throws {UserError} as `openNpy` */
export async function openNpz(path: string, members: ReadonlyMap<string, ZipMember>): Promise<StoredTensor[]> {
  const tensors: StoredTensor[] = [];
  for (const member of members.values()) {
    if (!member.name.endsWith('.npy')) continue;
    const where = `${path}: ${member.name}`;
    const read = (from: number, to: number) => readMember(path, member, from, to);
    const npy = async (end: number) => ({ path: where, source: inMemory(await read(0, end)), size: member.size, read });
    const head = await npy(Math.min(member.size, MAX_HEADER_BYTES));
    const isObject = OBJECT.test(headerOf(head).descr);
    const name = member.name.slice(0, -'.npy'.length);
    tensors.push(...tensorsOf(isObject ? await npy(member.size) : head, name));
  }
  return tensors;
}

/** Those of one `.npy`. @param name  of the array, empty if it has none */
export function tensorsOf(npy: NpyBytes, name: string): StoredTensor[] {
  const array = headerOf(npy);
  if (!OBJECT.test(array.descr)) return [storedTensor(npy, name, array)];
  const { start } = array.data as Span;
  const globals = (global: string) => containers(global) ?? numpyGlobals(global);
  const { value } = readPickle(npy.path, () => unpickle(npy.source, start, npy.size, { globals }));
  const tensors = collect(npy, value, name, 0);
  if (tensors.length > 0) return tensors;
  throw new UserError(
    `${npy.path}: expected a dictionary of layers, {"conv1": [kernel, bias], …}, got ${kindOf(value)}`,
  );
}

function headerOf({ path, source, size }: NpyBytes): NdArray {
  const start = Buffer.from(source.bytes(0, Math.min(size, 12)));
  const lengthBytes = start[6] === 1 ? 2 : 4;
  const textAt = 8 + lengthBytes;
  const length = start.length < 12 || !isNpy(start) ? Number.NaN : start.readUIntLE(8, lengthBytes);
  if (!(length <= MAX_HEADER_BYTES - 12 && textAt + length <= size)) {
    throw new UserError(`${path}: damaged or cut short: expected the header of a .npy file`);
  }
  const text = Buffer.from(source.bytes(textAt, textAt + length)).toString('latin1');
  const [, descr] = /'descr':\s*'([^']*)'/.exec(text) ?? [];
  const [, order] = /'fortran_order':\s*(True|False)/.exec(text) ?? [];
  const [, shape] = /'shape':\s*\(([\d,\sL]*)\)/.exec(text) ?? [];
  if (descr === undefined || order === undefined || shape === undefined) {
    throw new UserError(
      `${path}: expected a header with descr, fortran_order and shape, got ${text.trim().slice(0, 80)}`,
    );
  }
  const array = new NdArray();
  array.descr = descr;
  array.isFortran = order === 'True';
  array.shape = (shape.match(/\d+/g) ?? []).map(Number);
  array.data = new Span(textAt + length, size);
  return array;
}

/** Arrays by the names that lead to them; a pair is a kernel and its bias. */
function collect(npy: NpyBytes, value: Value, name: string, depth: number): StoredTensor[] {
  if (depth > MAX_DEPTH) throw new UserError(`${npy.path}: ${name}: nested too deep`);
  const within = (key: Value) => (name === '' ? `${key}` : `${name}/${key}`);
  if (value instanceof NdArray) {
    if (!Array.isArray(value.data)) return [storedTensor(npy, name, value)];
    return isPair(value.data)
      ? collect(npy, value.data, name, depth + 1)
      : value.data.flatMap((item) => collect(npy, item, name, depth + 1));
  }
  if (value instanceof Map) return [...value].flatMap(([key, item]) => collect(npy, item, within(key), depth + 1));
  if (!Array.isArray(value) || !isPair(value)) return [];
  return value.flatMap((item, i) => collect(npy, item, within(['kernel', 'bias'][i]), depth + 1));
}

const isPair = (items: Value[]): boolean =>
  (items.length === 1 || items.length === 2) &&
  items.every((item) => item instanceof NdArray && !Array.isArray(item.data));

function storedTensor(
  { path, read }: NpyBytes,
  name: string,
  { descr, shape, isFortran, data }: NdArray,
): StoredTensor {
  const where = name === '' ? path : `${path}: ${name}`;
  return {
    name,
    dims: shape,
    read: async () => {
      const type = FLOATS[descr.replace(/^[<=|]/, '')];
      if (type === undefined) throw new UserError(`${where}: expected little-endian floats, got "${descr}"`);
      const bytes = data instanceof Span ? await read(data.start, data.end) : Buffer.from(data as string, 'latin1');
      const numbers = toFloat32(where, bytes, type, shape);
      if (!isFortran || shape.length < 2) return numbers;
      const turned = shape.map((_, axis) => shape.length - 1 - axis);
      return transpose(numbers, shape.toReversed(), turned);
    },
  };
}
