/** Pictures of one data set that are not kept: decoded anew at every use, with what must be known of all of them taken at the first. */
import { UserError } from '../../model/errors.js';
import { ColourSums } from './colour.js';
import type { Member, Shards, Streamed } from './dataset.js';
import { decodePicture, reasonOf } from './decode.js';
import { MeanSum } from './mean.js';
import { splitOf } from './picture-places.js';
import { PART_BYTES, partsTogether } from './remote/window.js';

export class PictureStream implements Streamed {
  /** Of training pictures, and of those outside splits, which are for training where the source has none. */
  private readonly sums = new Map<string, { mean: MeanSum; colours: ColourSums }>();

  /**
   * @param names    by slot
   * @param sources  what each is read from
   * @param why      a sentence for people
   */
  constructor(
    private readonly imagePx: number,
    private readonly names: readonly string[],
    private readonly sources: readonly Pick<Member, 'later' | 'shard'>[],
    readonly why: string,
  ) {}

  /** Takes in a picture as it was decoded for the first time. */
  count(name: string, pixels: Uint8Array): void {
    const split = splitOf(name)?.split ?? '';
    if (split !== 'train' && split !== '') return;
    const sums = this.sums.get(split) ?? { mean: new MeanSum(), colours: new ColourSums() };
    this.sums.set(split, sums);
    sums.mean.add(pixels);
    sums.colours.add(pixels);
  }

  statistics(): ReturnType<Streamed['statistics']> {
    const { mean, colours } = this.sums.get('train') ?? this.sums.get('')!;
    return { mean: mean.mean(), colours: colours.components() };
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
      return await decodePicture(await this.sources[slot].later!(), this.imagePx);
    } catch (cause) {
      throw new UserError(
        `${this.names[slot]}: could be read when the data set was opened and cannot now: ${reasonOf(cause)}; put it back`,
        { cause },
      );
    }
  }
}
