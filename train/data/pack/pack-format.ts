/**
 * A prepared data set on disk or behind a URL, for sets that do not fit in memory: a folder of shards with decoded
 * images of one size, made by `alexnet prepare`, read image by image while training.
 *
 *   pictures-00000.bin   records of imagePx · imagePx · 3 bytes, uint8 RGB, in the order of reading
 *   pictures-00000.json  their names and checksums; written when the shard is whole, before the shard has its name
 *   train.bin, …         of every split: the places of its images (uint32), then their classes (uint16), little-endian
 *   mean.bin             mean of the training images, float32 [imagePx, imagePx, 3]
 *   pack.json            what all of it is; written last
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ColourStatistics } from '../dataset.js';
import type { HoldOut } from '../layout/image-places.js';
import { fileIn } from '../remote/url.js';

export const PACK_FORMAT = 1;

/** What `pack.json` keeps. */
export interface PackRecord {
  format: number;
  /** As given to `--data` when it was prepared. */
  source: string;
  imagePx: number;
  /** How images were resized, see `OpenOptions`. */
  resampling?: 'bilinear';
  recordsPerShard: number;
  shards: number;
  labels: string[];
  synsets?: string[];
  /** Number of images by split. */
  splits: Record<string, number>;
  colours: ColourStatistics;
  skipped: { name: string; reason: string }[];
  notes: string[];
  /** How images were held out when it was prepared, and the sentence about it; absent if the source had its own. */
  holdOut?: HoldOut;
  divided?: string;
  /** SHA-256, hex, of the splits' files and `mean.bin`, by name; absent in sets of older versions. */
  sha256?: Record<string, string>;
}

/** What lies next to a shard. */
export interface ShardRecord {
  names: string[];
  /** `checksum` of every image, in one string; of one that could not be decoded, zeros. */
  checksums: string;
  skipped: { name: string; reason: string }[];
}

export const CHECKSUM_LENGTH = 16;
export const NO_IMAGE = '0'.repeat(CHECKSUM_LENGTH);

/** First 64 bits of SHA-256, hex: a flipped bit is found, and costs 0.1 ms an image. */
export function checksum(pixels: Uint8Array): string {
  return fullChecksum(pixels).slice(0, CHECKSUM_LENGTH);
}

/** SHA-256, hex. */
export function fullChecksum(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function shardFile(folder: string, shard: number, extension: 'bin' | 'json'): string {
  return fileIn(folder, `pictures-${String(shard).padStart(5, '0')}.${extension}`);
}

export function isPack(folder: string): boolean {
  return existsSync(join(folder, 'pack.json'));
}
