/**
 * What training and evaluation need of a data set, opened through `open-dataset.ts`.
 */
import type { Random } from '../../base/random.js';
import type { Layout } from './layout/find-layout.js';
import type { RemoteOptions } from './remote/options.js';

/** Of the colours of training images: principal components (Krizhevsky et al. 2012, §4.1). */
export interface ColourStatistics {
  /** Variances along the components, largest first; squares of levels in 0 … 255. */
  eigenvalues: [number, number, number];
  /** Components as rows, R, G, B; each of length 1. */
  eigenvectors: [Rgb, Rgb, Rgb];
}

export type Rgb = [number, number, number];

/** Pictures with labels, addressed by position. */
export interface Split {
  /** Number of pictures. */
  readonly length: number;
  /** Class index of every picture. */
  readonly labels: Uint16Array;
  /** A name a person can find the picture by: a path, a tar member, a drawing's name. */
  name(index: number): string;
  /**
   * One picture, square, RGB interleaved, uint8 [imagePx, imagePx, 3].
   * @param stream  draws for pictures that are made anew at each use (position, size, background); ignored by photographs
   */
  pixels(index: number, stream: Random): Uint8Array;
  /**
   * Present where pictures are read as they are needed: reads these behind, and resolves to the split with these pictures alone. To be asked before
   * `pixels` where pictures may be streamed or far away, see `read-ahead.ts`.
   * @throws {UserError} when one cannot be read any more
   */
  load?(indices: Uint32Array): Promise<Split>;
  /** Where each picture stands in the store that it was read into; absent for pictures that are made. */
  readonly places?: Uint32Array;
  /** Present where pictures are far away, and `load` with it. */
  readonly shards?: Shards;
}

/** Which pictures lie together and are fetched together: files, or parts of them. */
export interface Shards {
  /** Shard of every picture, in any numbering. */
  readonly of: Uint32Array;
  /** How many shards' pictures are shuffled with one another in training: those that a process reads at one time. */
  readonly together: number;
}

/** Where decoded pictures go, in the order of reading: memory, or the shards of a pack. */
export interface PictureSink {
  /** Names in the order of `add`; the position is a picture's slot. */
  readonly names: string[];
  readonly skipped: { name: string; reason: string }[];
  /**
   * Takes a picture in; resolves as soon as another may be added, decoding goes on behind. `read`, if called at all, is called before.
   * A picture that cannot be read or decoded is listed in `skipped`.
   */
  add(picture: Picture): Promise<void>;
  /** Resolves when every picture added is decoded. */
  settle(): Promise<void>;
  /** Whether the picture in this slot could be decoded. */
  has(slot: number): boolean;
  /** uint8 [imagePx, imagePx, 3] */
  pixels(slot: number): Uint8Array;
  /** Present where the pictures are not kept. */
  readonly streamed?: Streamed;
}

/** An image to be decoded. */
export type Picture = Pick<Member, 'path' | 'read' | 'later' | 'shard'> & { split: string };

/** Pictures that are decoded anew at every use. */
export interface Streamed {
  /** A sentence for people. */
  readonly why: string;
  /** In the order asked for, uint8 [imagePx, imagePx, 3] each. */
  load(slots: readonly number[]): Promise<Uint8Array[]>;
  /** Of these pictures; undefined where they are near. */
  shards(slots: readonly number[]): Shards | undefined;
  /** Of the training pictures, taken while each was decoded for the first time. */
  statistics(): { mean: Float32Array; colours: ColourStatistics };
}

/** A picture file's bytes, its path, or pixels without a file format: uint8 [height, width, channels]. */
export type Encoded =
  | Buffer
  | { file: string }
  | { pixels: Uint8Array; width: number; height: number; channels: 1 | 3 };

/** A file, folder or link met while reading a source, under its path inside it, `/` between the parts, none leading. */
export interface Member {
  readonly path: string;
  /** `skipped`: a folder that is not looked into, for `reason`. */
  readonly kind: 'file' | 'folder' | 'other' | 'skipped';
  readonly reason?: string;
  /** The file's bytes; to be called, if at all, before the next member is asked for. */
  read(): Promise<Encoded>;
  /** The same at any later time; absent where a source can be read from front to back only. */
  later?(): Promise<Encoded>;
  /** Of a picture that is far away: which of `Shards.of` it lies in. */
  readonly shard?: number;
}

/** What a data set is made of. */
export interface Source {
  members: Iterable<Member> | AsyncIterable<Member>;
  /** Default: `train/<class>/…`. */
  layout?: Layout;
  /** Names of classes in index order, where that is not by code point; whole once the members have all been read. */
  classes?: string[];
}

/** What to open of a data set. */
export interface OpenOptions {
  /** Side of the decoded pictures, pixels. */
  imagePx: number;
  /** Pictures decoded so far; the total is known for folders and archives. */
  onProgress?: (done: number, total: number | undefined) => void;
  /** Splits wanted, default all. `val` and `test` stand in for one another, so either reads both. */
  splits?: string[];
  /** Pictures may be, or are, decoded anew at every use: where they would fill more than half of the free memory, or always. Default: never. */
  stream?: 'large' | 'always';
  /** What decoded pictures may fill before they are streamed, bytes; default: half of the free memory. */
  heldBytes?: number;
  /** How files behind URLs are fetched and kept, where that differs from `remoteOptions`. */
  remote?: Partial<RemoteOptions>;
}

/** A data set, decoded to `imagePx` squares. */
export interface Dataset {
  /** As given to `--data`. */
  readonly source: string;
  /** Side of every picture in pixels. */
  readonly imagePx: number;
  /** Labels for people, in index order: folder names sorted by code point, or as the source orders them; of `nXXXXXXXX_some_label` the text after the synset id, spaced. */
  readonly labels: string[];
  /** ImageNet synset ids by class, where every class has one. */
  readonly synsets?: string[];
  /** `train`, `val` and any `test` split; `val` falls back to `test` and `test` to `val` where a source has only one. */
  readonly splits: Record<string, Split>;
  /** Names of all that the source has, where some were not read. */
  readonly splitNames?: string[];
  /** Pictures that could not be decoded and were left out: name and reason. */
  readonly skipped: { name: string; reason: string }[];
  /** What a person should know before trusting figures from this data, one sentence each; printed as warnings. */
  readonly notes: string[];
  /** Why pictures are decoded anew at every use, a sentence; absent where they are not. */
  readonly streamed?: string;
  /** Of the training pictures, where it was computed when the set was prepared or read; see `mean.ts` and `colour.ts`. */
  readonly mean?: Float32Array;
  readonly colours?: ColourStatistics;
}
