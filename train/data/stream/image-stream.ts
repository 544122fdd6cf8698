/**
 * Images of one data set that are not kept: decoded at every use, with what must be known of all of them taken at the
 * first.
 */
import { UserError } from '../../../base/errors.js';
import { ColourSums } from '../batches/colour.js';
import { MeanSum } from '../batches/mean.js';
import type { Image, OpenOptions, Shards, Streamed } from '../dataset.js';
import { decodeImage } from '../decode.js';
import { PART_BYTES, partsTogether } from '../remote/window.js';

export class ImageStream implements Streamed {
  /** Of training images. */
  private readonly mean = new MeanSum();
  private readonly colours = new ColourSums();

  /**
   * @param names    by slot
   * @param sources  what each is read from
   * @param why      a sentence for people
   */
  constructor(
    private readonly options: Pick<OpenOptions, 'imagePx' | 'resampling'>,
    private readonly names: readonly string[],
    private readonly sources: readonly Pick<Image, 'later' | 'shard' | 'split'>[],
    readonly why: string,
  ) {}

  /** Takes in an image as it was decoded for the first time. */
  count(slot: number, pixels: Uint8Array): void {
    if (this.sources[slot].split !== 'train') return;
    this.mean.add(pixels);
    this.colours.add(pixels);
  }

  statistics(): ReturnType<Streamed['statistics']> {
    return { mean: this.mean.mean(), colours: this.colours.components() };
  }

  shards(slots: readonly number[]): Shards | undefined {
    if (this.sources[slots[0]].shard === undefined) return undefined;
    return { of: Uint32Array.from(slots, (slot) => this.sources[slot].shard!), together: partsTogether(PART_BYTES) };
  }

  load(slots: readonly number[]): Promise<Uint8Array[]> {
    return Promise.all(slots.map((slot) => this.decode(slot)));
  }

  private async decode(slot: number): Promise<Uint8Array> {
    try {
      const { imagePx, resampling } = this.options;
      return await decodeImage(await this.sources[slot].later!(), imagePx, resampling);
    } catch (cause) {
      throw new UserError(
        `${this.names[slot]}: could be read when the data set was opened and cannot now: ${(cause as Error).message}; put it back`,
        { cause },
      );
    }
  }
}
