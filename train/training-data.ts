/** The data set of a run: opened with what training needs, and told apart from others. */
import { UserError } from '../model/errors.js';
import type { Dataset } from './data/dataset.js';
import { isReadByShards } from './data/epoch-batches.js';
import { openStreamable } from './open-data.js';
import type { Progress } from './progress.js';
import type { Run } from './run-folder.js';

export interface TrainingDataOptions {
  /** Decode pictures anew at every use also where they fit in memory. */
  stream?: boolean;
  /** Whether a run that goes on began with its epochs in an order of shards, see `epoch-batches.ts`; default: as these pictures are read. */
  byShards?: boolean;
}

/** @throws {UserError} where there is nothing to train on */
export async function openForTraining(
  source: string,
  imagePx: number,
  { stream, byShards }: TrainingDataOptions,
  progress: Progress,
): Promise<Dataset> {
  const dataset = await openStreamable(source, { imagePx, splits: ['train', 'val'] }, stream || byShards, progress);
  for (const split of ['train', 'val']) {
    if (!dataset.splits[split]?.length)
      throw new UserError(`${source}: no ${split}/ pictures; training needs train/ and val/ or test/`);
  }
  if (byShards === false && isReadByShards(dataset.splits.train)) {
    progress.note(
      `warning: ${source}: pictures are read one by one, in the order in which the run began: with its pictures in memory`,
    );
    dataset.splits.train = { ...dataset.splits.train, shards: undefined };
  }
  return dataset;
}

export function countPictures({ splits }: Dataset): Record<string, number> {
  return { train: splits.train.length, val: splits.val.length };
}

/** For people. */
export function describeData({ pictures, labels }: { pictures: Record<string, number>; labels: string[] }): string {
  return `${pictures.train} train and ${pictures.val} val pictures of ${labels.length} classes`;
}

/** @throws {UserError} where the data set has another number of classes than is wanted */
export function checkClasses({ source, labels }: Dataset, wanted: number | undefined): void {
  if (wanted === undefined || wanted === labels.length) return;
  throw new UserError(
    `--classes ${wanted}: ${source} has ${labels.length} classes; both must be equal, or leave --classes out`,
  );
}

/**
 * @param force  other pictures of the same classes will do
 * @throws {UserError} where it is not the one that the run was trained on: numbers of pictures or labels differ
 */
export function checkSameData(run: Run, dataset: Dataset, force: boolean): void {
  const found = { pictures: countPictures(dataset), labels: dataset.labels };
  const stored = { pictures: force ? found.pictures : run.pictures, labels: run.labels };
  if (JSON.stringify(found) === JSON.stringify(stored)) return;
  throw new UserError(
    `${run.config.data}: not the data set that ${run.path} was trained on: expected ` +
      `${describeData(stored)}, found ${describeData(found)}${found.labels.length === stored.labels.length ? '; labels must be equal too' : ''}`,
  );
}
