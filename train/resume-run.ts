/** A run on disk made ready to go on: its checkpoint, and the data set it was trained on. */
import type * as tfl from '@tensorflow/tfjs-layers';
import { UserError } from '../model/errors.js';
import { findNetwork } from '../model/registry.js';
import { checkSameConfig } from './config.js';
import { classWeights } from './data/class-weights.js';
import type { Dataset } from './data/dataset.js';
import { modelFromOrigin, openOrigin } from './fine-tune.js';
import { frozenLayers } from './freeze.js';
import { hasCheckpoint, type LoadedCheckpoint, loadCheckpoint } from './load-checkpoint.js';
import { initialModel, type NewRunRequest } from './new-run.js';
import type { Progress } from './progress.js';
import { openRun, type Run, updateConfig } from './run-folder.js';
import { checkClasses, checkSameData, openForTraining } from './training-data.js';

export interface ResumedRun {
  run: Run;
  dataset: Dataset;
  /** The caller disposes it. */
  model: tfl.LayersModel;
  /** Absent where the run was ended before its first checkpoint. */
  from?: LoadedCheckpoint;
}

/**
 * @throws {UserError} for anything about request, run, data set or checkpoint that does not fit; see the functions called
 */
export async function resumeRun(request: NewRunRequest & { out: string }, progress: Progress): Promise<ResumedRun> {
  const { out, data, model: name, from: origin, recipe, settings } = request;
  const run = await openRun(out);
  if (run.imported) {
    throw new UserError(
      `${out}: imported from ${run.imported.file}, so there is no training to go on with; ` +
        `train on from its weights with "alexnet train --from ${out} --data DATA --out OTHER"`,
    );
  }
  const freeze = settings.freeze && frozenLayers(findNetwork(run.config.model), settings.freeze);
  checkSameConfig(
    out,
    { ...run.config, freeze: run.config.freeze ?? [] },
    {
      data,
      model: name,
      from: origin,
      recipe,
      ...settings,
      freeze,
    },
  );
  if (settings.epochs !== undefined && settings.epochs !== run.config.epochs) {
    run.config.epochs = settings.epochs;
    await updateConfig(run);
  }
  const dataset = request.dataset ?? (await openForTraining(run.config.data, run.imagePx, request.stream, progress));
  checkSameData(run, dataset);
  checkClasses(dataset, request.classes);
  if (request.classWeights) {
    const wanted = await classWeights(request.classWeights, run.labels, dataset.splits.train.labels);
    checkSameConfig(out, { ...run.config, classWeights: run.config.classWeights ?? null }, { classWeights: wanted });
  }
  const from = hasCheckpoint(run.last) ? await loadCheckpoint(run.last) : undefined;
  return { run, dataset, from, model: from?.model ?? (await firstModel(run)) };
}

/** The model before the first step of a run that has no checkpoint yet. */
async function firstModel({ config, labels, path }: Run): Promise<tfl.LayersModel> {
  if (config.from === undefined) return initialModel(config, labels);
  const origin = await openOrigin(config.from);
  try {
    if (origin.checkpoint.weightsSha256 === config.fromWeights) return modelFromOrigin(origin, config, labels);
    throw new UserError(
      `${path}: started from ${config.from}, whose checkpoint is another now: expected weights with SHA-256 ` +
        `${config.fromWeights?.slice(0, 12)}…, got ${origin.checkpoint.weightsSha256.slice(0, 12)}…; start anew with --force`,
    );
  } finally {
    origin.checkpoint.model.dispose();
  }
}
