/** The data set of a run: opened with what training needs, and told apart from others. */
import { UserError } from '../model/errors.js';
import type { Dataset } from './data/dataset.js';
import { openStreamable } from './open-data.js';
import type { Progress } from './progress.js';
import type { Run } from './run-folder.js';

/**
 * @param stream  decode pictures anew at every use also where they fit in memory
 * @throws {UserError} where there is nothing to train on
 */
export async function openForTraining(
  source: string,
  imagePx: number,
  stream: boolean | undefined,
  progress: Progress,
): Promise<Dataset> {
  const dataset = await openStreamable(source, { imagePx, splits: ['train', 'val'] }, stream, progress);
  for (const split of ['train', 'val']) {
    if (!dataset.splits[split]?.length)
      throw new UserError(`${source}: no ${split}/ pictures; training needs train/ and val/ or test/`);
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
