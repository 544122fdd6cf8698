/**
 * Blocks of far files kept on disk, each a file: its bytes, then their SHA-256. Processes share the folder: a block
 * appears whole, by a rename, and those used longest ago make room for others.
 */
import { createHash, randomUUID, subtle } from 'node:crypto';
import { open, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { writeAtomically } from '../../../base/atomic-file.js';
import { DiskFullError } from '../../../base/disk-full.js';
import { UserError } from '../../../base/errors.js';
import { makeCacheFolder, type RemoteOptions } from './options.js';

const DIGEST_BYTES = 32;
/** The folder may hold other things too; what follows is of a block being written. */
const BLOCK_FILE = /^[0-9a-f]{64}\.block(\.|$)/;
/** Of the bound, what a process writes before it looks again at what others have written. */
const UNSEEN_SHARE = 1 / 128;
/** Of the bound, what is left free for others then: eight processes keep to it together. */
const SPARE_SHARE = 8 * UNSEEN_SHARE;

/** A name for a block, made from all that tells it from others. */
export const blockKey = (...parts: (string | number)[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex');

export class BlockCache {
  /** Blocks that were found whole by this process, or come from it. */
  private readonly checked = new Set<string>();
  private readonly oneByOne = pLimit(1);
  /** Written since the folder was looked at. */
  private unseen = Number.POSITIVE_INFINITY;

  constructor(private readonly options: Pick<RemoteOptions, 'cacheFolder' | 'cacheBytes'>) {}

  /** A piece of a block that was checked before; undefined if it was not, or is gone. */
  async piece(key: string, from: number, to: number): Promise<Buffer | undefined> {
    if (!this.checked.has(key)) return undefined;
    const file = await open(this.path(key), 'r').catch(() => undefined);
    if (file === undefined) return undefined;
    try {
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafeSlow(to - from), 0, to - from, from);
      const now = new Date();
      await file.utimes(now, now).catch(() => undefined); // another user's
      return bytesRead === to - from ? buffer : undefined;
    } finally {
      await file.close();
    }
  }

  /** A block, checked; undefined if it is not there or damaged. */
  async whole(key: string, length: number): Promise<Buffer | undefined> {
    const file = await readFile(this.path(key)).catch(() => undefined);
    if (file === undefined) return undefined;
    const bytes = file.subarray(0, length);
    if (!(await digest(bytes)).equals(file.subarray(length))) {
      await this.drop(key);
      return undefined;
    }
    const now = new Date();
    await utimes(this.path(key), now, now).catch(() => undefined); // another process may have made room
    this.checked.add(key);
    return bytes;
  }

  /**
   * Keeps a block; one for which there is no room is fetched again when it is needed.
   * @throws {UserError} if the folder cannot be written
   */
  async keep(key: string, bytes: Buffer): Promise<void> {
    const kept = bytes.length + DIGEST_BYTES;
    if (kept > this.options.cacheBytes * (1 - SPARE_SHARE)) return;
    const contents = [bytes, await digest(bytes)];
    await this.oneByOne(async () => {
      await this.makeRoom(kept);
      const { cacheFolder } = this.options;
      try {
        // Two processes may write the same block at the same time.
        await writeAtomically(
          cacheFolder,
          (sha256) => `${key}.block${sha256 === '' ? `.${randomUUID()}` : ''}`,
          contents,
        );
        this.checked.add(key);
      } catch (error) {
        if (!(error instanceof DiskFullError)) throw this.unusable(error as Error);
      }
    });
  }

  async drop(key: string): Promise<void> {
    this.checked.delete(key);
    await rm(this.path(key), { force: true });
  }

  private async makeRoom(bytes: number): Promise<void> {
    const { cacheFolder, cacheBytes } = this.options;
    this.unseen += bytes;
    if (this.unseen <= cacheBytes * UNSEEN_SHARE) return;
    await makeCacheFolder(cacheFolder);
    const files = await this.files();
    let total = files.reduce((sum, { size }) => sum + size, bytes);
    for (const { path, size } of files) {
      if (total <= cacheBytes * (1 - SPARE_SHARE)) break;
      await rm(path, { force: true });
      total -= size;
    }
    this.unseen = 0;
  }

  /** Those used longest ago first. */
  private async files(): Promise<{ path: string; size: number }[]> {
    const names = (await readdir(this.options.cacheFolder)).filter((name) => BLOCK_FILE.test(name));
    const found = await Promise.all(
      names.map(async (name) => {
        const path = join(this.options.cacheFolder, name);
        const { size, mtimeMs } = await stat(path).catch(() => ({ size: 0, mtimeMs: 0 })); // gone since
        return { path, size, mtimeMs };
      }),
    );
    return found.sort((a, b) => a.mtimeMs - b.mtimeMs);
  }

  private path(key: string): string {
    return join(this.options.cacheFolder, `${key}.block`);
  }

  private unusable(cause: Error): UserError {
    const { cacheFolder } = this.options;
    return new UserError(
      `${cacheFolder}: expected a folder to keep blocks of far files in, got: ${cause.message}; choose another with ALEXNET_CACHE`,
      { cause },
    );
  }
}

/** By one of libuv's threads. */
const digest = async (bytes: Uint8Array): Promise<Buffer> => Buffer.from(await subtle.digest('SHA-256', bytes));
