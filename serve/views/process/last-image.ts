/** The image that was looked at last: another look at it decodes and infers nothing. */
import { createHash } from 'node:crypto';
import type { CropNetwork } from '../engine/crop-network.js';
import type { Layer } from '../engine/layers.js';
import type { Rows, Values } from '../engine/run-rows.js';

interface KeptImage {
  /** Hash of its bytes. */
  key: string;
  /** uint8 RGB [imagePx, imagePx, 3] */
  pixels: Uint8Array;
  /** Every crop. */
  rows: Rows;
  /** Of one crop, by layer. */
  values?: { crop: number; byLayer: Map<string, Values> };
}

export class LastImage {
  private kept?: KeptImage;

  constructor(private readonly network: CropNetwork) {}

  /** @throws {RequestError} if the bytes are not an image */
  async keep(bytes: Uint8Array): Promise<KeptImage> {
    const key = createHash('sha256').update(bytes).digest('hex');
    if (this.kept?.key !== key) {
      const pixels = await this.network.decode(bytes);
      this.kept = { key, pixels, rows: await this.network.rows(pixels) };
    }
    return this.kept;
  }

  /** A crop as the network takes it. */
  async row(bytes: Uint8Array, crop: number): Promise<Rows> {
    const { rows } = await this.keep(bytes);
    const { rowSize } = this.network;
    return rows.subarray(crop * rowSize, (crop + 1) * rowSize);
  }

  /** Of some layers, for a crop. One run gives all layers, and they are kept. */
  async values(bytes: Uint8Array, crop: number, layers: readonly Layer[]): Promise<Map<string, Values>> {
    const row = await this.row(bytes, crop);
    const kept = this.kept!;
    const shapes = await this.network.shapes();
    if (kept.values?.crop !== crop) {
      const all = this.network.layers.filter(({ value }) => shapes.has(value));
      kept.values = { crop, byLayer: await this.network.run(row, all) };
    }
    const { byLayer } = kept.values;
    return new Map(layers.map(({ name }) => [name, byLayer.get(name)!]));
  }
}
