/**
 * The file of an index: what a network makes of the images of a data set. Written in one pass, so what describes it
 * stands at its end:
 *   "ALEXNETI", version u32 | features float32 [images, dimension] | other sections | header JSON | its length u32 | SHA-256 of all before
 * Numbers are little-endian. Offsets of sections are in the header.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { z } from 'zod';
import { UserError } from '../../../base/errors.js';
import { requireFile } from '../../../base/require-file.js';

export const MAGIC = Buffer.from('ALEXNETI');
export const VERSION = 1;
/** Of the magic word and the version. */
export const PREAMBLE = 12;
const DIGEST = 32;
/** Of the header's length and the digest. */
const TRAILER = 4 + DIGEST;
const MAX_HEADER = 1_000_000;

const Whole = z.int().min(0);
const Section = z.object({ offset: Whole, length: Whole });
export type Section = z.infer<typeof Section>;

export const IndexHeader = z.object({
  /** Of the file that the features come from. */
  model: z.object({ name: z.string(), sha256: z.string() }),
  /** Layer whose values are the features, and how many it has. */
  layer: z.string(),
  dimension: z.int().min(1),
  pictures: z.int().min(1),
  /** As given to `--data`, and the split. */
  data: z.string(),
  split: z.string(),
  /** Layers whose strongest images are kept, in the order of the section; `width` of a row of a map, 1 for units. */
  layers: z.array(z.object({ name: z.string(), channels: z.int().min(1), width: z.int().min(1) })),
  /** Images kept for each channel. */
  strongest: z.int().min(1),
  /** Present if the index is approximate: HNSW over random projections of the features. */
  graph: z.object({ dimension: z.int().min(1), entry: Whole, levels: Whole }).optional(),
  sections: z.object({
    features: Section,
    /** JSON: [[name, label], …] */
    names: Section,
    /** u32 [images] lengths, then JPEGs; length 0 for none. */
    thumbnails: Section,
    /** float32 values, i32 images (−1 for none), i32 places y · width + x; each [channels of all layers, strongest]. */
    strongest: Section,
    /** float32 [images, graph.dimension] */
    projected: Section.optional(),
    /** i32: of each image its level, then for each level from 0 the number of neighbours and these. */
    links: Section.optional(),
  }),
});
export type IndexHeader = z.infer<typeof IndexHeader>;

/** What stands behind the sections. @param hash  of everything before */
export function encodeTrailer(header: IndexHeader, update: (bytes: Uint8Array) => void, digest: () => Buffer): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  update(json);
  update(length);
  return Buffer.concat([json, length, digest()]);
}

/**
 * The description of an index, without a look at its numbers.
 * @throws {UserError} when the file is absent, no index, of another version, or cut short
 */
async function readIndexHeader(file: string): Promise<IndexHeader> {
  const handle = await openFile(file);
  try {
    const { size } = await handle.stat();
    const preamble = await readAt(handle, 0, Math.min(size, PREAMBLE));
    if (!preamble.subarray(0, MAGIC.length).equals(MAGIC)) {
      throw new UserError(
        `${file}: no index of images; make one with "alexnet index --model FILE --data DATA --out ${file}"`,
      );
    }
    const version = preamble.length < PREAMBLE ? 0 : preamble.readUInt32LE(MAGIC.length);
    if (version !== VERSION)
      throw new UserError(`${file}: expected an index of version ${VERSION}, got ${version}; make it again`);
    if (size < PREAMBLE + TRAILER) throw damaged(file);
    const length = (await readAt(handle, size - TRAILER, 4)).readUInt32LE();
    if (length > Math.min(MAX_HEADER, size - PREAMBLE - TRAILER)) throw damaged(file);
    const header = parseHeader(file, await readAt(handle, size - TRAILER - length, length));
    const { features } = header.sections;
    const fits = Object.values(header.sections).every(
      (part) => !part || part.offset + part.length <= size - TRAILER - length,
    );
    if (!fits || features.length !== header.pictures * header.dimension * 4) throw damaged(file);
    return header;
  } finally {
    await handle.close();
  }
}

/** As `readIndexHeader`; @throws {UserError} also if a byte of it is not as it was written */
export async function readWholeIndex(index: string): Promise<IndexHeader> {
  const header = await readIndexHeader(index);
  await checkDigest(index);
  return header;
}

async function checkDigest(file: string): Promise<void> {
  const handle = await openFile(file);
  try {
    const { size } = await handle.stat();
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(file, { end: size - DIGEST - 1, highWaterMark: 1 << 20 }))
      hash.update(chunk);
    if (!hash.digest().equals(await readAt(handle, size - DIGEST, DIGEST))) throw damaged(file);
  } finally {
    await handle.close();
  }
}

export async function readAt(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(bytes, at, length - at, offset + at);
    if (bytesRead === 0) throw new UserError(`the index shrank while it was read; make it again`);
    at += bytesRead;
  }
  return bytes;
}

async function openFile(file: string): Promise<FileHandle> {
  requireFile(file);
  return open(file).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'no such file' : `cannot be read (${cause.code})`;
    throw new UserError(`${file}: ${reason}; expected an index made by "alexnet index"`, { cause });
  });
}

function parseHeader(file: string, json: Buffer): IndexHeader {
  try {
    return IndexHeader.parse(JSON.parse(json.toString('utf8')));
  } catch (cause) {
    throw damaged(file, cause);
  }
}

function damaged(file: string, cause?: unknown): UserError {
  return new UserError(`${file}: the index is damaged or cut short; make it again with "alexnet index"`, { cause });
}
