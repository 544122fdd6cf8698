/**
 * Reads safetensors files (huggingface/safetensors, README "Format"): the header's length as 8 bytes, little-endian;
 * the header, a JSON object {name: {dtype, shape, data_offsets: [begin, end]}}; the tensors' bytes without gaps,
 * offsets counted from the header's end. Only the header is read at first, then the tensors that are asked for.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { UserError } from '../../base/errors.js';
import { requireFile } from '../../base/require-file.js';
import { isFloatType, type StoredTensor, sizeOf, toFloat32 } from './stored-tensor.js';

/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;

const DTYPE_BYTES: Record<string, number> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
};

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/**
 * The tensors in the order in which their bytes lie.
 * @throws {UserError} when the file is absent, no safetensors file, cut short, or its header contradicts itself
 */
export async function openSafetensors(path: string): Promise<StoredTensor[]> {
  const file = await openFile(path);
  try {
    const { size } = await file.stat();
    const { header, dataStart } = await readHeader(file, path, size);
    const entries = Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(([name, entry]) => ({ name, ...checkEntry(path, name, entry) }))
      .sort((a, b) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1]);
    checkCoverage(path, entries, dataStart, size);
    return entries.map(({ name, dtype, shape, data_offsets: [begin, end] }) => ({
      name,
      dims: shape,
      read: async () => {
        if (!isFloatType(dtype)) throw new UserError(`${path}: ${name}: expected floats, got ${dtype}`);
        return toFloat32(`${path}: ${name}`, await readRange(path, dataStart + begin, end - begin), dtype, shape);
      },
    }));
  } finally {
    await file.close();
  }
}

async function openFile(path: string): Promise<FileHandle> {
  requireFile(path);
  return open(path).catch((cause: NodeJS.ErrnoException) => {
    throw new UserError(`${path}: cannot be opened: ${cause.code === 'ENOENT' ? 'no such file' : cause.message}`, {
      cause,
    });
  });
}

async function readHeader(file: FileHandle, path: string, size: number) {
  if (size < 8) throw new UserError(`${path}: cut short: expected at least 8 bytes of a safetensors file, got ${size}`);
  const length = Buffer.alloc(8);
  await file.read(length, 0, 8, 0);
  const headerBytes = Number(length.readBigUInt64LE());
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new UserError(
      `${path}: not a safetensors file: expected a header of at most ${MAX_HEADER_BYTES} bytes, its length says ${headerBytes}`,
    );
  }
  const dataStart = 8 + headerBytes;
  if (dataStart > size) {
    throw new UserError(`${path}: cut short: expected a header that ends at byte ${dataStart}, got ${size} bytes`);
  }
  const text = Buffer.alloc(headerBytes);
  await file.read(text, 0, headerBytes, 8);
  let header: unknown;
  try {
    header = JSON.parse(text.toString('utf8'));
  } catch (cause) {
    throw new UserError(`${path}: not a safetensors file: its header is not JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw new UserError(
      `${path}: not a safetensors file: expected a header that is a JSON object, got ${typeof header}`,
    );
  }
  return { header, dataStart };
}

function checkEntry(path: string, name: string, value: unknown): Entry {
  const where = `${path}: ${name}`;
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Entry;
  if (!Object.hasOwn(DTYPE_BYTES, dtype)) {
    const known = Object.keys(DTYPE_BYTES).join(', ');
    throw new UserError(`${where}: expected a dtype among ${known}, got ${JSON.stringify(dtype)}`);
  }
  const isCount = (number: unknown) => Number.isSafeInteger(number) && (number as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw new UserError(`${where}: expected a shape of whole numbers, got ${JSON.stringify(shape)}`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount) || offsets[0] > offsets[1]) {
    throw new UserError(`${where}: expected data_offsets [begin, end], got ${JSON.stringify(offsets)}`);
  }
  const expected = sizeOf(shape) * DTYPE_BYTES[dtype];
  if (offsets[1] - offsets[0] !== expected) {
    const got = `data_offsets ${JSON.stringify(offsets)} give ${offsets[1] - offsets[0]}`;
    throw new UserError(`${where}: expected ${expected} bytes for ${dtype} [${shape.join(', ')}], ${got}`);
  }
  return { dtype, shape, data_offsets: offsets };
}

/** Tensors lie one after another from the header to the end of the file. */
function checkCoverage(path: string, entries: (Entry & { name: string })[], dataStart: number, size: number): void {
  let end = 0;
  for (const { name, data_offsets: offsets } of entries) {
    if (offsets[0] !== end) {
      throw new UserError(
        `${path}: ${name}: expected to begin where the tensor before ends, ${end}, got ${offsets[0]}`,
      );
    }
    end = offsets[1];
  }
  if (dataStart + end > size) throw new UserError(`${path}: cut short: expected ${dataStart + end} bytes, got ${size}`);
  if (dataStart + end < size) {
    throw new UserError(`${path}: expected ${dataStart + end} bytes as its header says, got ${size}`);
  }
}

/** @throws {UserError} when the file ends before */
export async function readRange(path: string, position: number, length: number): Promise<Uint8Array> {
  const file = await openFile(path);
  try {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await file.read(bytes, at, length - at, position + at);
      if (bytesRead === 0) {
        throw new UserError(`${path}: cut short: expected ${position + length} bytes, got ${position + at}`);
      }
      at += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}
