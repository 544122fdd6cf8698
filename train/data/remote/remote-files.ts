/**
 * Files behind URLs, read by position: in blocks, each fetched once by a range request and kept on disk
 * (`block-cache.ts`) for later reads and runs. A file is one version from its first request on: if it changes, reading
 * ends.
 */
import { Readable } from 'node:stream';
import pLimit from 'p-limit';
import { UserError } from '../../../base/errors.js';
import type { PieceReader } from '../stream/piece-reader.js';
import { BlockCache, blockKey } from './block-cache.js';
import { fetchRange, MissingFileError, type Version } from './fetch-range.js';
import { type RemoteOptions, remoteOptions } from './options.js';
import { withTries } from './retry.js';

export const BLOCK_BYTES = 4 * 2 ** 20;
/** Blocks fetched or checked at once, and so in memory. */
const AT_ONCE = 8;

export class RemoteFiles implements PieceReader {
  private readonly options: RemoteOptions;
  private readonly cache: BlockCache;
  private readonly versions = new Map<string, Promise<Version>>();
  /** Under way, by key. */
  private readonly blocks = new Map<string, Promise<Buffer>>();
  private readonly limit = pLimit(AT_ONCE);
  /** Of a request that was the last try: whatever reads ends with it, and what was to be read ahead is not tried on. */
  private failure?: Error;

  /** @param blockBytes  of all blocks but a file's last */
  constructor(
    options?: Partial<RemoteOptions>,
    readonly blockBytes = BLOCK_BYTES,
  ) {
    this.options = remoteOptions(options);
    this.cache = new BlockCache(this.options);
  }

  async read(file: string, position: number, length: number): Promise<Buffer> {
    const version = await this.version(file);
    const end = Math.min(position + length, version.size);
    const pieces: Promise<Buffer>[] = [];
    for (let start = position; start < end; ) {
      const number = Math.floor(start / this.blockBytes);
      const next = Math.min((number + 1) * this.blockBytes, end);
      pieces.push(this.pieceOf(file, version, number, start, next));
      start = next;
    }
    const read = await Promise.all(pieces);
    return read.length === 1 ? read[0] : Buffer.concat(read);
  }

  async readAnew(file: string, position: number, length: number): Promise<Buffer> {
    const version = await this.version(file);
    const last = Math.floor((position + length - 1) / this.blockBytes);
    for (let number = Math.floor(position / this.blockBytes); number <= last; number++)
      await this.cache.drop(this.keyOf(file, version, number));
    return this.read(file, position, length);
  }

  piece(file: string, position: number, length: number): () => Promise<Buffer> {
    return () => this.read(file, position, length);
  }

  stream(file: string): Readable {
    return Readable.from(this.blocksOf(file), { objectMode: false });
  }

  async whole(file: string): Promise<Buffer> {
    return this.read(file, 0, (await this.version(file)).size);
  }

  async exists(file: string): Promise<boolean> {
    try {
      await this.version(file);
      return true;
    } catch (error) {
      if (error instanceof MissingFileError) return false;
      throw error;
    }
  }

  close(): void {}

  /** One block ahead of its reader. */
  private async *blocksOf(file: string): AsyncGenerator<Buffer> {
    const { size } = await this.version(file);
    const read = (start: number) => {
      const block = this.read(file, start, this.blockBytes);
      block.catch(() => undefined); // thrown at its turn
      return block;
    };
    let next = read(0);
    for (let start = 0; start < size; start += this.blockBytes) {
      const block = await next;
      next = read(start + this.blockBytes);
      yield block;
    }
  }

  /** As the file is at its first request. */
  private version(file: string): Promise<Version> {
    const known = this.versions.get(file);
    if (known) return known;
    const version = this.limit(async () => (await this.fetch(file, 0, 1)).version);
    this.versions.set(file, version);
    version.catch(() => this.versions.delete(file));
    return version;
  }

  private async pieceOf(file: string, version: Version, number: number, start: number, end: number): Promise<Buffer> {
    const first = number * this.blockBytes;
    const [from, to] = [start - first, end - first];
    const kept = await this.cache.piece(this.keyOf(file, version, number), from, to);
    if (kept) return kept;
    const block = await this.block(file, version, number);
    return Buffer.from(block.subarray(from, to)); // a copy, which lets the block go
  }

  private block(file: string, version: Version, number: number): Promise<Buffer> {
    const key = this.keyOf(file, version, number);
    const start = number * this.blockBytes;
    const length = Math.min(this.blockBytes, version.size - start);
    const known = this.blocks.get(key);
    if (known) return known;
    const block = this.limit(async () => {
      try {
        const kept = await this.cache.whole(key, length);
        if (kept) return kept;
        const fetched = await this.fetch(file, start, length);
        checkSame(file, version, fetched.version);
        await this.cache.keep(key, fetched.bytes);
        return fetched.bytes;
      } finally {
        this.blocks.delete(key);
      }
    });
    this.blocks.set(key, block);
    return block;
  }

  private async fetch(file: string, start: number, length: number): ReturnType<typeof fetchRange> {
    const what = `${file}: expected bytes ${start} to ${start + length - 1}`;
    try {
      return await withTries(what, () => this.tryOnce(file, start, length), this.options);
    } catch (error) {
      if (!(error instanceof MissingFileError)) this.failure ??= error as Error;
      throw error;
    }
  }

  private async tryOnce(file: string, start: number, length: number): ReturnType<typeof fetchRange> {
    if (this.failure) throw this.failure;
    return fetchRange(file, start, length, this.options.timeoutMs);
  }

  private keyOf(file: string, { size, tag }: Version, number: number): string {
    return blockKey(file, size, tag, this.blockBytes, number);
  }
}

function checkSame(file: string, expected: Version, found: Version): void {
  if (found.size === expected.size && found.tag === expected.tag) return;
  const text = ({ size, tag }: Version) => `${size} bytes, ${tag || 'no ETag'}`;
  throw new UserError(
    `${file}: changed while it was read: expected ${text(expected)}, got ${text(found)}; a set must stay as it is while it is in use: ` +
      'put it back, or start a new run',
  );
}
