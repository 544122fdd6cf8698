/** Reads what an ONNX file says about itself without reading its weights. */
import { UserError } from '../../base/errors.js';
import { requireModelFile } from '../../base/require-file.js';
import { type ModelMetadata, propsToMetadata } from './metadata.js';
import { onnx } from './onnx-proto.js';
import { FileBytes, fieldsOf, NotProtobuf } from './wire.js';

/** Field numbers of ModelProto (onnx/onnx.proto). */
const IR_VERSION = 1;
const METADATA_PROPS = 14;

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
  const file = openBytes(path);
  try {
    return readProps(file, path);
  } finally {
    file.close();
  }
}

function openBytes(path: string): FileBytes {
  try {
    requireModelFile(path);
    return new FileBytes(path);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new UserError(`${path}: cannot be opened: ${code === 'ENOENT' ? 'no such file' : message}`, { cause });
  }
}

/** Walks over the top-level fields, reading those of `metadata_props` and stepping over the graph. */
function readProps(file: FileBytes, path: string): { key?: string | null; value?: string | null }[] {
  const props = [];
  let isOnnx = false;
  try {
    for (const { number, isBytes, start, end } of fieldsOf(file, 0, file.size)) {
      isOnnx ||= number === IR_VERSION && !isBytes;
      if (number === METADATA_PROPS && isBytes) props.push(onnx.StringStringEntryProto.decode(file.bytes(start, end)));
    }
  } catch (cause) {
    if (!(cause instanceof NotProtobuf)) throw cause;
    const isCutShort = isOnnx && cause.expected !== undefined;
    throw isCutShort ? cutShort(path, file.size, cause.expected!) : notOnnx(path, cause.at);
  }
  if (!isOnnx) throw notOnnx(path, 0);
  return props;
}

function notOnnx(path: string, at: number): UserError {
  return new UserError(`${path}: not an ONNX file (no model field at byte ${at}); make one with "alexnet export"`);
}

function cutShort(path: string, size: number, expected: number): UserError {
  return new UserError(`${path}: cut short: expected at least ${expected} bytes, got ${size}; export or copy it again`);
}
