/** The data set of a run: opened with what training needs, and told apart from others. */
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { UserError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import { isReadByShards } from '../data/batches/epoch-batches.js';
import type { DataChoice, Dataset, OpenOptions, Split } from '../data/dataset.js';
import { absoluteSource, isThere } from '../data/open-dataset.js';
import { holdsRun, type Run, type RunRecord, resamplingOf } from '../run/run-folder.js';
import { openStreamable } from './open-data.js';

export interface TrainingDataOptions extends DataChoice, Pick<OpenOptions, 'resampling'> {
  /** Decode images at every use even if they fit in memory. */
  stream?: boolean;
  /**
   * Whether a resumed run began with its epochs in an order of shards, see `epoch-batches.ts`; default: as these images
   * are read.
   */
  byShards?: boolean;
}

/** @throws {UserError} if there is nothing to train on */
export async function openForTraining(
  source: string,
  imagePx: number,
  { stream, byShards, ...choice }: TrainingDataOptions,
  progress: Progress,
): Promise<Dataset> {
  const options = { imagePx, splits: ['train', 'val'], ...choice };
  const dataset = await openStreamable(source, options, stream || byShards, progress);
  for (const split of ['train', 'val']) {
    if (!dataset.splits[split]?.length)
      throw new UserError(`${source}: no ${split}/ images; training needs train/ and val/ or test/`);
  }
  if (byShards === false && isReadByShards(dataset.splits.train)) {
    progress.note(
      `warning: ${source}: images are read one by one, in the order in which the run began: with its images in memory`,
    );
    dataset.splits.train = { ...dataset.splits.train, shards: undefined };
  }
  return dataset;
}

export function countImages({ splits }: Dataset): Record<string, number> {
  return { train: splits.train.length, val: splits.val.length };
}

/** SHA-256 of the names and classes of a split's images, in their order. */
export function namesOf({ length, labels, name }: Split): string {
  const hash = createHash('sha256');
  for (let i = 0; i < length; i++) hash.update(`${labels[i]} ${name(i)}\n`);
  return hash.digest('hex');
}

/** Tells where images were moved, which numbers do not. */
export function imageNames({ splits }: Dataset): Record<string, string> {
  const train = namesOf(splits.train);
  return { train, val: splits.val === splits.train ? train : namesOf(splits.val) };
}

/** What `--data` and `--from` name, from any folder. */
export function absolutePaths({
  data,
  from,
}: Pick<RunRecord['config'], 'data' | 'from'>): NonNullable<RunRecord['paths']> {
  return { data: absoluteSource(data), ...(from !== undefined && { from: resolve(from) }) };
}

/** What to open for a run: the path it was given, from any folder; if the project has moved since, what was typed. */
export function dataOf({ config, paths }: Pick<RunRecord, 'config' | 'paths'>): string {
  return paths && (isThere(paths.data) || !isThere(config.data)) ? paths.data : config.data;
}

/** How to open a run's data: as it did. Before it could hold images out, `val` was what it trained on. */
export const choiceOf = (run: RunRecord): DataChoice & Pick<OpenOptions, 'resampling'> => ({
  holdOut: run.holdOut ?? { fraction: 0 },
  maxBad: run.maxBad,
  resampling: resamplingOf(run),
});

/** The run that a run's first weights are from, likewise. */
export function originOf({ config, paths }: Pick<RunRecord, 'config' | 'paths'>): string | undefined {
  return paths?.from !== undefined && holdsRun(paths.from) ? paths.from : config.from;
}

/** For people. */
export function describeData({ images, labels }: { images: Record<string, number>; labels: string[] }): string {
  return `${images.train} train and ${images.val} val images of ${labels.length} classes`;
}

/** @throws {UserError} if the data set has another number of classes than is wanted */
export function checkClasses({ source, labels }: Dataset, wanted: number | undefined): void {
  if (wanted === undefined || wanted === labels.length) return;
  throw new UserError(
    `--classes ${wanted}: ${source} has ${labels.length} classes; both must be equal, or leave --classes out`,
  );
}

/**
 * @param force  accept other images of the same classes
 * @throws {UserError} if it is not the one that the run was trained on: numbers of images, their names or classes, or
 *   labels differ
 */
export function checkSameData(run: Run, dataset: Dataset, names: Record<string, string>, force: boolean): void {
  const found = { images: countImages(dataset), labels: dataset.labels };
  const stored = { images: force ? found.images : run.pictures, labels: run.labels };
  if (JSON.stringify(found) !== JSON.stringify(stored)) {
    throw new UserError(
      `${run.config.data}: not the data set that ${run.path} was trained on: expected ` +
        `${describeData(stored)}, found ${describeData(found)}${found.labels.length === stored.labels.length ? '; labels must be equal too' : ''}`,
    );
  }
  const moved = movedSplits(run, names);
  if (force || moved.length === 0) return;
  throw new UserError(
    `${run.config.data}: not the data set that ${run.path} was trained on: as many images of ${moved.join(' and ')}, but with other names ` +
      'or in other classes; put them back, or add --force to continue with them as they are',
  );
}

/** Splits whose images were renamed or moved to other classes since the run began, as far as it is known. */
export function movedSplits(
  { pictureNames: stored = {} }: Pick<RunRecord, 'pictureNames'>,
  names: Record<string, string>,
) {
  return Object.keys(stored).filter((split) => stored[split] !== names[split]);
}
