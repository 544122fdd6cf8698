/**
 * An index opened for search. Features stay in the file: only what the graph needs, names and thumbnails are in memory.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { HNSW } from 'hnsw';
import { numbersOf } from '../../tensors.js';
import { type IndexHeader, readAt, readWholeIndex, type Section } from './index-file.js';
import { HNSW_M, Projection } from './project.js';

export interface Found {
  image: number;
  /** Euclidean, between features. */
  distance: number;
}

/** Bytes of features read at a time. */
const CHUNK = 8_000_000;
/** Candidates of the graph for one that is wanted, and at least. */
const CANDIDATES = 10;
const MIN_CANDIDATES = 200;

/** What of an index is in memory. */
interface Kept {
  names: [string, string][];
  /** JPEGs, where each begins, and where the last one ends. */
  thumbnails: { bytes: Buffer; starts: readonly number[] };
  strongest: { values: Float32Array; images: Int32Array; places: Int32Array };
  graph?: { hnsw: HNSW; projection: Projection };
}

export class ImageIndex {
  private constructor(
    readonly header: IndexHeader,
    private readonly handle: FileHandle,
    private readonly kept: Kept,
  ) {}

  /** @throws {UserError} see `readWholeIndex` */
  static async open(file: string): Promise<ImageIndex> {
    const header = await readWholeIndex(file);
    const handle = await open(file);
    const bytes = ({ offset, length }: Section) => readAt(handle, offset, length);
    const { names, thumbnails, strongest, projected, links } = header.sections;
    return new ImageIndex(header, handle, {
      thumbnails: thumbnailsOf(header, await bytes(thumbnails)),
      strongest: strongestIn(await bytes(strongest)),
      names: JSON.parse((await bytes(names)).toString('utf8')),
      graph: projected && links && openGraph(header, await bytes(projected), await bytes(links)),
    });
  }

  get method(): 'exact' | 'hnsw' {
    return this.kept.graph ? 'hnsw' : 'exact';
  }

  /** The `k` images nearest to a feature, nearest first; of equal distances the earlier image. */
  async nearest(feature: Float32Array, k: number): Promise<Found[]> {
    const found: Found[] = [];
    if (this.kept.graph) {
      const { hnsw, projection } = this.kept.graph;
      const count = Math.max(MIN_CANDIDATES, CANDIDATES * k);
      const candidates = hnsw.searchKNN(projection.of(feature), count, { efSearch: count });
      for (const { id } of candidates)
        found.push({ image: id, distance: distance(feature, await this.features(id, 1), 0) });
    } else {
      const { pictures: images, dimension } = this.header;
      const together = Math.max(1, Math.floor(CHUNK / (4 * dimension)));
      for (let first = 0; first < images; first += together) {
        const some = Math.min(together, images - first);
        const rows = await this.features(first, some);
        for (let i = 0; i < some; i++) found.push({ image: first + i, distance: distance(feature, rows, i) });
      }
    }
    return found.sort((a, b) => a.distance - b.distance || a.image - b.image).slice(0, k);
  }

  name(image: number): { name: string; label: string } {
    const [name, label] = this.kept.names[image];
    return { name, label };
  }

  /** JPEG; undefined if none was kept. */
  thumbnail(image: number): Buffer | undefined {
    const { bytes, starts } = this.kept.thumbnails;
    const jpeg = bytes.subarray(starts[image], starts[image + 1]);
    return jpeg.length > 0 ? jpeg : undefined;
  }

  /** The images that excite a channel most, the strongest first; undefined for a layer that is not recorded. */
  strongestOf(layer: string, channel: number): { image: number; value: number; y: number; x: number }[] | undefined {
    let first = 0;
    for (const { name, channels, width } of this.header.layers) {
      if (name !== layer) {
        first += channels;
        continue;
      }
      const { values, images, places } = this.kept.strongest;
      const start = (first + channel) * this.header.strongest;
      return Array.from({ length: this.header.strongest }, (_, i) => start + i)
        .filter((at) => images[at] >= 0)
        .map((at) => ({
          image: images[at],
          value: values[at],
          y: Math.floor(places[at] / width),
          x: places[at] % width,
        }));
    }
    return undefined;
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  private async features(first: number, count: number): Promise<Float32Array> {
    const { dimension, sections } = this.header;
    const bytes = await readAt(this.handle, sections.features.offset + first * dimension * 4, count * dimension * 4);
    return new Float32Array(bytes.buffer, bytes.byteOffset, count * dimension); // read into a buffer of its own
  }
}

function distance(feature: Float32Array, rows: Float32Array, row: number): number {
  let sum = 0;
  for (let i = 0, at = row * feature.length; i < feature.length; i++, at++) sum += (feature[i] - rows[at]) ** 2;
  return Math.sqrt(sum);
}

function thumbnailsOf({ pictures: images }: IndexHeader, bytes: Buffer): Kept['thumbnails'] {
  const lengths = numbersOf('UINT32', bytes.subarray(0, 4 * images)) as Uint32Array;
  const starts = [4 * images];
  for (const length of lengths) starts.push(starts.at(-1)! + length);
  return { bytes, starts };
}

function strongestIn(bytes: Buffer): Kept['strongest'] {
  const third = bytes.length / 3;
  return {
    values: numbersOf('FP32', bytes.subarray(0, third)) as Float32Array,
    images: numbersOf('INT32', bytes.subarray(third, 2 * third)) as Int32Array,
    places: numbersOf('INT32', bytes.subarray(2 * third)) as Int32Array,
  };
}

function openGraph({ graph, pictures: images, dimension }: IndexHeader, projected: Buffer, links: Buffer) {
  const { dimension: length, entry, levels } = graph!;
  const vectors = numbersOf('FP32', projected) as Float32Array;
  const numbers = numbersOf('INT32', links) as Int32Array;
  let at = 0;
  const take = () => numbers[at++];
  const nodes = Array.from({ length: images }, (_, id) => {
    const level = take();
    const neighbors = Array.from({ length: level + 1 }, () => Array.from({ length: take() }, take));
    return [id, { id, level, vector: vectors.subarray(id * length, (id + 1) * length), neighbors }];
  });
  const shape = { M: HNSW_M, efConstruction: MIN_CANDIDATES, d: length, metric: 'euclidean' };
  const hnsw = HNSW.fromJSON({ ...shape, levelMax: levels, entryPointId: entry, nodes });
  return { hnsw, projection: new Projection(dimension, length) };
}
