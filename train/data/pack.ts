/**
 * A prepared data set on disk, for sets that do not fit in memory: a folder of shards with decoded pictures of one size, made by
 * `alexnet prepare`, read picture by picture while training.
 *
 *   pictures-00000.bin   records of imagePx · imagePx · 3 bytes, uint8 RGB, in the order of reading
 *   pictures-00000.json  their names and checksums; there only once the shard is whole
 *   train.bin, …         of every split: the places of its pictures (uint32), then their classes (uint16), little-endian
 *   mean.bin             mean of the training pictures, float32 [imagePx, imagePx, 3]
 *   pack.json            what all of it is; written last
 */
import { createHash, subtle } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../model/errors.js';
import type { ColourStatistics } from './colour.js';
import type { Dataset, OpenOptions, Split } from './dataset.js';
import { OpenFiles } from './open-files.js';
import { loadedPart } from './read-ahead.js';

export const PACK_FORMAT = 1;

/** What `pack.json` keeps. */
export interface PackRecord {
  format: number;
  /** As given to `--data` when it was prepared. */
  source: string;
  imagePx: number;
  recordsPerShard: number;
  shards: number;
  labels: string[];
  synsets?: string[];
  /** Number of pictures by split. */
  splits: Record<string, number>;
  colours: ColourStatistics;
  skipped: { name: string; reason: string }[];
  notes: string[];
  /** SHA-256, hex, of the splits' files and `mean.bin`, by name; absent in sets of older versions. */
  sha256?: Record<string, string>;
}

/** What stands beside a shard. */
export interface ShardRecord {
  names: string[];
  /** `checksum` of every picture, in one string; of one that could not be decoded, zeros. */
  checksums: string;
  skipped: { name: string; reason: string }[];
}

export const CHECKSUM_LENGTH = 16;
export const NO_PICTURE = '0'.repeat(CHECKSUM_LENGTH);

/** First 64 bits of SHA-256, hex: a flipped bit is found, and costs 0.1 ms a picture. */
export function checksum(pixels: Uint8Array): string {
  return fullChecksum(pixels).slice(0, CHECKSUM_LENGTH);
}

/** SHA-256, hex. */
export function fullChecksum(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The same by one of libuv's threads. */
async function checksumBehind(pixels: Uint8Array): Promise<string> {
  const digest = Buffer.from(await subtle.digest('SHA-256', pixels));
  return digest.toString('hex').slice(0, CHECKSUM_LENGTH);
}

export function shardFile(folder: string, shard: number, extension: 'bin' | 'json'): string {
  return join(folder, `pictures-${String(shard).padStart(5, '0')}.${extension}`);
}

export function isPack(folder: string): boolean {
  return existsSync(join(folder, 'pack.json'));
}

/** Pictures of shards by place, read from disk at every use. */
export class ShardReader {
  private readonly files = new OpenFiles();

  constructor(
    private readonly folder: string,
    private readonly recordBytes: number,
    private readonly recordsPerShard: number,
  ) {}

  /**
   * @param expected  the picture's checksum
   * @throws {UserError} when the shard cannot be read, or the picture is not what was written
   */
  pixels(place: number, name: string, expected: string): Uint8Array {
    const { file, record } = this.find(place);
    try {
      const pixels = this.files.readNow(file, record * this.recordBytes, this.recordBytes);
      return this.checked(pixels, place, name, checksum(pixels) === expected);
    } catch (cause) {
      throw readError(file, cause as Error);
    }
  }

  /** The same behind: reading and checking are jobs of libuv's threads. */
  async load(place: number, name: string, expected: string): Promise<Uint8Array> {
    const { file, record } = this.find(place);
    try {
      const pixels = await this.files.read(file, record * this.recordBytes, this.recordBytes);
      return this.checked(pixels, place, name, (await checksumBehind(pixels)) === expected);
    } catch (cause) {
      throw readError(file, cause as Error);
    }
  }

  close(): void {
    this.files.close();
  }

  private find(place: number): { file: string; record: number } {
    const shard = Math.floor(place / this.recordsPerShard);
    return { file: shardFile(this.folder, shard, 'bin'), record: place % this.recordsPerShard };
  }

  private checked(pixels: Uint8Array, place: number, name: string, whole: boolean): Uint8Array {
    if (whole) return pixels;
    const { file, record } = this.find(place);
    const { recordBytes } = this;
    const cut = pixels.length < recordBytes;
    throw new UserError(
      `${file}: picture ${record}, ${name}, is ${cut ? `cut short after ${pixels.length} of its ${recordBytes} bytes` : 'damaged'}; ` +
        'delete this file and the .json beside it and run "alexnet prepare" again: it mends what is missing',
    );
  }
}

function readError(file: string, cause: Error): Error {
  return cause instanceof UserError ? cause : new UserError(`${file}: cannot be read: ${cause.message}`, { cause });
}

/**
 * @throws {UserError} when a file is missing or damaged, or the pictures have another size than asked for
 */
export async function openPack(folder: string, { imagePx }: OpenOptions): Promise<Dataset> {
  const pack = await readJson<PackRecord>(join(folder, 'pack.json'));
  if (pack.format !== PACK_FORMAT) {
    throw new UserError(`${folder}: format ${pack.format}, this version reads ${PACK_FORMAT}; prepare it again`);
  }
  if (pack.imagePx !== imagePx) {
    throw new UserError(
      `${folder}: holds pictures of ${pack.imagePx} pixels, the network takes them from ${imagePx}; prepare it again with --size ${imagePx}`,
    );
  }
  const names: string[] = [];
  const checksums: string[] = [];
  for (let shard = 0; shard < pack.shards; shard++) {
    const record = await readJson<ShardRecord>(shardFile(folder, shard, 'json'));
    names.push(...record.names);
    checksums.push(record.checksums);
  }
  const all = checksums.join('');
  const reader = new ShardReader(folder, imagePx * imagePx * 3, pack.recordsPerShard);
  const splits: Record<string, Split> = {};
  for (const [split, length] of Object.entries(pack.splits)) {
    const { places, labels } = await readSplit(folder, split, length, pack);
    const record = (index: number): [number, string, string] => {
      const place = places[index];
      return [place, names[place], all.slice(place * CHECKSUM_LENGTH, (place + 1) * CHECKSUM_LENGTH)];
    };
    const whole: Split = {
      length,
      labels,
      name: (index) => names[places[index]],
      pixels: (index) => reader.pixels(...record(index)),
      load: async (indices) => {
        const pixels = await Promise.all(Array.from(indices, (index) => reader.load(...record(index))));
        return loadedPart(whole, indices, pixels);
      },
    };
    splits[split] = whole;
  }
  const { source, labels, synsets, skipped, notes, colours } = pack;
  splits.val ??= splits.test ?? splits.train;
  splits.test ??= splits.val;
  const mean = await readMean(folder, pack);
  return { source, imagePx, labels, synsets, splits, skipped, notes, mean, colours };
}

async function readSplit(
  folder: string,
  split: string,
  length: number,
  pack: PackRecord,
): Promise<{ places: Uint32Array; labels: Uint16Array }> {
  const bytes = await readWhole(folder, `${split}.bin`, length * 6, pack);
  return { places: new Uint32Array(bytes, 0, length), labels: new Uint16Array(bytes, length * 4, length) };
}

async function readMean(folder: string, pack: PackRecord): Promise<Float32Array> {
  return new Float32Array(await readWhole(folder, 'mean.bin', pack.imagePx ** 2 * 3 * 4, pack));
}

async function readWhole(folder: string, name: string, expected: number, { sha256 }: PackRecord): Promise<ArrayBuffer> {
  const file = join(folder, name);
  const bytes = await readFile(file).catch((cause: Error) => {
    throw new UserError(`${file}: cannot be read: ${cause.message}; prepare the data set again`, { cause });
  });
  if (bytes.length !== expected)
    throw new UserError(`${file}: expected ${expected} bytes, got ${bytes.length}; prepare the data set again`);
  if (sha256 && sha256[name] !== fullChecksum(bytes))
    throw new UserError(`${file}: damaged: its SHA-256 is not that in pack.json; prepare the data set again`);
  return Uint8Array.from(bytes).buffer;
}

async function readJson<T>(file: string): Promise<T> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as T;
  } catch (cause) {
    throw new UserError(`${file}: cannot be read as JSON: ${(cause as Error).message}; prepare the data set again`, {
      cause,
    });
  }
}
