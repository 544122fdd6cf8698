/** Views that need an index: nearest images, and those that excite a unit most. */

import { sha256Of } from '../../../base/sha256.js';
import type { NamedCrop } from '../../crops.js';
import { RequestError } from '../../errors.js';
import { withoutPaths } from '../../without-paths.js';
import type { CropNetwork } from '../engine/crop-network.js';
import { findLayer, position } from '../engine/find-layer.js';
import type { LayerRow, ReceptiveField } from '../engine/layer-table.js';
import type { LastImage } from '../process/last-image.js';
import type { ViewRequest } from '../process/messages.js';
import { featureLayer } from './build-index.js';
import { ImageIndex } from './image-index.js';

type Request<V extends ViewRequest['view']> = Extract<ViewRequest, { view: V }>;

export class IndexViews {
  private opened?: Promise<{ index: ImageIndex; isOwn: boolean }>;

  /** @param file  path of the index */
  constructor(
    private readonly file: string,
    private readonly network: CropNetwork,
    private readonly last: LastImage,
  ) {}

  /** Names of those whose strongest images are kept; none if another model made the index. */
  async layers(): Promise<string[]> {
    const { index, isOwn } = await this.find();
    return isOwn ? index.header.layers.map(({ name }) => name) : [];
  }

  /** @throws {RequestError} VIEW_UNAVAILABLE */
  async neighbours({ bytes, k }: Request<'neighbours'>): Promise<object> {
    const index = await this.open();
    const { layer: name, dimension, pictures: indexed } = index.header;
    const data = withoutPaths(index.header.data);
    const layer = featureLayer(this.network);
    const values = await this.network.run(await this.last.row(bytes, this.network.centre), [layer]);
    const found = await index.nearest(values.get(layer.name)!.data, k);
    const neighbours = found.map(({ image, distance }) => ({ ...known(index, image), distance }));
    return { layer: name, dimension, metric: 'euclidean', method: index.method, indexed, data, neighbours };
  }

  /**
   * @param table  of the network's layers, for what a unit sees
   * @throws {RequestError} VIEW_UNAVAILABLE, BAD_REQUEST
   */
  async strongest({ layer: name, channel }: Request<'strongest'>, table: readonly LayerRow[]): Promise<object> {
    const index = await this.open();
    const { layers, pictures: indexed } = index.header;
    const layer = findLayer(this.network, name, (each) => layers.some((recorded) => recorded.name === each.name));
    position('channel', channel, layers.find((recorded) => recorded.name === name)!.channels, 0);
    const { imagePx } = this.network.model;
    const row = table.find((each) => each.name === layer.name);
    const crop = this.network.crops[this.network.centre];
    const strongest = index.strongestOf(name, channel)!.map(({ image, value, y, x }) => {
      const field =
        row?.receptive_field && row.output.length === 3 ? fieldOf(row.receptive_field, y, x, crop) : undefined;
      return { ...known(index, image), value, y, x, field, image_px: imagePx };
    });
    return { layer: name, channel, indexed, strongest };
  }

  async close(): Promise<void> {
    await this.opened?.then(({ index }) => index.close());
  }

  private find() {
    this.opened ??= this.read();
    return this.opened;
  }

  private async read() {
    const index = await ImageIndex.open(this.file);
    const sha256 = await sha256Of(this.network.options.file);
    return { index, isOwn: index.header.model.sha256 === sha256 };
  }

  /** @throws {RequestError} VIEW_UNAVAILABLE if another model made it */
  private async open(): Promise<ImageIndex> {
    const { index, isOwn } = await this.find();
    if (isOwn) return index;
    throw new RequestError('VIEW_UNAVAILABLE', 'the index was made with another model file');
  }
}

function known(index: ImageIndex, image: number) {
  const jpeg = index.thumbnail(image);
  return { ...index.name(image), thumbnail: jpeg && `data:image/jpeg;base64,${jpeg.toString('base64')}` };
}

/** What unit (y, x) sees of the image, clipped to the crop. */
function fieldOf({ size, stride, start }: ReceptiveField, y: number, x: number, { top, left, size: side }: NamedCrop) {
  const along = (at: number) => {
    const first = Math.max(0, start + stride * at);
    return { first, length: Math.min(side, start + stride * at + size) - first };
  };
  const [rows, columns] = [along(y), along(x)];
  return { top: top + rows.first, left: left + columns.first, height: rows.length, width: columns.length };
}
