/**
 * Decodes a data set once and keeps it as a pack (`pack-format.ts`). Memory does not grow with the set. What is whole of an earlier try is kept: shards
 * are renamed into place when their last picture is written.
 */
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../../model/errors.js';
import { writeFileAtomically } from '../atomic-file.js';
import { colourStatistics } from './colour.js';
import type { Dataset, Encoded, Member, PictureSink } from './dataset.js';
import { decodePicture } from './decode.js';
import { meanImage } from './mean.js';
import {
  CHECKSUM_LENGTH,
  checksum,
  fullChecksum,
  NO_PICTURE,
  PACK_FORMAT,
  type PackRecord,
  type ShardRecord,
  shardFile,
} from './pack-format.js';
import { ShardReader } from './shard-reader.js';

/** About what a shard holds, and so what a second try may have to decode again. */
const SHARD_BYTES = 400_000_000;

interface Shard {
  number: number;
  file: FileHandle;
  names: string[];
  checksums: string[];
  skipped: { name: string; reason: string }[];
}

/** Writes pictures into shards in the order of `add`. */
export class PackWriter implements PictureSink {
  readonly names: string[] = [];
  readonly skipped: { name: string; reason: string }[] = [];
  readonly recordsPerShard: number;
  /** Pictures taken over from an earlier try. */
  kept = 0;
  private readonly checksums: string[] = [];
  private readonly keptNames: string[] = [];
  private readonly running = new Set<Promise<void>>();
  private readonly recordBytes: number;
  private current?: Shard;
  private fault?: Error;
  private reader?: ShardReader;

  private constructor(
    readonly folder: string,
    readonly imagePx: number,
    shardBytes: number,
  ) {
    this.recordBytes = imagePx * imagePx * 3;
    this.recordsPerShard = Math.max(1, Math.floor(shardBytes / this.recordBytes));
  }

  /**
   * Takes over what an earlier try has finished.
   */
  static async open(folder: string, imagePx: number, shardBytes = SHARD_BYTES): Promise<PackWriter> {
    const writer = new PackWriter(folder, imagePx, shardBytes);
    await mkdir(folder, { recursive: true });
    for (let shard = 0; existsSync(shardFile(folder, shard, 'json')); shard++) {
      if (!(await writer.takeOver(shard))) break;
    }
    writer.kept = writer.checksums.length;
    return writer;
  }

  get shards(): number {
    return Math.ceil(this.names.length / this.recordsPerShard);
  }

  /** @throws {UserError} when the disk is full, or an earlier try read other pictures */
  async add({ path: name, read }: Pick<Member, 'path' | 'read'>): Promise<void> {
    if (this.fault) throw this.fault;
    const slot = this.names.push(name) - 1;
    if (slot < this.kept) return this.checkKept(slot, name);
    const shard = await this.shardOf(slot);
    const record = slot % this.recordsPerShard;
    shard.names[record] = name;
    const task: Promise<void> = this.write(shard, slot, record, read()).finally(() => this.running.delete(task));
    this.running.add(task);
    if (this.running.size >= 2 * availableParallelism()) await Promise.race(this.running);
  }

  async settle(): Promise<void> {
    await Promise.all(this.running);
    if (this.fault) throw this.fault;
    if (this.current) await this.close(this.current);
    this.current = undefined;
    this.reader = new ShardReader(this.folder, this.recordBytes, this.recordsPerShard);
  }

  has(slot: number): boolean {
    return this.checksums[slot] !== NO_PICTURE;
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

  /** Reads what an earlier try says of a shard; false where that is not whole. */
  private async takeOver(number: number): Promise<boolean> {
    const record = JSON.parse(await readFile(shardFile(this.folder, number, 'json'), 'utf8')) as ShardRecord;
    const { size } = await stat(shardFile(this.folder, number, 'bin')).catch(() => ({ size: -1 }));
    const whole = record.names.length === this.recordsPerShard && size === this.recordsPerShard * this.recordBytes;
    if (!whole) return false;
    for (let i = 0; i < record.names.length; i++) {
      this.checksums.push(record.checksums.slice(i * CHECKSUM_LENGTH, (i + 1) * CHECKSUM_LENGTH));
    }
    this.keptNames.push(...record.names);
    this.skipped.push(...record.skipped);
    return true;
  }

  private checkKept(slot: number, name: string): void {
    if (this.keptNames[slot] === name) return;
    throw new UserError(
      `${this.folder}: was begun with other pictures: picture ${slot} was ${this.keptNames[slot]}, now ${name}; remove the folder, or name another with --out`,
    );
  }

  private async shardOf(slot: number): Promise<Shard> {
    const number = Math.floor(slot / this.recordsPerShard);
    if (this.current?.number === number) return this.current;
    if (this.current) await this.close(this.current);
    const file = await open(`${shardFile(this.folder, number, 'bin')}.part`, 'w');
    this.current = { number, file, names: [], checksums: [], skipped: [] };
    return this.current;
  }

  private async write(shard: Shard, slot: number, record: number, bytes: Promise<Encoded>): Promise<void> {
    let pixels: Uint8Array;
    try {
      pixels = await decodePicture(await bytes, this.imagePx);
      shard.checksums[record] = checksum(pixels);
    } catch (error) {
      const skipped = { name: this.names[slot], reason: (error as Error).message.split('\n')[0] };
      shard.skipped.push(skipped);
      this.skipped.push(skipped);
      shard.checksums[record] = NO_PICTURE;
      pixels = new Uint8Array(this.recordBytes);
    }
    this.checksums[slot] = shard.checksums[record];
    try {
      await shard.file.write(pixels, 0, this.recordBytes, record * this.recordBytes);
    } catch (error) {
      this.fault ??= diskError(this.folder, error as NodeJS.ErrnoException);
    }
  }

  private async close({ number, file, names, checksums, skipped }: Shard): Promise<void> {
    await Promise.all(this.running);
    if (this.fault) throw this.fault;
    try {
      await file.sync();
      await file.close();
      const whole = shardFile(this.folder, number, 'bin');
      await rename(`${whole}.part`, whole);
      const record: ShardRecord = { names, checksums: checksums.join(''), skipped };
      await writeFileAtomically(shardFile(this.folder, number, 'json'), JSON.stringify(record));
    } catch (error) {
      throw diskError(this.folder, error as NodeJS.ErrnoException);
    }
  }
}

function diskError(folder: string, cause: NodeJS.ErrnoException): UserError {
  if (cause.code !== 'ENOSPC') return new UserError(`${folder}: cannot be written: ${cause.message}`, { cause });
  return new UserError(`${folder}: the disk is full; make room and give the same command again: it goes on from here`, {
    cause,
  });
}

/**
 * Writes what makes the shards a data set: splits, mean, colours, and `pack.json` last.
 * @param dataset  read through `writer`
 */
export async function finishPack(writer: PackWriter, dataset: Dataset): Promise<PackRecord> {
  const { folder, imagePx, recordsPerShard, shards } = writer;
  const { source, labels, synsets, skipped, notes } = dataset;
  const splits: Record<string, number> = {};
  const sha256: Record<string, string> = {};
  const write = async (name: string, bytes: Uint8Array) => {
    await writeFileAtomically(join(folder, name), bytes);
    sha256[name] = fullChecksum(bytes);
  };
  // `val` and `test` may be one split under two names.
  const distinct = Object.entries(dataset.splits).filter(
    ([, split], i, all) => all.findIndex(([, other]) => other === split) === i,
  );
  for (const [name, { length, labels: classes, places }] of distinct) {
    if (!places) throw new UserError(`${source}: its pictures are made anew at every use and cannot be prepared`);
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
    recordsPerShard,
    shards,
    labels,
    synsets,
    splits,
    colours,
    skipped,
    notes,
    sha256,
  };
  await rm(shardFile(folder, shards, 'json'), { force: true }); // of an earlier, longer try
  await writeFileAtomically(join(folder, 'pack.json'), `${JSON.stringify(record)}\n`);
  return record;
}
