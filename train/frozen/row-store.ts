/**
 * Rows of numbers that a process keeps for itself: in memory, or in a file without a name, which is gone with the
 * process. No other process finds them, so none can take them for its own.
 */
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { writeError } from '../../base/disk-full.js';
import { freeMemory } from '../../base/out-of-memory.js';
import { cacheError, makeCacheFolder, remoteOptions } from '../data/remote/options.js';

/** Of what is free: in memory the network's step needs room too. */
const MEMORY_SHARE = 0.25;
const DISK_SHARE = 0.5;

export type Room = 'memory' | 'disk';

/** Where this many bytes may be kept: on disk, at most what `ALEXNET_CACHE_GB` allows. undefined: nowhere. */
export async function roomFor(bytes: number, free = freeMemory()): Promise<Room | undefined> {
  if (bytes <= MEMORY_SHARE * free) return 'memory';
  const { cacheFolder, cacheBytes } = remoteOptions();
  if (bytes > cacheBytes) return undefined;
  await makeCacheFolder(cacheFolder);
  const { bavail, bsize } = await statfs(cacheFolder);
  return bytes <= DISK_SHARE * bavail * bsize ? 'disk' : undefined;
}

/** Rows of float32, all of one width. */
export class RowStore {
  private readonly rows: Float32Array[] = [];
  private readonly file?: { path: string; descriptor: number };

  constructor(
    room: Room,
    /** Numbers in a row. */
    readonly width: number,
  ) {
    if (room === 'memory') return;
    const { cacheFolder } = remoteOptions();
    const path = join(cacheFolder, `features-${process.pid}-${Date.now()}.tmp`);
    try {
      this.file = { path, descriptor: openSync(path, 'wx+', 0o600) };
    } catch (error) {
      throw cacheError(cacheFolder, error);
    }
    if (process.platform !== 'win32') rmSync(path); // the open file stays
  }

  /** @throws {UserError} if the disk is full */
  set(row: number, values: Float32Array): void {
    if (this.file === undefined) {
      this.rows[row] = values.slice();
      return;
    }
    try {
      writeSync(this.file.descriptor, values, 0, values.byteLength, row * values.byteLength);
    } catch (error) {
      throw writeError(this.file.path, error);
    }
  }

  /** Copies a row into `out`; one that was not set leaves it as it is. */
  read(row: number, out: Float32Array): void {
    if (this.file === undefined) out.set(this.rows[row] ?? []);
    else readSync(this.file.descriptor, out, 0, out.byteLength, row * out.byteLength);
  }

  dispose(): void {
    this.rows.length = 0;
    if (this.file === undefined) return;
    closeSync(this.file.descriptor);
    if (process.platform === 'win32') rmSync(this.file.path, { force: true });
  }
}
