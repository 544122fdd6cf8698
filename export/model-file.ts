/** Reads what an ONNX file says about itself without reading its weights. */
import { type FileHandle, open } from 'node:fs/promises';
import onnxProto from 'onnx-proto';
import protobuf from 'protobufjs/minimal.js';
import { UserError } from '../model/errors.js';
import { type ModelMetadata, propsToMetadata } from './metadata.js';

const { onnx } = onnxProto;

/** Field numbers of ModelProto (onnx/onnx.proto). */
const IR_VERSION = 1;
const METADATA_PROPS = 14;
/** Longest tag and length, two varints of 10 bytes. */
const HEADER_BYTES = 20;
/** Protobuf's wire types. */
const VARINT = 0;
const LENGTH_DELIMITED = 2;

/**
 * The metadata of a file that `alexnet export` wrote.
 * @throws {UserError} when the file is absent, no ONNX file, cut short, or without our metadata
 */
export async function readMetadata(path: string): Promise<ModelMetadata> {
  return propsToMetadata(await readMetadataProps(path), path);
}

/**
 * `metadata_props` of any ONNX file, ours or not.
 * @throws {UserError} when the file is absent, no ONNX file, or cut short
 */
export async function readMetadataProps(path: string): Promise<{ key?: string | null; value?: string | null }[]> {
  const file = await open(path).catch((cause: NodeJS.ErrnoException) => {
    throw new UserError(`${path}: cannot be opened: ${cause.code === 'ENOENT' ? 'no such file' : cause.message}`, {
      cause,
    });
  });
  try {
    if ((await file.stat()).isDirectory()) throw new UserError(`${path}: is a folder; expected an .onnx file`);
    return await readProps(file, path);
  } finally {
    await file.close();
  }
}

/** Walks over the top-level fields, reading those of `metadata_props` and stepping over the graph. */
async function readProps(file: FileHandle, path: string): Promise<{ key?: string | null; value?: string | null }[]> {
  const { size } = await file.stat();
  const props = [];
  let isOnnx = false;
  for (let at = 0; at < size; ) {
    const header = await readAt(file, at, Math.min(HEADER_BYTES, size - at));
    const field = parseHeader(header);
    if (!field) throw isOnnx && size - at < HEADER_BYTES ? cutShort(path, size, size + 1) : notOnnx(path, at);
    isOnnx ||= field.number === IR_VERSION && field.wireType === VARINT;
    const end = at + field.headerBytes + field.length;
    if (end > size) throw isOnnx ? cutShort(path, size, end) : notOnnx(path, at);
    if (field.number === METADATA_PROPS) {
      props.push(onnx.StringStringEntryProto.decode(await readAt(file, at + field.headerBytes, field.length)));
    }
    at = end;
  }
  if (!isOnnx) throw notOnnx(path, 0);
  return props;
}

interface Field {
  number: number;
  wireType: number;
  headerBytes: number;
  /** Bytes that follow the header. */
  length: number;
}

function parseHeader(bytes: Uint8Array): Field | undefined {
  const reader = protobuf.Reader.create(bytes);
  try {
    const tag = reader.uint32();
    const [number, wireType] = [tag >>> 3, tag & 7];
    if (number === 0 || (wireType !== VARINT && wireType !== LENGTH_DELIMITED)) return undefined;
    const value = Number(reader.uint64());
    return { number, wireType, headerBytes: reader.pos, length: wireType === VARINT ? 0 : value };
  } catch (error) {
    if (error instanceof RangeError) return undefined; // the bytes end inside a varint
    throw error;
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await file.read(bytes, 0, length, position);
  return bytes;
}

function notOnnx(path: string, at: number): UserError {
  return new UserError(`${path}: not an ONNX file (no model field at byte ${at}); make one with "alexnet export"`);
}

function cutShort(path: string, size: number, expected: number): UserError {
  return new UserError(`${path}: cut short: expected at least ${expected} bytes, got ${size}; export or copy it again`);
}
