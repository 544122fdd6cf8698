/**
 * Decoded images of one data set, in memory, in blocks of one size, so that the store grows without ever copying what
 * it holds. If they would fill too much of it, they are dropped, to be decoded at every use. Decoding runs a bounded
 * number of images at once.
 */
import { setImmediate } from 'node:timers/promises';
import { UserError } from '../../../base/errors.js';
import { freeMemory } from '../../../base/out-of-memory.js';
import { usableCores } from '../../../base/process/usable-cores.js';
import type { Encoded, Image, ImageSink, OpenOptions } from '../dataset.js';
import { decodeImage } from '../decode.js';
import { ImageStream } from './image-stream.js';

const BLOCK_BYTES = 32 * 2 ** 20;
/** The rest is for the network: AlexNet takes 4.8 GB at batch 128. */
const HELD_SHARE = 0.5;

/** Room for images of one size, filled in any order. */
export class ImageStore implements ImageSink {
  readonly names: string[] = [];
  readonly skipped: { name: string; reason: string }[] = [];
  streamed?: ImageStream;
  private readonly failed = new Set<number>();
  private readonly blocks: Uint8Array[] = [];
  private readonly imageBytes: number;
  private readonly imagesPerBlock: number;
  private readonly heldBytes: number;
  private readonly running = new Set<Promise<void>>();
  /** How each image is read again, and what it is for. */
  private readonly sources: Pick<Image, 'later' | 'shard' | 'split'>[] = [];

  /** @param total  number of images to come, if it is known */
  constructor(
    private readonly options: Pick<OpenOptions, 'imagePx' | 'resampling' | 'stream' | 'heldBytes'>,
    total = 0,
  ) {
    const { imagePx, stream, heldBytes = HELD_SHARE * freeMemory() } = options;
    this.imageBytes = imagePx * imagePx * 3;
    this.imagesPerBlock = Math.max(1, Math.floor(BLOCK_BYTES / this.imageBytes));
    this.heldBytes = heldBytes;
    if (stream === 'always') this.streamed = this.newStream('');
    else if (stream && total * this.imageBytes > heldBytes) this.streamed = this.newStream(this.tooLarge);
  }

  /** @throws {UserError} when memory is about to run out */
  async add({ path, read, later, shard, split }: Image): Promise<void> {
    const slot = this.names.length;
    const { stream } = this.options;
    if (!this.streamed && stream && later && (slot + 1) * this.imageBytes > this.heldBytes) await this.letGo();
    if (!this.streamed && slot % this.imagesPerBlock === 0) this.blocks.push(this.newBlock(slot));
    this.names.push(path);
    this.sources.push({ later, shard, split });
    const task: Promise<void> = this.fill(slot, read()).finally(() => this.running.delete(task));
    this.running.add(task);
    if (this.running.size >= 2 * usableCores()) await Promise.race(this.running);
  }

  async settle(): Promise<void> {
    await Promise.all(this.running);
  }

  has(slot: number): boolean {
    return !this.failed.has(slot);
  }

  /** The image itself, no copy. */
  pixels(slot: number): Uint8Array {
    const start = (slot % this.imagesPerBlock) * this.imageBytes;
    return this.blocks[Math.floor(slot / this.imagesPerBlock)].subarray(start, start + this.imageBytes);
  }

  private async fill(slot: number, bytes: Promise<Encoded>): Promise<void> {
    try {
      const pixels = await decodeImage(await bytes, this.options.imagePx, this.options.resampling);
      if (this.streamed) this.streamed.count(slot, pixels);
      else this.pixels(slot).set(pixels);
    } catch (error) {
      this.failed.add(slot);
      this.skipped.push({ name: this.names[slot], reason: (error as Error).message });
    }
  }

  /** Goes over to streaming, with what was held counted. */
  private async letGo(): Promise<void> {
    await this.settle();
    const stream = this.newStream(this.tooLarge);
    for (let slot = 0; slot < this.names.length; slot++) {
      if (this.has(slot)) stream.count(slot, this.pixels(slot));
      if (slot % 100 === 0) await setImmediate(); // lets signals in
    }
    this.blocks.length = 0;
    this.streamed = stream;
  }

  private newStream(reason: string): ImageStream {
    const why = `${reason}images are decoded at every use; "alexnet prepare" decodes them once`;
    return new ImageStream(this.options, this.names, this.sources, why);
  }

  private get tooLarge(): string {
    return `decoded images would fill more than ${(this.heldBytes / 1e9).toFixed(1)} GB, half of the free memory: `;
  }

  private newBlock(held: number): Uint8Array {
    const free = freeMemory();
    if (free < 4 * BLOCK_BYTES) {
      const { imagePx } = this.options;
      const gigabytes = ((held * this.imageBytes) / 1e9).toFixed(1);
      throw new UserError(
        `memory: ${held} images of ${imagePx}×${imagePx} pixels fill ${gigabytes} GB and ${(free / 1e9).toFixed(1)} GB are left; ` +
          'decode them once with "alexnet prepare", which needs little memory, or unpack the archive',
      );
    }
    return new Uint8Array(this.imagesPerBlock * this.imageBytes);
  }
}
