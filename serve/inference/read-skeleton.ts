/**
 * An ONNX file without its large tensors: in their place the model refers to the file itself, by offset (`data_location` EXTERNAL). Reading and
 * holding 245 MB of weights that onnxruntime maps by itself would take longer than all the rest.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import onnxProto from 'onnx-proto';

const { EXTERNAL } = onnxProto.onnx.TensorProto.DataLocation;

/** Smaller tensors stay, bytes: what is not a kernel that gets packed (biases, means) would be looked up in the file in every run. */
const SMALLEST_REFERRED = 1_000_000;

/** Fields of onnx.proto. */
const MODEL_GRAPH = 7;
const GRAPH_INITIALIZER = 5;
const TENSOR_RAW_DATA = 9;
const TENSOR_EXTERNAL_DATA = 13;
const TENSOR_DATA_LOCATION = 14;
const ENTRY_KEY = 1;
const ENTRY_VALUE = 2;

/** The file is no protobuf, or ends too early. */
export class NotProtobuf extends Error {}

/**
 * @returns  encoded ModelProto of some kilobytes, and the size of the file
 * @throws {NotProtobuf} or what the file system throws
 */
export function readSkeleton(file: string): { skeleton: Uint8Array; size: number } {
  const reader = new FileWindow(file);
  try {
    const tensor = (start: number, end: number) => tensorSkeleton(reader, start, end, basename(file));
    const graph = (start: number, end: number) => replaced(reader, start, end, GRAPH_INITIALIZER, tensor);
    return { skeleton: replaced(reader, 0, reader.size, MODEL_GRAPH, graph), size: reader.size };
  } finally {
    reader.close();
  }
}

/** The message from `start` to `end`, with `field` in the form that `replace` gives it. */
function replaced(
  reader: FileWindow,
  start: number,
  end: number,
  field: number,
  replace: (start: number, end: number) => Uint8Array,
): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = start; at < end; ) {
    const next = reader.field(at, end);
    if (next.number === field && next.isBytes) parts.push(bytesField(field, replace(next.start, next.end)));
    else parts.push(reader.bytes(at, next.end));
    at = next.end;
  }
  return Buffer.concat(parts);
}

function tensorSkeleton(reader: FileWindow, start: number, end: number, location: string): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = start; at < end; ) {
    const next = reader.field(at, end);
    const length = next.end - next.start;
    if (next.number === TENSOR_RAW_DATA && next.isBytes && length >= SMALLEST_REFERRED) {
      const place = { location, offset: next.start, length };
      for (const [key, value] of Object.entries(place)) {
        const entry = [bytesField(ENTRY_KEY, Buffer.from(key)), bytesField(ENTRY_VALUE, Buffer.from(String(value)))];
        parts.push(bytesField(TENSOR_EXTERNAL_DATA, Buffer.concat(entry)));
      }
      parts.push(Uint8Array.from([...varint(TENSOR_DATA_LOCATION << 3), EXTERNAL]));
    } else parts.push(reader.bytes(at, next.end));
    at = next.end;
  }
  return Buffer.concat(parts);
}

function bytesField(field: number, value: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.from([...varint((field << 3) | 2), ...varint(value.length)]), value]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
}

/** A file read in pieces, as protobuf's fields. */
class FileWindow {
  readonly size: number;
  private readonly fd: number;
  private readonly window = Buffer.alloc(65_536);
  private from = 0;
  private filled = 0;

  constructor(file: string) {
    this.fd = openSync(file, 'r');
    this.size = fstatSync(this.fd).size;
  }

  /** The field whose tag is at `at`; it may not go beyond `end`. */
  field(at: number, end: number): { number: number; isBytes: boolean; start: number; end: number } {
    const tag = this.varint(at, end);
    const field = { number: Math.floor(tag.value / 8), isBytes: false, start: tag.end };
    const fixed: Record<number, number> = { 1: 8, 5: 4 };
    const wire = tag.value % 8;
    if (field.number === 0) throw new NotProtobuf(`field 0 at byte ${at}`);
    if (wire === 0) return { ...field, end: this.varint(tag.end, end).end };
    if (wire in fixed) return { ...field, end: within(tag.end + fixed[wire], end) };
    if (wire !== 2) throw new NotProtobuf(`wire type ${wire} at byte ${at}`);
    const length = this.varint(tag.end, end);
    return { ...field, isBytes: true, start: length.end, end: within(length.end + length.value, end) };
  }

  bytes(start: number, end: number): Buffer {
    const bytes = Buffer.alloc(end - start);
    for (let at = 0; at < bytes.length; ) {
      const read = readSync(this.fd, bytes, at, bytes.length - at, start + at);
      if (read === 0) throw new NotProtobuf(`ends at byte ${start + at}`);
      at += read;
    }
    return bytes;
  }

  close(): void {
    closeSync(this.fd);
  }

  private varint(at: number, end: number): { value: number; end: number } {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = this.byte(within(at + i + 1, end) - 1);
      value += (byte & 127) * 128 ** i;
      if (byte < 128) return { value, end: at + i + 1 };
    }
    throw new NotProtobuf(`a number of more than 10 bytes at ${at}`);
  }

  private byte(at: number): number {
    if (at < this.from || at >= this.from + this.filled) {
      this.from = at;
      this.filled = readSync(this.fd, this.window, 0, this.window.length, at);
      if (this.filled === 0) throw new NotProtobuf(`ends at byte ${at}`);
    }
    return this.window[at - this.from];
  }
}

function within(at: number, end: number): number {
  if (at <= end) return at;
  throw new NotProtobuf(`goes on to byte ${at}, ends at ${end}`);
}
