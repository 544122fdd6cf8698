/**
 * `alexnet learn DIR`: from a folder of class folders to a file that can be served, by the commands' own functions:
 * import, train, report and export.
 */
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { UserError } from '../../base/errors.js';
import { listenForInterrupt } from '../../base/process/interrupt.js';
import { exitCodeOf } from '../../base/process/stop-signals.js';
import type { Progress } from '../../base/progress.js';
import { checkReplaceable, isMarked } from '../../base/replaceable.js';
import { OPSETS } from '../../export/compile/program.js';
import { exportRun } from '../../export/from-run.js';
import { findNetwork } from '../../model/registry.js';
import type { ProviderChoice } from '../../onnx/backend/provider.js';
import { fittingName } from '../../onnx/file/model-name.js';
import { checkModelPlace } from '../../onnx/file/onnx-model.js';
import type { DataChoice, Dataset } from '../../train/data/dataset.js';
import { checkFolder, isThere } from '../../train/data/open-dataset.js';
import { checkFree, holdsRun, openRun, type Run, resamplingOf } from '../../train/run/run-folder.js';
import type { Settings } from '../../train/settings/config.js';
import { layersWithWeights } from '../../train/settings/freeze.js';
import { startTraining, type Trained } from '../../train/start/start.js';
import { countImages, openForTraining } from '../../train/start/training-data.js';
import { writeReport } from '../report.js';
import {
  describeErrors,
  describeFile,
  describeImages,
  describeKept,
  describeLearning,
  describeWeights,
  type Say,
} from './account.js';
import { runOfWeights } from './weights.js';

/** What the user asked for. */
export interface LearnRequest extends DataChoice {
  /** Data set: a folder of class folders. */
  dir: string;
  /** See `runOfWeights`. */
  from: string;
  /** Folder of the run, its report and its file. */
  out: string;
  epochs: number;
  /** Default: see `settleFrozen`. */
  views?: number;
  seed: number;
  force: boolean;
  provider?: ProviderChoice;
}

export interface Learnt {
  run: string;
  report: string;
  /** The .onnx file. */
  model: string;
  /** Path of an image to ask about. */
  example: string;
  labels: string[];
  /** By split. */
  images: Record<string, number>;
  /** Of validation images, one crop. */
  top1Error: number;
  seconds: number;
}

/** For the results of a data set: its folder's or archive's name. */
export const nameOf = (dir: string): string => fittingName(basename(resolve(dir)).replace(/\.(tar|tar\.gz|tgz)$/, ''));

/** Found by trial on CIFAR-10's classes, see docs/train.md; the learning rate follows from the features. */
const SETTINGS: Partial<Settings> = { batch: 32, schedule: 'cosine' };

/**
 * @param say       prints a line of the account
 * @param progress  for bars and warnings
 * @returns undefined when interrupted: the run is saved
 * @throws {UserError} if something of the user's would be replaced, or images or weights do not fit; see the functions
 *   called
 */
export async function learn(request: LearnRequest, say: Say, progress: Progress): Promise<Learnt | undefined> {
  const started = performance.now();
  const { dir, out, provider, holdOut, maxBad } = request;
  const [report, model] = [join(out, 'report.html'), join(out, `${nameOf(dir)}.onnx`)];
  await checkPlaces(request, report, model);

  const { run: from, kept } = await runOfWeights(request.from, progress);
  const origin = await openRun(from);
  say('Weights', describeWeights(request.from, origin));
  if (kept.length > 0) say('Weights', await describeKept(kept));
  const dataset = await openForTraining(
    dir,
    origin.imagePx,
    { holdOut, maxBad, resampling: resamplingOf(origin) },
    progress,
  );
  progress.stop();
  for (const line of describeImages(dataset)) say('Images', line);

  const settings = { ...SETTINGS, ...settingsOf(request, origin) };
  for (const line of describeLearning(settings, origin, dataset)) say('Learn', line);
  const trained = await trainHead({ ...request, from }, settings, dataset, progress);
  if (trained.interruptedBy) {
    process.exitCode = exitCodeOf(trained.interruptedBy);
    progress.note(`saved; continue with: alexnet train --resume --out ${out}`);
    return undefined;
  }
  const { measured, missing } = await writeReport(
    { run: out, dataset, backend: 'auto', provider, checkpoint: 'best', crops: 1 },
    report,
    progress,
  );
  progress.stop();
  if (!measured) throw new UserError(`${out}: cannot be measured: ${missing.join(' ')}`);
  for (const line of describeErrors(measured, trained, settings, dataset)) say('Measure', line);
  say('Report', report);
  const exported = await exportRun(
    { run: out, name: nameOf(dir), dataset, out: model, head: 'image', opset: OPSETS.default, provider },
    progress,
  );
  progress.stop();
  for (const line of describeFile(exported, trained.run.config.views)) say('Export', line);
  return {
    run: out,
    report,
    model,
    example: exampleImage(dir, dataset),
    labels: dataset.labels,
    images: countImages(dataset),
    top1Error: measured.single.top1Error,
    seconds: (performance.now() - started) / 1000,
  };
}

/** All layers but the last stay as they are, whatever the number of images. */
function settingsOf({ epochs, views, seed }: LearnRequest, { config }: Run): Partial<Settings> {
  const names = layersWithWeights(findNetwork(config.model));
  return { epochs, views, seed, freeze: [`${names[0]}..${names.at(-2)}`] };
}

async function trainHead(
  { dir, from, out, force, provider, holdOut, maxBad }: LearnRequest,
  settings: Partial<Settings>,
  dataset: Dataset,
  progress: Progress,
): Promise<Trained> {
  const interrupt = listenForInterrupt((signal) => progress.note(`${signal}: saving; a second signal stops at once`));
  const request = { data: dir, dataset, holdOut, maxBad, from, out, settings, provider, force };
  try {
    return await startTraining(
      { ...request, backend: 'auto', resume: false, checkpointMinutes: 5 },
      progress,
      interrupt,
    );
  } finally {
    progress.stop();
    interrupt.close();
  }
}

/** A validation image, if it is a file of its own: an example for a request. */
function exampleImage(dir: string, { splits: { val } }: Dataset): string {
  const path = join(dir, val.name(0));
  return existsSync(path) ? path : 'image.jpg';
}

async function checkPlaces({ dir, out, force }: LearnRequest, report: string, model: string): Promise<void> {
  if (!isThere(dir))
    throw new UserError(`${dir}: no such file or folder; expected a folder with a folder of images for each class`);
  await checkFolder(dir);
  if (holdsRun(out) && !force) {
    throw new UserError(
      `${out}: holds a run already; another --out keeps both, --force replaces it; if it was interrupted, "alexnet train --resume --out ${out}" continues it`,
    );
  }
  await checkFree(out, force);
  await checkReplaceable(report, 'a page of "alexnet report"', isMarked);
  await checkModelPlace(model);
}
