/**
 * Decodes a data set once and keeps it as a pack (`pack-format.ts`). Memory does not grow with the set. What is whole
 * of an earlier try is kept: shards are renamed into place when their last image is written.
 */
import { type FileHandle, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { moveFile, writeFileAtomically } from '../../../base/atomic-file.js';
import { DiskFullError, writeError } from '../../../base/disk-full.js';
import { UserError } from '../../../base/errors.js';
import { makeFolder } from '../../../base/make-folder.js';
import { usableCores } from '../../../base/process/usable-cores.js';
import { foreignFile, refuseForeign, startOf } from '../../../base/replaceable.js';
import { colourStatistics } from '../batches/colour.js';
import { meanImage } from '../batches/mean.js';
import type { Dataset, Encoded, Image, ImageSink } from '../dataset.js';
import { decodeImage } from '../decode.js';
import { ShardReader } from '../stream/shard-reader.js';
import {
  CHECKSUM_LENGTH,
  checksum,
  fullChecksum,
  NO_IMAGE,
  PACK_FORMAT,
  type PackRecord,
  type ShardRecord,
  shardFile,
} from './pack-format.js';

/** About what a shard holds, and so what a second try may have to decode again. */
const SHARD_BYTES = 400_000_000;

interface Shard {
  number: number;
  file: FileHandle;
}

export interface PackOptions {
  shardBytes?: number;
  /** How images are resized, see `OpenOptions`. */
  resampling?: 'bilinear';
  /** Whether the folder's set is to be removed, once there is an image to put in its place. */
  replace?: boolean;
}

/** Writes images into shards in the order of `add`. */
export class PackWriter implements ImageSink {
  readonly names: string[] = [];
  readonly recordsPerShard: number;
  /** Images taken over from an earlier try. */
  kept = 0;
  /** Images decoded by this one. */
  decoded = 0;
  private readonly checksums: string[] = [];
  /** Why an image could not be read, by slot. */
  private readonly reasons = new Map<number, string>();
  /** Names of images by shard. */
  private readonly keptShards = new Map<number, string[]>();
  /** Kept shards with an image that can be read now. */
  private readonly restored = new Set<number>();
  private readonly running = new Set<Promise<void>>();
  private readonly recordBytes: number;
  private current?: Shard;
  private fault?: Error;
  private reader?: ShardReader;
  private replace: boolean;
  readonly resampling?: 'bilinear';

  private constructor(
    readonly folder: string,
    readonly imagePx: number,
    { shardBytes = SHARD_BYTES, replace = false, resampling }: PackOptions,
  ) {
    this.resampling = resampling;
    this.replace = replace;
    this.recordBytes = imagePx * imagePx * 3;
    this.recordsPerShard = Math.max(1, Math.floor(shardBytes / this.recordBytes));
  }

  /** Takes over what an earlier try has finished. */
  static async open(folder: string, imagePx: number, options: PackOptions = {}): Promise<PackWriter> {
    const writer = new PackWriter(folder, imagePx, options);
    await makeFolder(folder);
    if (options.replace) return writer;
    for (const shard of await shardsIn(folder)) await writer.takeOver(shard);
    writer.kept = writer.keptShards.size * writer.recordsPerShard;
    return writer;
  }

  get skipped(): { name: string; reason: string }[] {
    return this.skippedOf(0, this.names.length);
  }

  get shards(): number {
    return Math.ceil(this.names.length / this.recordsPerShard);
  }

  /** @throws {UserError} when the disk is full, or an earlier try read other images */
  async add({ path: name, read }: Image): Promise<void> {
    if (this.fault) throw this.fault;
    if (this.replace) await removePack(this.folder);
    this.replace = false;
    const slot = this.names.push(name) - 1;
    const record = slot % this.recordsPerShard;
    const number = Math.floor(slot / this.recordsPerShard);
    const kept = this.keptShards.get(number);
    if (kept && !this.isToBeReadAgain(slot, name, kept[record])) return;
    const work = kept ? this.readAgain(number, slot, read()) : this.write(await this.shardOf(number), slot, read());
    const task: Promise<void> = work.finally(() => this.running.delete(task));
    this.running.add(task);
    if (this.running.size >= 2 * usableCores()) await Promise.race(this.running);
  }

  async settle(): Promise<void> {
    await Promise.all(this.running);
    if (this.fault) throw this.fault;
    if (this.current) await this.close(this.current);
    this.current = undefined;
    for (const number of this.restored) await this.writeRecord(number);
    this.reader = new ShardReader(this.folder, this.recordBytes, this.recordsPerShard);
  }

  has(slot: number): boolean {
    return this.checksums[slot] !== NO_IMAGE;
  }

  pixels(slot: number): Uint8Array {
    return this.reader!.pixels(slot, this.names[slot], this.checksums[slot]);
  }

  /** Closes what is open; the shard under way is left for the next try to replace. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.running);
    await this.current?.file.close().catch(() => undefined);
    this.reader?.close();
  }

  /** Reads what an earlier try says of a shard, if that is whole. */
  private async takeOver(number: number): Promise<void> {
    const record = JSON.parse(await readFile(shardFile(this.folder, number, 'json'), 'utf8')) as ShardRecord;
    const { size } = await stat(shardFile(this.folder, number, 'bin')).catch(() => ({ size: -1 }));
    const whole = record.names.length === this.recordsPerShard && size === this.recordsPerShard * this.recordBytes;
    if (!whole) return;
    for (let i = 0; i < record.names.length; i++) {
      const checksum = record.checksums.slice(i * CHECKSUM_LENGTH, (i + 1) * CHECKSUM_LENGTH);
      this.checksums[number * this.recordsPerShard + i] = checksum;
    }
    this.keptShards.set(number, record.names);
  }

  /**
   * What could not be read may have been repaired; the first of every shard tells whether these are the same images.
   */
  private isToBeReadAgain(slot: number, name: string, keptName: string): boolean {
    if (name !== keptName) throw this.otherImages(`image ${slot} was ${keptName}, now ${name}`);
    return slot % this.recordsPerShard === 0 || this.checksums[slot] === NO_IMAGE;
  }

  private otherImages(what: string): UserError {
    return new UserError(
      `${this.folder}: was begun with other images: ${what}; remove the folder, or name another with --out`,
    );
  }

  private async readAgain(number: number, slot: number, bytes: Promise<Encoded>): Promise<void> {
    const before = this.checksums[slot];
    let pixels: Uint8Array;
    try {
      pixels = await decodeImage(await bytes, this.imagePx, this.resampling);
    } catch (error) {
      if (before === NO_IMAGE) this.reasons.set(slot, (error as Error).message);
      return;
    }
    const now = checksum(pixels);
    if (now === before) return;
    if (before !== NO_IMAGE) {
      this.fault ??= this.otherImages(`${this.names[slot]} has other pixels now`);
      return;
    }
    try {
      const file = await open(shardFile(this.folder, number, 'bin'), 'r+');
      const written = this.put(file, slot, pixels).then(() => file.sync());
      await written.finally(() => file.close());
    } catch (error) {
      this.fault ??= packError(this.folder, error);
      return;
    }
    this.decoded += 1;
    this.checksums[slot] = now;
    this.restored.add(number);
  }

  private async put(file: FileHandle, slot: number, pixels: Uint8Array): Promise<void> {
    await file.write(pixels, 0, this.recordBytes, (slot % this.recordsPerShard) * this.recordBytes);
  }

  private async shardOf(number: number): Promise<Shard> {
    if (this.current?.number === number) return this.current;
    if (this.current) await this.close(this.current);
    const temporary = temporaryFile(this.folder, number);
    await rm(temporary, { force: true }); // of a try that was killed
    const file = await open(temporary, 'wx');
    this.current = { number, file };
    return this.current;
  }

  private async write(shard: Shard, slot: number, bytes: Promise<Encoded>): Promise<void> {
    this.decoded += 1;
    let pixels: Uint8Array;
    try {
      pixels = await decodeImage(await bytes, this.imagePx, this.resampling);
      this.checksums[slot] = checksum(pixels);
    } catch (error) {
      this.reasons.set(slot, (error as Error).message);
      this.checksums[slot] = NO_IMAGE;
      pixels = new Uint8Array(this.recordBytes);
    }
    try {
      await this.put(shard.file, slot, pixels);
    } catch (error) {
      this.fault ??= packError(this.folder, error);
    }
  }

  private async close({ number, file }: Shard): Promise<void> {
    await Promise.all(this.running);
    if (this.fault) throw this.fault;
    try {
      await file.sync();
      await file.close();
      await this.writeRecord(number); // first: it says whose the shard is
      await moveFile(temporaryFile(this.folder, number), shardFile(this.folder, number, 'bin'));
    } catch (error) {
      throw packError(this.folder, error);
    }
  }

  private async writeRecord(number: number): Promise<void> {
    const [start, end] = [number, number + 1].map((shard) => shard * this.recordsPerShard);
    const record: ShardRecord = {
      names: this.names.slice(start, end),
      checksums: this.checksums.slice(start, end).join(''),
      skipped: this.skippedOf(start, end),
    };
    await writeFileAtomically(shardFile(this.folder, number, 'json'), JSON.stringify(record));
  }

  private skippedOf(start: number, end: number): ShardRecord['skipped'] {
    const slots = [...this.reasons].filter(([slot]) => slot >= start && slot < end);
    return slots.map(([slot, reason]) => ({ name: this.names[slot], reason }));
  }
}

/** Of a shard under way: a name that nobody else gives. */
const temporaryFile = (folder: string, number: number) => `${shardFile(folder, number, 'bin')}.alexnet-tmp`;

/**
 * What a folder has under the names of a set's files that belongs to no set, whole or begun. A shard belongs to one
 * where its record or `pack.json` says so.
 * @param names  of what is about to be written
 */
export async function foreignToPack(folder: string, names: readonly string[] = PACK_FILES): Promise<string[]> {
  const shards = await shardsOfPack(folder);
  const isBegun = shards > 0 || isShardRecord(await startOf(shardFile(folder, 0, 'json')));
  const isOwn = (name: string, start: Buffer) => (name === 'pack.json' ? isPackRecord(start) : isBegun);
  const found = names.map((name) => foreignFile(join(folder, name), (start) => isOwn(name, start)));
  for (const name of await readdir(folder).catch(() => [])) {
    const [, number, kind] = SHARD.exec(name) ?? [];
    if (number === undefined) continue;
    const record = shardFile(folder, Number(number), 'json');
    const isRecorded = isShardRecord(await startOf(record));
    found.push(foreignFile(join(folder, name), () => isRecorded || (kind === 'bin' && Number(number) < shards)));
  }
  return (await Promise.all(found)).flat();
}

const PACK_FILES = ['pack.json', 'mean.bin', 'train.bin', 'val.bin', 'test.bin'];
const SHARD = /^pictures-(\d{5})\.(json|bin)$/;
const isShardRecord = (start: Buffer) => start.subarray(0, 10).equals(Buffer.from('{"names":['));
const isPackRecord = (start: Buffer) => start.subarray(0, 10).equals(Buffer.from('{"format":'));

/** How many shards `pack.json` says there are; 0 where there is no such file of ours. */
async function shardsOfPack(folder: string): Promise<number> {
  const file = join(folder, 'pack.json');
  if (!isPackRecord(await startOf(file))) return 0;
  try {
    return (JSON.parse(await readFile(file, 'utf8')) as PackRecord).shards;
  } catch {
    return 0; // cut short
  }
}

/** Numbers of the shards that were finished, in their order. */
async function shardsIn(folder: string): Promise<number[]> {
  const files = await readdir(folder);
  const found = files.map((file) => SHARD.exec(file)).filter((match) => match?.[2] === 'json');
  return found.map((match) => Number(match![1])).sort((a, b) => a - b);
}

async function removePack(folder: string): Promise<void> {
  refuseForeign(await foreignToPack(folder), 'alexnet prepare');
  const own = (await readdir(folder)).filter((file) => file === 'pack.json' || SHARD.test(file));
  // pack.json first: it says that the rest is whole; the record of a shard after it.
  for (const file of own.sort()) await rm(join(folder, file));
}

/** @param error  of a write to the folder */
function packError(folder: string, error: unknown): Error {
  const known = writeError(folder, error) as Error;
  if (!(known instanceof DiskFullError)) return known;
  return new UserError(
    `${folder}: ${known.reason}; make room and give the same command again: it continues from here`,
    {
      cause: error,
    },
  );
}

/**
 * Writes what makes the shards a data set: splits, mean, colours, and `pack.json` last.
 * @param dataset  read through `writer`
 */
export async function finishPack(writer: PackWriter, dataset: Dataset): Promise<PackRecord> {
  const { folder, imagePx, resampling, recordsPerShard, shards } = writer;
  const { source, labels, synsets, skipped, notes, holdOut, divided } = dataset;
  const splits: Record<string, number> = {};
  const sha256: Record<string, string> = {};
  const write = async (name: string, bytes: Uint8Array) => {
    refuseForeign(await foreignToPack(folder, [name]), 'alexnet prepare');
    await writeFileAtomically(join(folder, name), bytes);
    sha256[name] = fullChecksum(bytes);
  };
  // `val` and `test` may be one split under two names.
  const distinct = Object.entries(dataset.splits).filter(
    ([, split], i, all) => all.findIndex(([, other]) => other === split) === i,
  );
  for (const [name, { length, labels: classes, places }] of distinct) {
    if (!places) throw new UserError(`${source}: its images are made at every use and cannot be prepared`);
    const bytes = Buffer.concat(
      [places, classes].map((array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength)),
    );
    await write(`${name}.bin`, bytes);
    splits[name] = length;
  }
  const train = dataset.splits.train ?? dataset.splits.val;
  const mean = meanImage(train, 0);
  await write('mean.bin', new Uint8Array(mean.buffer));
  const colours = colourStatistics(train, 0);
  const record: PackRecord = {
    format: PACK_FORMAT,
    source,
    imagePx,
    resampling,
    recordsPerShard,
    shards,
    labels,
    synsets,
    splits,
    colours,
    skipped,
    notes,
    holdOut,
    divided,
    sha256,
  };
  for (const number of await shardsIn(folder)) {
    if (number < shards) continue;
    // of a longer try
    for (const kind of ['bin', 'json'] as const) await rm(shardFile(folder, number, kind), { force: true });
  }
  await writeFileAtomically(join(folder, 'pack.json'), `${JSON.stringify(record)}\n`);
  return record;
}
