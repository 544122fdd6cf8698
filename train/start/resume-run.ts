/** A run on disk made ready to continue: its checkpoint, and the data set it was trained on. */
import { resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type * as tfl from '@tensorflow/tfjs-layers';
import { UserError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import { findNetwork } from '../../model/registry.js';
import { classWeights } from '../data/batches/class-weights.js';
import { colourStatistics } from '../data/batches/colour.js';
import { isReadByShards } from '../data/batches/epoch-batches.js';
import type { Dataset } from '../data/dataset.js';
import { absoluteSource } from '../data/open-dataset.js';
import { checksum } from '../data/pack/pack-format.js';
import { type RunState, startState } from '../run/checkpoint.js';
import { checkWeights, hasCheckpoint, type LoadedCheckpoint, loadCheckpoint } from '../run/load-checkpoint.js';
import { openRun, type Run } from '../run/run-folder.js';
import {
  afterChanges,
  type Changes,
  changedConfig,
  changesOf,
  checkChanges,
  describeChanges,
} from '../settings/changed-settings.js';
import type { TrainConfig } from '../settings/config.js';
import { frozenLayers } from '../settings/freeze.js';
import { modelFromOrigin, openOrigin } from './fine-tune.js';
import { initialModel, type NewRunRequest, sampleImages } from './new-run.js';
import type { PreparedRun } from './prepared-run.js';
import {
  absolutePaths,
  checkClasses,
  checkSameData,
  choiceOf,
  countImages,
  dataOf,
  imageNames,
  movedSplits,
  openForTraining,
  originOf,
} from './training-data.js';

/** What a user asks of a run to continue; `force` lets settings change. */
export type ResumeRequest = NewRunRequest & { out: string; force: boolean };

/**
 * Writes nothing: the caller stores the run's config if there are changes.
 * @throws {UserError} for anything about request, run, data set or checkpoint that does not fit; see the functions
 *   called
 */
export async function resumeRun(request: ResumeRequest, progress: Progress): Promise<PreparedRun> {
  const { out, force } = request;
  const run = await openRun(out);
  if (run.imported) {
    throw new UserError(
      `${out}: imported from ${run.imported.file}, so there is no training to continue; ` +
        `train on from its weights with "alexnet train --from ${out} --data DATA --out OTHER"`,
    );
  }
  const changes = { ...changesOf(run.config, wantedConfig(request, run)), ...changedHoldOut(request, run) };
  checkChanges(out, run.config, changes, force);
  run.config = changedConfig(run.config, changes);
  const source = changes.data ? run.config.data : dataOf(run);
  run.maxBad = request.maxBad ?? run.maxBad;
  const options = changes.data
    ? { ...choiceOf(run), stream: request.stream, holdOut: run.holdOut }
    : { ...choiceOf(run), stream: request.stream, byShards: run.byShards };
  const dataset = request.dataset ?? (await openForTraining(source, run.imagePx, options, progress));
  checkClasses(dataset, request.classes);
  const images = countImages(dataset);
  const names = imageNames(dataset);
  checkSameData(run, dataset, names, force);
  if (request.classWeights) {
    const wanted = await classWeights(request.classWeights, run.labels, dataset.splits.train.labels);
    const weights = changesOf(run.config, { classWeights: wanted });
    checkChanges(out, run.config, weights, force);
    run.config = changedConfig(run.config, weights);
    Object.assign(changes, weights);
  }
  const moved = changes.data ? [] : movedSplits(run, names);
  if (!isDeepStrictEqual(images, run.pictures)) changes.pictures = { from: run.pictures, to: images };
  else if (moved.length > 0) changes.pictureNames = { from: run.pictureNames, to: names };
  if (changes.data || changes.pictures || changes.pictureNames)
    await compareValidationImages(run, dataset, changes, moved.includes('val'));
  run.paths = { ...absolutePaths({ ...run.config, data: source }), from: run.paths?.from };
  run.pictureNames = names;

  const checkpoint = await checkpointToGoOnFrom(run, progress);
  const changed = Object.keys(changes).length > 0;
  if (changed) {
    progress.note(describeChanges(changes));
    const { step, epoch } = checkpoint?.state ?? startState();
    run.history = [...(run.history ?? []), { step, epoch, time: new Date().toISOString(), changes }];
    run.pictures = images;
    run.byShards = isReadByShards(dataset.splits.train);
    if (changes.data) run.holdOut = dataset.holdOut;
    addColours(run, dataset);
  }
  const from = checkpoint && { ...checkpoint, state: afterChanges(checkpoint.state, run.history) };
  return { run, dataset, from, changes: changed ? changes : undefined, model: from?.model ?? (await firstModel(run)) };
}

/**
 * Errors on other validation images cannot be compared with those before: puts their change among `changes`, and the
 * new ones into the run.
 */
async function compareValidationImages(run: Run, dataset: Dataset, changes: Changes, moved: boolean): Promise<void> {
  const samples = await sampleImages(dataset);
  const describeImages = (count: number, some: Uint8Array) => `${count}, with SHA-256 ${checksum(some)}… of some`;
  const from = describeImages(run.pictures.val, run.samples);
  const to =
    describeImages(dataset.splits.val.length, samples) + (moved ? ', under other names or in other classes' : '');
  if (from === to) return;
  changes.validationPictures = { from, to };
  run.samples = samples;
}

/** `last/`; `best/` if that is gone, as when the process was killed between the two that end the first epoch. */
async function checkpointToGoOnFrom({ last, best }: Run, progress: Progress): Promise<LoadedCheckpoint | undefined> {
  if (hasCheckpoint(last)) {
    const checkpoint = await loadCheckpoint(last);
    if (checkpoint.state.bestValidation) await requireBest(best, checkpoint.state, progress);
    return checkpoint;
  }
  if (!hasCheckpoint(best)) return undefined;
  progress.note(`${last} holds no checkpoint: continuing from ${best}`);
  return loadCheckpoint(best);
}

/** A best epoch whose checkpoint is damaged or gone is no reason to stop; it is forgotten, so that another is saved. */
async function requireBest(best: string, state: RunState, progress: Progress): Promise<void> {
  try {
    await checkWeights(best);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const [problem] = error.message.split('. ');
    progress.note(`warning: ${problem}; going on from last/, and the best epoch from now on takes its place`);
    state.bestValidation = null;
  }
}

/** What the flags say of the run's config; a new weight decay is that of every layer, as for a new run. */
function wantedConfig({ data, model, from, recipe, settings }: ResumeRequest, run: Run): Partial<TrainConfig> {
  const { config: stored } = run;
  const origin = originOf(run);
  const sameData = data !== undefined && absoluteSource(data) === absoluteSource(dataOf(run));
  const sameOrigin = from !== undefined && origin !== undefined && resolve(from) === resolve(origin);
  const freeze = settings.freeze && frozenLayers(findNetwork(stored.model), settings.freeze);
  const otherDecay = settings.weightDecay !== undefined && settings.weightDecay !== stored.weightDecay;
  return {
    data: sameData ? undefined : data,
    model,
    from: sameOrigin ? undefined : from,
    recipe,
    ...settings,
    freeze,
    ...(otherDecay && { weightDecayByLayer: {} }),
  };
}

/** What flags say of the images held out, which no run can change: it would be measured on what it was trained on. */
function changedHoldOut({ holdOut: wanted = {} }: ResumeRequest, { holdOut: stored }: Run): Changes {
  const changes: Changes = {};
  if (wanted.fraction !== undefined && wanted.fraction !== stored?.fraction)
    changes.valFraction = { from: stored?.fraction, to: wanted.fraction };
  if (wanted.seed !== undefined && wanted.seed !== stored?.seed)
    changes.splitSeed = { from: stored?.seed, to: wanted.seed };
  return changes;
}

/** If colours were not shifted before, how they vary is not known yet. */
function addColours(run: Run, { splits, colours }: Dataset): void {
  if (run.config.colourNoise > 0) run.colours ??= colours ?? colourStatistics(splits.train, run.config.seed);
}

/** The model before the first step of a run that has no checkpoint yet. */
async function firstModel(run: Run): Promise<tfl.LayersModel> {
  const { config, labels, path } = run;
  const from = originOf(run);
  if (from === undefined) return initialModel(config, labels);
  const origin = await openOrigin(from);
  try {
    if (origin.checkpoint.weightsSha256 === config.fromWeights) return modelFromOrigin(origin, config, labels);
    throw new UserError(
      `${path}: started from ${config.from}, whose checkpoint has since changed: expected weights with SHA-256 ` +
        `${config.fromWeights?.slice(0, 12)}…, got ${origin.checkpoint.weightsSha256.slice(0, 12)}…; start from scratch with --force`,
    );
  } finally {
    origin.checkpoint.model.dispose();
  }
}
