/**
 * Decoded pictures of one data set, in memory. Decoding runs a bounded number of pictures at once; pixels lie in blocks of one
 * size, so the store grows without ever copying what it holds.
 */
import { availableParallelism, freemem } from 'node:os';
import { UserError } from '../../model/errors.js';
import type { Encoded, PictureSink } from './dataset.js';
import { decodePicture } from './decode.js';

const BLOCK_BYTES = 32 * 2 ** 20;

/** Room for pictures of one size, filled in any order. */
export class PictureStore implements PictureSink {
  /** Names in the order of `add`; the position is a picture's slot. */
  readonly names: string[] = [];
  readonly skipped: { name: string; reason: string }[] = [];
  private readonly failed = new Set<number>();
  private readonly blocks: Uint8Array[] = [];
  private readonly pictureBytes: number;
  private readonly picturesPerBlock: number;
  private readonly running = new Set<Promise<void>>();

  constructor(private readonly imagePx: number) {
    this.pictureBytes = imagePx * imagePx * 3;
    this.picturesPerBlock = Math.max(1, Math.floor(BLOCK_BYTES / this.pictureBytes));
  }

  /**
   * Takes a picture in; resolves as soon as another may be added, decoding goes on behind. `read` is called at once.
   * A picture that cannot be read or decoded is listed in `skipped`.
   * @throws {UserError} when memory is about to run out
   */
  async add(name: string, read: () => Promise<Encoded>): Promise<void> {
    const slot = this.names.push(name) - 1;
    if (slot % this.picturesPerBlock === 0) this.blocks.push(this.newBlock(slot));
    const task: Promise<void> = this.fill(slot, read()).finally(() => this.running.delete(task));
    this.running.add(task);
    if (this.running.size >= 2 * availableParallelism()) await Promise.race(this.running);
  }

  /** Resolves when every picture added is decoded. */
  async settle(): Promise<void> {
    await Promise.all(this.running);
  }

  /** Whether the picture in this slot could be decoded. */
  has(slot: number): boolean {
    return !this.failed.has(slot);
  }

  /** The picture itself, no copy: uint8 [imagePx, imagePx, 3]. */
  pixels(slot: number): Uint8Array {
    const start = (slot % this.picturesPerBlock) * this.pictureBytes;
    return this.blocks[Math.floor(slot / this.picturesPerBlock)].subarray(start, start + this.pictureBytes);
  }

  private async fill(slot: number, bytes: Promise<Encoded>): Promise<void> {
    try {
      this.pixels(slot).set(await decodePicture(await bytes, this.imagePx));
    } catch (error) {
      this.failed.add(slot);
      this.skipped.push({ name: this.names[slot], reason: (error as Error).message.split('\n')[0] });
    }
  }

  private newBlock(held: number): Uint8Array {
    const free = process.availableMemory?.() ?? freemem();
    if (free < 4 * BLOCK_BYTES) {
      const gigabytes = ((held * this.pictureBytes) / 1e9).toFixed(1);
      throw new UserError(
        `memory: ${held} pictures of ${this.imagePx}×${this.imagePx} pixels fill ${gigabytes} GB and ${(free / 1e9).toFixed(1)} GB are left; ` +
          'use fewer pictures or a machine with more memory',
      );
    }
    return new Uint8Array(this.picturesPerBlock * this.pictureBytes);
  }
}
