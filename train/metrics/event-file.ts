/**
 * TensorBoard's event files: TFRecords of `Event` messages. Sources: tensorflow/core/util/event.proto,
 * framework/summary.proto and lib/io/record_writer.h.
 */
import { hostname } from 'node:os';
import crc32c from 'crc-32/crc32c.js';
import protobuf from 'protobufjs/minimal.js';

const { Writer } = protobuf;

/** Wire types of protobuf. */
const [VARINT, FIXED64, LENGTH_DELIMITED, FIXED32] = [0, 1, 2, 5];
const key = (field: number, wireType: number) => (field << 3) | wireType;

/** `SessionLog.START`: a reader forgets what it has read of this run from the event's step on. */
const START = 1;

/** The field of an `Event` that says what happened. */
type What = (event: protobuf.Writer) => void;

/** A name that sorts after those of earlier files, as TensorBoard reads them. @param seconds  since 1970 */
export function eventFileName(seconds: number): string {
  return `events.out.tfevents.${String(Math.floor(seconds)).padStart(10, '0')}.${hostname()}.${process.pid}`;
}

/** The records that a file begins with. @param seconds  wall time, since 1970 */
export function fileStart(seconds: number): Uint8Array {
  const version = event(seconds, 0, (writer) => writer.uint32(key(3, LENGTH_DELIMITED)).string('brain.Event:2'));
  const start = event(seconds, 0, (writer) =>
    writer.uint32(key(7, LENGTH_DELIMITED)).fork().uint32(key(1, VARINT)).int32(START).ldelim(),
  );
  return Buffer.concat([record(version), record(start)]);
}

/** Where the first record has its wall time: after its length, the checksum of that and the field's key. */
const TIME_AT = 13;

/** Of ours and no other program's, whose files have the same form of name: they do not begin with a session's start. */
export function isOwnEventFile(name: string, start: Buffer): boolean {
  if (!/^events\.out\.tfevents\.\d{10,}\..+\.\d+(\.alexnet-tmp)?$/.test(name)) return false;
  const ours = start.length > TIME_AT + 8 ? fileStart(start.readDoubleLE(TIME_AT)) : undefined;
  return ours !== undefined && start.subarray(0, ours.length).equals(ours);
}

/** The record of figures that belong to one step. @param scalars  by tag */
export function scalarsRecord(seconds: number, step: number, scalars: Record<string, number>): Uint8Array {
  const summary: What = (writer) => {
    writer.uint32(key(5, LENGTH_DELIMITED)).fork();
    for (const [tag, value] of Object.entries(scalars)) {
      writer.uint32(key(1, LENGTH_DELIMITED)).fork();
      writer.uint32(key(1, LENGTH_DELIMITED)).string(tag).uint32(key(2, FIXED32)).float(value).ldelim();
    }
    writer.ldelim();
  };
  return record(event(seconds, step, summary));
}

function event(seconds: number, step: number, what: What): Uint8Array {
  const writer = new Writer().uint32(key(1, FIXED64)).double(seconds);
  if (step > 0) writer.uint32(key(2, VARINT)).int64(step);
  what(writer);
  return writer.finish();
}

/** Length, its checksum, the bytes, their checksum: all little-endian. */
function record(bytes: Uint8Array): Uint8Array {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(BigInt(bytes.length));
  head.writeUInt32LE(maskedChecksum(head.subarray(0, 8)), 8);
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(maskedChecksum(bytes));
  return Buffer.concat([head, bytes, tail]);
}

/** CRC-32C turned right by 15 bits and raised by a constant, so that a checksum of checksums is not 0 (lib/hash/crc32c.h). */
function maskedChecksum(bytes: Uint8Array): number {
  const crc = crc32c.buf(bytes) >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
