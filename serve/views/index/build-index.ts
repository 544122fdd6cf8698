/**
 * Makes an index: every image once through the network, its features, a thumbnail and what it excites, each written at
 * once.
 */
import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path';
import { HNSW } from 'hnsw';
import { writeAtomically } from '../../../base/atomic-file.js';
import { UserError } from '../../../base/errors.js';
import { sharp } from '../../../base/image/sharp.js';
import { sha256Of } from '../../../base/sha256.js';
import { bytesOf, elementCount } from '../../tensors.js';
import type { CropNetwork } from '../engine/crop-network.js';
import { inputOf, sourceOf } from '../engine/layer-table.js';
import type { Layer } from '../engine/layers.js';
import type { Rows, Values } from '../engine/run-rows.js';
import { encodeTrailer, type IndexHeader, MAGIC, PREAMBLE, type Section, VERSION } from './index-file.js';
import { HNSW_M, PROJECTED, Projection } from './project.js';
import { STRONGEST, Strongest } from './strongest.js';

/** Images of a data set, by position. */
export interface Images {
  data: string;
  split: string;
  length: number;
  name(index: number): string;
  label(index: number): string;
  /** uint8 RGB [imagePx, imagePx, 3] */
  pixels(index: number): Uint8Array | Promise<Uint8Array>;
}

export interface IndexOptions {
  /** Images above which a graph is built for approximate search. */
  exactUpTo?: number;
  onProgress?(done: number, total: number): void;
}

/** Below this, all distances take about a tenth of a second. */
export const EXACT_UP_TO = 10_000;
const BATCH = 8;
const THUMBNAIL_PX = 64;
/** Of all thumbnails, bytes: the images after those that fill it have none. */
const MAX_THUMBNAILS = 64_000_000;
/** Images looked at to find an image's neighbours in the graph. */
const HNSW_BREADTH = 100;

/**
 * The layer whose values describe an image: the last before the classes, fc7 of AlexNet (§6.1).
 * @throws {UserError} if the model has none
 */
export function featureLayer({ graph, layers, file }: CropNetwork): Layer {
  const products = layers.filter(({ main }) => ['Gemm', 'MatMul', 'Conv'].includes(main?.opType ?? ''));
  const read = products.length > 0 ? sourceOf(graph, inputOf(graph, products.at(-1)!)) : '';
  const found = layers.find(({ value }) => value === read);
  if (found) return found;
  throw new UserError(`${file.name}: has no hidden layer before its classes whose values describe an image`);
}

/**
 * The data set's images are prepared as in training.
 * @throws {UserError} if the model's own are not
 */
function requireTrainingImages({ file: { name, recipe } }: CropNetwork): void {
  const { fit, resampling, evenStart, channels, width, height } = recipe.decoding;
  if (fit === 'cut' && (resampling === undefined || evenStart) && channels === 3 && width === height) return;
  throw new UserError(
    `${name}: cannot be indexed: its images are prepared in another way than those of a data set, which are cut to a square`,
  );
}

/**
 * Writes an index; the file is whole or absent.
 * @throws {UserError} if the images are not of the model's size, or there are none
 */
export async function buildIndex(
  network: CropNetwork,
  images: Images,
  file: string,
  options: IndexOptions = {},
): Promise<IndexHeader> {
  requireTrainingImages(network);
  if (images.length === 0) throw new UserError(`${images.data}: split ${images.split} has no images`);
  const builder = new IndexBuilder(network, await indexedLayers(network), images, options);
  await writeAtomically(dirname(file), () => basename(file), builder.chunks());
  return builder.header!;
}

/** What of the network goes into an index. */
interface IndexedLayers {
  /** The layer whose values are the features, and how many it has. */
  features: Layer;
  dimension: number;
  /** Those whose strongest images are kept, with the first of each among all channels. */
  recorded: { layer: Layer; first: number; channels: number; width: number }[];
}

async function indexedLayers(network: CropNetwork): Promise<IndexedLayers> {
  const shapes = await network.shapes();
  const features = featureLayer(network);
  let first = 0;
  const recorded = network.layers.flatMap((layer) => {
    const shape = shapes.get(layer.value);
    if (!shape || !['Conv', 'Gemm', 'MatMul'].includes(layer.main?.opType ?? '')) return [];
    const entry = { layer, first, channels: shape[0], width: shape[2] ?? 1 };
    first += shape[0];
    return [entry];
  });
  return { features, dimension: elementCount(shapes.get(features.value)!), recorded };
}

class IndexBuilder {
  header?: IndexHeader;
  private readonly hash = createHash('sha256');
  private at = 0;
  private readonly thumbnails: Buffer[] = [];
  private thumbnailBytes = 0;
  private readonly projection?: Projection;
  private readonly projected: Float32Array[] = [];
  private readonly strongest: Strongest;

  constructor(
    private readonly network: CropNetwork,
    private readonly layers: IndexedLayers,
    private readonly images: Images,
    private readonly options: IndexOptions,
  ) {
    const { recorded, dimension } = layers;
    const channels = recorded.reduce((sum, { channels }) => sum + channels, 0);
    this.strongest = new Strongest(channels);
    if (images.length > (options.exactUpTo ?? EXACT_UP_TO)) this.projection = new Projection(dimension);
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    const version = Buffer.alloc(4);
    version.writeUInt32LE(VERSION);
    yield this.passed(Buffer.concat([MAGIC, version]));
    const { length } = this.images;
    for (let start = 0; start < length; start += BATCH) {
      yield this.passed(bytesOf(await this.features(start, Math.min(BATCH, length - start))));
      this.options.onProgress?.(Math.min(length, start + BATCH), length);
    }
    const features = { offset: PREAMBLE, length: this.at - PREAMBLE };
    const parts: [string, Uint8Array][] = [
      ['names', this.names()],
      ['thumbnails', this.thumbnailSection()],
    ];
    const { values, images, places } = this.strongest;
    parts.push(['strongest', Buffer.concat([values, images, places].map(bytesOf))]);
    const graph = this.projection && (await this.graph());
    if (graph) parts.push(['projected', Buffer.concat(this.projected.map(bytesOf))], ['links', bytesOf(graph.links)]);
    const sections: Record<string, Section> = { features };
    for (const [name, bytes] of parts) {
      sections[name] = { offset: this.at, length: bytes.length };
      yield this.passed(bytes);
    }
    this.header = await this.headerOf(sections as IndexHeader['sections'], graph);
    yield encodeTrailer(
      this.header,
      (bytes) => this.hash.update(bytes),
      () => this.hash.digest(),
    );
  }

  private passed(bytes: Uint8Array): Uint8Array {
    this.hash.update(bytes);
    this.at += bytes.length;
    return bytes;
  }

  /** Of some images, [count, dimension]; the rest is kept on the way. */
  private async features(start: number, count: number): Promise<Float32Array> {
    const { network } = this;
    const { features, dimension, recorded } = this.layers;
    const { rowSize, centre } = network;
    const rows: Rows[] = [];
    for (let i = start; i < start + count; i++) {
      const pixels = await this.images.pixels(i);
      rows.push((await network.rows(pixels)).slice(centre * rowSize, (centre + 1) * rowSize));
      await this.keepThumbnail(pixels);
    }
    const values = await network.run(joinedRows(rows), [
      ...new Set([features, ...recorded.map((entry) => entry.layer)]),
    ]);
    for (const { layer, first } of recorded) {
      for (let i = 0; i < count; i++) this.strongest.add(first, values.get(layer.name)!, i, start + i);
    }
    const { data } = values.get(features.name) as Values;
    for (let i = 0; this.projection && i < count; i++) {
      this.projected.push(this.projection.of(data.subarray(i * dimension, (i + 1) * dimension)));
    }
    return data;
  }

  private async keepThumbnail(pixels: Uint8Array): Promise<void> {
    const { imagePx } = this.network.model;
    const side = Math.min(THUMBNAIL_PX, imagePx);
    const raw = { width: imagePx, height: imagePx, channels: 3 } as const;
    const full = this.thumbnailBytes >= MAX_THUMBNAILS;
    const bytes = full
      ? Buffer.alloc(0)
      : await sharp(pixels, { raw }).resize(side, side).jpeg({ quality: 80 }).toBuffer();
    this.thumbnails.push(bytes);
    this.thumbnailBytes += bytes.length;
  }

  private names(): Buffer {
    const { images } = this;
    const { length } = images;
    return Buffer.from(JSON.stringify(Array.from({ length }, (_, i) => [images.name(i), images.label(i)])));
  }

  private thumbnailSection(): Buffer {
    return Buffer.concat([bytesOf(Uint32Array.from(this.thumbnails, ({ length }) => length)), ...this.thumbnails]);
  }

  private async graph(): Promise<{ links: Int32Array; entry: number; levels: number }> {
    const hnsw = new HNSW(HNSW_M, HNSW_BREADTH, PROJECTED, 'euclidean');
    for (const [id, vector] of this.projected.entries()) await hnsw.addPoint(id, vector);
    const links: number[] = [];
    for (let id = 0; id < this.projected.length; id++) {
      const { level, neighbors } = hnsw.nodes.get(id)!;
      links.push(level);
      for (let i = 0; i <= level; i++) links.push(neighbors[i]?.length ?? 0, ...(neighbors[i] ?? []));
    }
    return { links: Int32Array.from(links), entry: hnsw.entryPointId, levels: hnsw.levelMax };
  }

  private async headerOf(
    sections: IndexHeader['sections'],
    graph?: { entry: number; levels: number },
  ): Promise<IndexHeader> {
    const { data, split, length } = this.images;
    const { features, dimension, recorded } = this.layers;
    return {
      model: { name: this.network.file.name, sha256: await sha256Of(this.network.options.file) },
      layer: features.name,
      dimension,
      pictures: length,
      data,
      split,
      layers: recorded.map(({ layer, channels, width }) => ({ name: layer.name, channels, width })),
      strongest: STRONGEST,
      graph: graph && { dimension: PROJECTED, entry: graph.entry, levels: graph.levels },
      sections,
    };
  }
}

function joinedRows(rows: readonly Rows[]): Rows {
  const bytes = Buffer.concat(rows.map(bytesOf));
  const { buffer } = Uint8Array.from(bytes);
  return rows[0] instanceof Uint8Array ? new Uint8Array(buffer) : new Float32Array(buffer);
}
