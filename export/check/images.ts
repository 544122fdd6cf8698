/** Images for reduced precision: some to calibrate on, others to compare on. */

import type { DataChoice, OpenOptions, Split } from '../../train/data/dataset.js';
import { openDataset } from '../../train/data/open-dataset.js';
import type { Run } from '../../train/run/run-folder.js';
import { reportDataset } from '../../train/start/open-data.js';
import type { Feeds } from '../precision/calibrate.js';
import type { Images } from '../write-checked.js';

export interface ImageRequest extends DataChoice, Pick<OpenOptions, 'resampling'> {
  /** Data set, as `--data` takes it. */
  calibrate?: string;
  /** Images of `train` to calibrate on; default 256. */
  calibrationPictures?: number;
  /** Images of `test` or `val` to compare on; default 1000. */
  comparePictures?: number;
}

/**
 * Those of `--calibrate`.
 * @param imagePx  side of the decoded images, pixels
 * @throws {UserError} see `openDataset`
 */
export async function openImages(
  { calibrate, holdOut, maxBad, resampling, calibrationPictures = 256, comparePictures = 1000 }: ImageRequest,
  imagePx: number,
  feedsOf: (split: Split, count: number) => Feeds,
  note: (line: string) => void,
): Promise<Images | undefined> {
  if (calibrate === undefined) return undefined;
  const dataset = await openDataset(calibrate, { imagePx, resampling, holdOut, maxBad, remote: { note } });
  reportDataset(dataset, { note });
  const { splits } = dataset;
  const held = splits.test ?? splits.val ?? splits.train;
  const seen = splits.train?.length ? splits.train : held;
  return { calibration: feedsOf(seen, calibrationPictures), comparison: feedsOf(held, comparePictures) };
}

/** Those that a run keeps, for who has no others: few, and the same to compare on. */
export function imagesOfRun(
  run: Pick<Run, 'samples' | 'imagePx'>,
  feedsOf: (split: Split, count: number) => Feeds,
  note: (line: string) => void,
): Images {
  const feeds = sampleFeeds(run, feedsOf);
  note(`no --calibrate DATA: the ${feeds.count} images that the run keeps stand in for what the file will meet`);
  return { calibration: feeds, comparison: feeds };
}

/** All images that a run keeps. */
export function sampleFeeds(
  { samples, imagePx }: Pick<Run, 'samples' | 'imagePx'>,
  feedsOf: (split: Split, count: number) => Feeds,
): Feeds {
  const size = imagePx ** 2 * 3;
  const length = samples.length / size;
  const split: Split = {
    length,
    labels: new Uint16Array(length),
    name: (index) => `sample ${index}`,
    pixels: (index) => samples.subarray(index * size, (index + 1) * size),
  };
  return feedsOf(split, length);
}
