/**
 * Reads ZIP archives (PKWARE's APPNOTE.TXT, 4.3 and 4.5.3) in place: the directory at the end, then the members that
 * are asked for. Nothing is unpacked to disk, and no more memory is taken than a member says it needs.
 */
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';
import crc32 from 'crc-32';
import { UserError } from '../../base/errors.js';
import { readRange } from '../../onnx/file/safetensors.js';

/** A file in an archive. */
export interface ZipMember {
  name: string;
  /** Bytes when unpacked. */
  size: number;
  packed: number;
  isDeflated: boolean;
  /** Of its local header. */
  at: number;
  /** Of its bytes when unpacked, CRC-32; 0 until it is known to be right, or if none was stored. */
  unchecked: number;
}

const END = { signature: 0x06054b50, bytes: 22, longestComment: 65_535 };
const END64_LOCATOR = { signature: 0x07064b50, bytes: 20 };
const END64 = { signature: 0x06064b50, bytes: 56 };
const DIRECTORY_ENTRY = { signature: 0x02014b50, bytes: 46 };
const LOCAL = { signature: 0x04034b50, bytes: 30 };
const ZIP64_EXTRA = 1;
const UNSET32 = 0xffff_ffff;
const ENCRYPTED = 1;

/** Of a directory: some 500,000 members. */
const MAX_DIRECTORY_BYTES = 64 * 2 ** 20;
/** Deflate packs no more than 1032 to 1. */
const MAX_RATIO = 1032;
/** Of a member that is unpacked into memory. */
const MAX_INFLATED_BYTES = 2 ** 30;
const CHUNK_BYTES = 2 ** 24;

const inflate = promisify(inflateRaw);

/** The members, by name. @throws {UserError} if it is damaged or cut short */
export async function openZip(path: string): Promise<Map<string, ZipMember>> {
  const size = await sizeOf(path);
  const { offset, length } = await directoryOf(path, size);
  if (length > MAX_DIRECTORY_BYTES || offset + length > size) {
    throw damaged(path, `a directory of ${length} bytes at ${offset} of ${size}`);
  }
  const directory = Buffer.from(await readRange(path, offset, length));
  const members = new Map<string, ZipMember>();
  for (let at = 0; at < length; ) {
    if (at + DIRECTORY_ENTRY.bytes > length || directory.readUInt32LE(at) !== DIRECTORY_ENTRY.signature) {
      throw damaged(path, `its directory at byte ${offset + at}`);
    }
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => directory.readUInt16LE(at + field));
    const start = at + DIRECTORY_ENTRY.bytes;
    at = start + nameBytes + extraBytes + commentBytes;
    if (at > length) throw damaged(path, 'its directory is cut short');
    const entry = directory.subarray(start - DIRECTORY_ENTRY.bytes, start);
    const member = memberOf(
      path,
      entry,
      directory.toString('utf8', start, start + nameBytes),
      directory.subarray(start + nameBytes, start + nameBytes + extraBytes),
    );
    if (member.at + LOCAL.bytes + member.packed > size) {
      throw damaged(path, `${member.name} ends at byte ${member.at + LOCAL.bytes + member.packed} of ${size}`);
    }
    members.set(member.name, member);
  }
  return members;
}

async function sizeOf(path: string): Promise<number> {
  const file = await open(path);
  try {
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

async function directoryOf(path: string, size: number): Promise<{ offset: number; length: number }> {
  const start = Math.max(0, size - END.bytes - END.longestComment - END64_LOCATOR.bytes);
  const tail = Buffer.from(await readRange(path, start, size - start));
  let at = tail.length - END.bytes;
  while (at >= 0 && tail.readUInt32LE(at) !== END.signature) at--;
  if (at < 0) throw new UserError(`${path}: cut short: expected a ZIP archive's directory at its end; copy it again`);
  const [length, offset] = [tail.readUInt32LE(at + 12), tail.readUInt32LE(at + 16)];
  const locator = at - END64_LOCATOR.bytes;
  if (locator < 0 || tail.readUInt32LE(locator) !== END64_LOCATOR.signature) return { offset, length };
  const place = Number(tail.readBigUInt64LE(locator + 8));
  if (place + END64.bytes > size) throw damaged(path, `its end record at ${place}`);
  const end = Buffer.from(await readRange(path, place, END64.bytes));
  if (end.readUInt32LE(0) !== END64.signature) throw damaged(path, `its end record at ${place}`);
  return { length: Number(end.readBigUInt64LE(40)), offset: Number(end.readBigUInt64LE(48)) };
}

function memberOf(path: string, entry: Buffer, name: string, extra: Buffer): ZipMember {
  const [flags, method] = [entry.readUInt16LE(8), entry.readUInt16LE(10)];
  if ((flags & ENCRYPTED) !== 0 || (method !== 0 && method !== 8)) {
    throw new UserError(`${path}: ${name}: expected a member stored or deflated, got method ${method}, flags ${flags}`);
  }
  const fields = [24, 20, 42].map((at) => entry.readUInt32LE(at)); // size, packed, offset
  const long = zip64Fields(extra);
  const [size, packed, at] = fields.map((value) => (value === UNSET32 ? (long.shift() ?? value) : value));
  const isDeflated = method === 8;
  if (isDeflated ? size > packed * MAX_RATIO : size !== packed) {
    throw damaged(path, `${name} says ${size} bytes from ${packed}`);
  }
  return { name, size, packed, isDeflated, at, unchecked: entry.readInt32LE(16) };
}

/** Those of 64 bits, in their order: only fields that are unset in the entry are there. */
function zip64Fields(extra: Buffer): number[] {
  for (let at = 0; at + 4 <= extra.length; ) {
    const [id, length] = [extra.readUInt16LE(at), extra.readUInt16LE(at + 2)];
    const end = Math.min(extra.length, at + 4 + length);
    if (id === ZIP64_EXTRA) {
      const values: number[] = [];
      for (let field = at + 4; field + 8 <= end; field += 8) values.push(Number(extra.readBigUInt64LE(field)));
      return values;
    }
    at = end;
  }
  return [];
}

/**
 * Part of a member, which is checked as a whole.
 * @throws {UserError} if it is damaged, or does not have these bytes
 */
export async function readMember(path: string, member: ZipMember, from = 0, to = member.size): Promise<Uint8Array> {
  const { name, size, packed, isDeflated } = member;
  if (to > size) throw new UserError(`${path}: ${name}: expected at least ${to} bytes, got ${size}`);
  const start = await dataStart(path, member);
  if (!isDeflated) {
    await checkStored(path, member, start);
    return readRange(path, start + from, to - from);
  }
  if (size > MAX_INFLATED_BYTES) {
    throw new UserError(`${path}: ${name}: expected at most ${MAX_INFLATED_BYTES} bytes when unpacked, got ${size}`);
  }
  const bytes = await inflate(await readRange(path, start, packed), { maxOutputLength: Math.max(size, 1) }).catch(
    (cause: Error) => {
      throw new UserError(`${path}: ${name}: cannot be unpacked: ${cause.message}`, { cause });
    },
  );
  if (bytes.length !== size) throw damaged(path, `${name} unpacks to ${bytes.length} bytes, expected ${size}`);
  checkSum(path, member, crc32.buf(bytes));
  return bytes.subarray(from, to);
}

async function checkStored(path: string, member: ZipMember, start: number): Promise<void> {
  if (member.unchecked === 0) return;
  let sum = 0;
  for (let at = 0; at < member.size; at += CHUNK_BYTES)
    sum = crc32.buf(await readRange(path, start + at, Math.min(CHUNK_BYTES, member.size - at)), sum);
  checkSum(path, member, sum);
}

/** PyTorch stores 0 if it was told to compute none. */
function checkSum(path: string, member: ZipMember, sum: number): void {
  if (member.unchecked !== 0 && sum !== member.unchecked) {
    throw damaged(path, `${member.name} has the CRC-32 ${hex(sum)}, expected ${hex(member.unchecked)}`);
  }
  member.unchecked = 0;
}

const hex = (sum: number): string => (sum >>> 0).toString(16).padStart(8, '0');

/** After the local header, whose own extra fields differ from the directory's. */
async function dataStart(path: string, { name, at }: ZipMember): Promise<number> {
  const local = Buffer.from(await readRange(path, at, LOCAL.bytes));
  if (local.readUInt32LE(0) !== LOCAL.signature) throw damaged(path, `${name} at byte ${at}`);
  return at + LOCAL.bytes + local.readUInt16LE(26) + local.readUInt16LE(28);
}

function damaged(path: string, what: string): UserError {
  return new UserError(`${path}: damaged ZIP archive: ${what}; copy it again`);
}
