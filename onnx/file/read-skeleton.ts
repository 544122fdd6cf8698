/**
 * An ONNX file without its large tensors: in their place the model refers to the file itself, by offset
 * (`data_location` EXTERNAL). Reading and holding 245 MB of weights that onnxruntime maps by itself would take longer
 * than all the rest. Every other field keeps its bytes.
 */
import { basename } from 'node:path';
import { requireModelFile } from '../../base/require-file.js';
import { onnx } from './onnx-proto.js';
import {
  bytesField,
  type Field,
  FileBytes,
  fieldsOf,
  GRAPH_INITIALIZER,
  MODEL_GRAPH,
  numberField,
  TENSOR_DATA_LOCATION,
  TENSOR_EXTERNAL_DATA,
  TENSOR_RAW_DATA,
} from './wire.js';

const { EXTERNAL } = onnx.TensorProto.DataLocation;

/**
 * Smaller tensors stay, bytes: what is not a kernel that gets packed (biases, means) would be looked up in the file in
 * every run.
 */
const SMALLEST_REFERRED = 1_000_000;

const ENTRY_KEY = 1;
const ENTRY_VALUE = 2;

/**
 * @returns  encoded ModelProto of some kilobytes, with one graph at its end, and the size of the file
 * @throws {NotProtobuf} or what the file system throws
 */
export function readSkeleton(file: string): { skeleton: Uint8Array; size: number } {
  requireModelFile(file);
  const reader = new FileBytes(file);
  try {
    const tensor = ({ start, end }: Field) =>
      replaced(reader, start, end, TENSOR_RAW_DATA, (data) => place(data, basename(file)));
    const graphs: Uint8Array[] = []; // protobuf joins the pieces of a message that is there several times
    const rest = replaced(reader, 0, reader.size, MODEL_GRAPH, ({ start, end }) => {
      const inTensors = (field: Field) => bytesField(GRAPH_INITIALIZER, tensor(field));
      graphs.push(replaced(reader, start, end, GRAPH_INITIALIZER, inTensors));
      return new Uint8Array();
    });
    return { skeleton: Buffer.concat([rest, bytesField(MODEL_GRAPH, ...graphs)]), size: reader.size };
  } finally {
    reader.close();
  }
}

/** The message from `start` to `end`, with what `replace` gives in place of each `field`; undefined keeps it. */
function replaced(
  reader: FileBytes,
  start: number,
  end: number,
  field: number,
  replace: (field: Field) => Uint8Array | undefined,
): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const next of fieldsOf(reader, start, end)) {
    const other = next.number === field && next.isBytes ? replace(next) : undefined;
    parts.push(other ?? reader.bytes(next.from, next.end));
  }
  return Buffer.concat(parts);
}

/** The fields that say where a tensor's data lie in the file; undefined if they are so few that they stay. */
function place({ start, end }: Field, location: string): Uint8Array | undefined {
  const length = end - start;
  if (length < SMALLEST_REFERRED) return undefined;
  const entries = Object.entries({ location, offset: start, length }).map(([key, value]) => {
    const entry = [bytesField(ENTRY_KEY, Buffer.from(key)), bytesField(ENTRY_VALUE, Buffer.from(String(value)))];
    return bytesField(TENSOR_EXTERNAL_DATA, ...entry);
  });
  return Buffer.concat([...entries, numberField(TENSOR_DATA_LOCATION, EXTERNAL)]);
}
