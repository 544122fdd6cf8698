/** The images that excite each channel of each layer most, kept while images pass. */
import type { Values } from '../engine/run-rows.js';

/** As in the figures of Zeiler and Fergus. */
export const STRONGEST = 9;

export class Strongest {
  readonly values: Float32Array;
  readonly images: Int32Array;
  /** y · width + x */
  readonly places: Int32Array;

  /** @param channels  of all layers together */
  constructor(channels: number) {
    this.values = new Float32Array(channels * STRONGEST).fill(Number.NEGATIVE_INFINITY);
    this.images = new Int32Array(channels * STRONGEST).fill(-1);
    this.places = new Int32Array(channels * STRONGEST);
  }

  /**
   * @param first  of the layer's channels among those of all layers
   * @param row    of `values`: one image's
   */
  add(first: number, { shape, data }: Values, row: number, image: number): void {
    const [, channels, ...map] = shape;
    const plane = map.reduce((product, length) => product * length, 1);
    for (let c = 0; c < channels; c++) {
      const start = (row * channels + c) * plane;
      let best = start;
      for (let i = start + 1; i < start + plane; i++) if (data[i] > data[best]) best = i;
      this.put(first + c, data[best], image, best - start);
    }
  }

  /** Into the descending list of a channel; of equal values the earlier image first. Values of 0 excite nothing. */
  private put(channel: number, value: number, image: number, place: number): void {
    const start = channel * STRONGEST;
    if (!(value > 0) || value <= this.values[start + STRONGEST - 1]) return;
    let at = start + STRONGEST - 1;
    for (; at > start && this.values[at - 1] < value; at--) {
      this.values[at] = this.values[at - 1];
      this.images[at] = this.images[at - 1];
      this.places[at] = this.places[at - 1];
    }
    this.values[at] = value;
    this.images[at] = image;
    this.places[at] = place;
  }
}
