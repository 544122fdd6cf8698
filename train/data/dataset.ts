/**
 * What training and evaluation need of a data set, opened through `open-dataset.ts`.
 */
import type { Random } from '../../base/random.js';
import type { Layout } from './layout/find-layout.js';
import type { Division, HoldOut, HoldOutRequest } from './layout/image-places.js';
import type { RemoteOptions } from './remote/options.js';

/** Of the colours of training images: principal components (Krizhevsky et al. 2012, §4.1). */
export interface ColourStatistics {
  /** Variances along the components, largest first; squares of levels in 0 … 255. */
  eigenvalues: [number, number, number];
  /** Components as rows, R, G, B; each of length 1. */
  eigenvectors: [Rgb, Rgb, Rgb];
}

export type Rgb = [number, number, number];

/** Images with labels, addressed by position. */
export interface Split {
  /** Number of images. */
  readonly length: number;
  /** Class index of every image. */
  readonly labels: Uint16Array;
  /** A name a person can find the image by: a path, a tar member, a drawing's name. */
  name(index: number): string;
  /**
   * One image, square, RGB interleaved, uint8 [imagePx, imagePx, 3].
   * @param stream  draws for images that are made at each use (position, size, background); ignored by photographs
   */
  pixels(index: number, stream: Random): Uint8Array;
  /**
   * Present if images are read as they are needed: reads these behind, and resolves to the split with these images
   * alone. To be asked before `pixels` if images may be streamed or far away, see `read-ahead.ts`.
   * @throws {UserError} when one cannot be read any more
   */
  load?(indices: Uint32Array): Promise<Split>;
  /** Where each image stands in the store that it was read into; absent for images that are made. */
  readonly places?: Uint32Array;
  /** Present if images are far away, and `load` with it. */
  readonly shards?: Shards;
}

/** Which images lie together and are fetched together: files, or parts of them. */
export interface Shards {
  /** Shard of every image, in any numbering. */
  readonly of: Uint32Array;
  /** How many shards' images are shuffled with one another in training: those that a process reads at one time. */
  readonly together: number;
}

/** Where decoded images go, in the order of reading: memory, or the shards of a pack. */
export interface ImageSink {
  /** Names in the order of `add`; the position is an image's slot. */
  readonly names: string[];
  readonly skipped: { name: string; reason: string }[];
  /**
   * Takes an image in; resolves as soon as another may be added, decoding continues in the background. `read`, if
   * called at all, is called before. An image that cannot be read or decoded is listed in `skipped`.
   */
  add(image: Image): Promise<void>;
  /** Resolves when every image added is decoded. */
  settle(): Promise<void>;
  /** Whether the image in this slot could be decoded. */
  has(slot: number): boolean;
  /** uint8 [imagePx, imagePx, 3] */
  pixels(slot: number): Uint8Array;
  /** Present if the images are not kept. */
  readonly streamed?: Streamed;
}

/** An image to be decoded. */
export type Image = Pick<Member, 'path' | 'read' | 'later' | 'shard'> & { split: string };

/** Images that are decoded at every use. */
export interface Streamed {
  /** A sentence for people. */
  readonly why: string;
  /** In the order asked for, uint8 [imagePx, imagePx, 3] each. */
  load(slots: readonly number[]): Promise<Uint8Array[]>;
  /** Of these images; undefined if they are near. */
  shards(slots: readonly number[]): Shards | undefined;
  /** Of the training images, taken while each was decoded for the first time. */
  statistics(): { mean: Float32Array; colours: ColourStatistics };
}

/** An image file's bytes, its path, or pixels without a file format: uint8 [height, width, channels]. */
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
  /** The same at any later time; absent if a source can be read from front to back only. */
  later?(): Promise<Encoded>;
  /** Of an image that is far away: which of `Shards.of` it lies in. */
  readonly shard?: number;
}

/** What a data set is made of. */
export interface Source {
  members: Iterable<Member> | AsyncIterable<Member>;
  /** Default: `train/<class>/…`. */
  layout?: Layout;
  /** Names of classes in index order, if that is not by code point; whole once the members have all been read. */
  classes?: string[];
  /** How the source divides its images into train and val, if it has no val of its own; whole likewise. */
  division?: Division;
}

/** A share of all images, or a number. */
export type MaxBad = { share: number } | { images: number };

/** What people choose of a data set besides its source. */
export type DataChoice = Pick<OpenOptions, 'holdOut' | 'maxBad'>;

/** What to open of a data set. */
export interface OpenOptions {
  /** Side of the decoded images, pixels. */
  imagePx: number;
  /** `bilinear`: resized as torchvision does, for networks from there; default: see `base/preprocess.ts`. */
  resampling?: 'bilinear';
  /** Images decoded so far; the total is known for folders and archives. */
  onProgress?: (done: number, total: number | undefined) => void;
  /** Splits wanted, default all. `val` and `test` replace one another, so either reads both. */
  splits?: string[];
  /** Which images to hold out if the source has neither val nor test; default: a fifth of them. */
  holdOut?: HoldOutRequest | HoldOut;
  /** Images that may be unreadable; default: 5 %, and one in any case. */
  maxBad?: MaxBad;
  /**
   * Images may be, or are, decoded at every use: if they would fill more than half of the free memory, or always.
   * Default: never.
   */
  stream?: 'large' | 'always';
  /** What decoded images may fill before they are streamed, bytes; default: half of the free memory. */
  heldBytes?: number;
  /** How files behind URLs are fetched and kept, if that differs from `remoteOptions`. */
  remote?: Partial<RemoteOptions>;
}

/** A data set, decoded to `imagePx` squares. */
export interface Dataset {
  /** As given to `--data`. */
  readonly source: string;
  /** Side of every image in pixels. */
  readonly imagePx: number;
  /**
   * Labels for people, in index order: folder names sorted by code point, or as the source orders them; of
   * `nXXXXXXXX_some_label` the text after the synset id, spaced.
   */
  readonly labels: string[];
  /** ImageNet synset ids by class, if every class has one. */
  readonly synsets?: string[];
  /** `train`, `val` and any `test` split; `val` falls back to `test` and `test` to `val` if a source has only one. */
  readonly splits: Record<string, Split>;
  /** Names of all that the source has, if some were not read. */
  readonly splitNames?: string[];
  /** Images that could not be decoded and were left out: name and reason. */
  readonly skipped: { name: string; reason: string }[];
  /** What a person should know before trusting figures from this data, one sentence each; printed as warnings. */
  readonly notes: string[];
  /** How images were held out as `val` and `test`; absent if the source has its own. */
  readonly holdOut?: HoldOut;
  /** The same as a sentence; absent if none was. */
  readonly divided?: string;
  /** Why images are decoded at every use, a sentence; absent if they are not. */
  readonly streamed?: string;
  /** Of the training images, if it was computed when the set was prepared or read; see `mean.ts` and `colour.ts`. */
  readonly mean?: Float32Array;
  readonly colours?: ColourStatistics;
}
