/**
 * Protobuf's wire format (protobuf.dev/programming-guides/encoding): messages as fields with their bytes, whatever
 * their schema. What a schema does not know keeps its bytes.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { requireFile } from '../../base/require-file.js';

/** Field numbers of onnx.proto. */
export const MODEL_GRAPH = 7;
export const GRAPH_INITIALIZER = 5;
export const TENSOR_RAW_DATA = 9;
export const TENSOR_EXTERNAL_DATA = 13;
export const TENSOR_DATA_LOCATION = 14;

/** Wire types. */
const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED_BYTES: Record<number, number> = { 1: 8, 5: 4 };

/** A field of a message; positions are the source's. */
export interface Field {
  number: number;
  /** Its value is bytes with their length before them: text, a message, packed numbers. */
  isBytes: boolean;
  /** Where its tag, its value begins, and where both end. */
  from: number;
  start: number;
  end: number;
}

/** The bytes are not protobuf, or end too early. */
export class NotProtobuf extends Error {
  /**
   * @param at        where
   * @param expected  bytes that there should be at least, where they end too early
   */
  constructor(
    message: string,
    readonly at: number,
    readonly expected?: number,
  ) {
    super(message);
  }
}

export interface Bytes {
  byte(at: number): number;
  bytes(start: number, end: number): Uint8Array;
}

/** Bytes in memory. */
export function inMemory(bytes: Uint8Array): Bytes {
  return { byte: (at) => bytes[at], bytes: (start, end) => bytes.subarray(start, end) };
}

/** The fields of the message from `start` to `end`. @throws {NotProtobuf} */
export function* fieldsOf(source: Bytes, start: number, end: number): Generator<Field> {
  for (let at = start; at < end; ) {
    const field = fieldAt(source, at, end);
    yield field;
    at = field.end;
  }
}

function fieldAt(source: Bytes, from: number, end: number): Field {
  const tag = varintAt(source, from, end);
  const [number, wire] = [Math.floor(tag.value / 8), tag.value % 8];
  const field = { number, from, isBytes: wire === LENGTH_DELIMITED, start: tag.end };
  if (number === 0) throw new NotProtobuf(`field 0 at byte ${from}`, from);
  if (wire === VARINT) return { ...field, end: varintAt(source, tag.end, end).end };
  if (wire in FIXED_BYTES) return { ...field, end: within(from, tag.end + FIXED_BYTES[wire], end) };
  if (wire !== LENGTH_DELIMITED) throw new NotProtobuf(`wire type ${wire} at byte ${from}`, from);
  const length = varintAt(source, tag.end, end);
  return { ...field, start: length.end, end: within(from, length.end + length.value, end) };
}

function varintAt(source: Bytes, from: number, end: number): { value: number; end: number } {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    const byte = source.byte(within(from, from + i + 1, end) - 1);
    value += (byte & 127) * 128 ** i;
    if (byte < 128) return { value, end: from + i + 1 };
  }
  throw new NotProtobuf(`a number of more than 10 bytes at ${from}`, from);
}

function within(from: number, to: number, end: number): number {
  if (to <= end) return to;
  throw new NotProtobuf(`runs to byte ${to}, ends at ${end}`, from, to);
}

/** What a field that holds bytes begins with: its tag and their length. */
export function bytesHead(field: number, length: number): Uint8Array {
  return Uint8Array.from([...varint(field * 8 + LENGTH_DELIMITED), ...varint(length)]);
}

/** A field that holds bytes, in pieces. */
export function piecesOf(field: number, values: readonly Uint8Array[]): Uint8Array[] {
  const length = values.reduce((sum, value) => sum + value.length, 0);
  return [bytesHead(field, length), ...values];
}

/** A field that holds bytes. */
export function bytesField(field: number, ...values: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(piecesOf(field, values));
}

/** A field that holds a number, 0 or more. */
export function numberField(field: number, value: number): Uint8Array {
  return Uint8Array.from([...varint(field * 8 + VARINT), ...varint(value)]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
}

/** A file of any size, read in pieces; the caller closes it. */
export class FileBytes implements Bytes {
  readonly size: number;
  private readonly fd: number;
  private readonly window = Buffer.alloc(65_536);
  private from = 0;
  private filled = 0;

  /** @throws {UserError} where it is no file; what the file system throws */
  constructor(file: string) {
    requireFile(file);
    this.fd = openSync(file, 'r');
    this.size = fstatSync(this.fd).size;
  }

  byte(at: number): number {
    if (at < this.from || at >= this.from + this.filled) {
      this.from = at;
      this.filled = readSync(this.fd, this.window, 0, this.window.length, at);
      if (this.filled === 0) throw new NotProtobuf(`ends at byte ${at}`, at, at + 1);
    }
    return this.window[at - this.from];
  }

  bytes(start: number, end: number): Buffer {
    const bytes = Buffer.alloc(end - start);
    for (let at = 0; at < bytes.length; ) {
      const read = readSync(this.fd, bytes, at, bytes.length - at, start + at);
      if (read === 0) throw new NotProtobuf(`ends at byte ${start + at}`, start, end);
      at += read;
    }
    return bytes;
  }

  close(): void {
    closeSync(this.fd);
  }
}
