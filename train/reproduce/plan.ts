/**
 * What an experiment will do, settled before it starts and kept in `plan.json`, so that a later call continues with the
 * same.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../base/atomic-file.js';
import { UserError } from '../../base/errors.js';
import { makeFolder } from '../../base/make-folder.js';
import { formatDuration, type Progress } from '../../base/progress.js';
import { requireFile } from '../../base/require-file.js';
import { findNetwork } from '../../model/registry.js';
import type { Dataset, MaxBad } from '../data/dataset.js';
import { absoluteSource } from '../data/open-dataset.js';
import { newTrainingRate, ThrowawayTrainer } from '../measure/throwaway-trainer.js';
import { resolveSettings, type Settings, type TrainConfig } from '../settings/config.js';
import { type Experiment, shortRunRate, type Variant } from './experiments.js';

/** What the user asked for. */
export interface ExperimentRequest {
  name: string;
  data: string;
  /** `data` with an absolute path, in a plan; absent in those of earlier versions. */
  dataPath?: string;
  /** The base network; the experiment's own if absent. */
  model?: string;
  seed: number;
  /** Time for all variants together. */
  budgetSeconds: number;
  /** Passes of every variant, whatever time they take. */
  epochs?: number;
  /** Images held out of a data set without val, see `HoldOutRequest`. */
  valFraction?: number;
  splitSeed?: number;
  maxBad?: MaxBad;
}

export interface PlannedVariant extends Variant {
  /** As the run is started; with the rate that a search found. */
  settings: Partial<Settings>;
}

export interface Plan {
  request: ExperimentRequest;
  /** Passes of every variant, or at most this many if they end by themselves. */
  epochs: number;
  variants: PlannedVariant[];
  /** Mean loss of the last steps of every search, by variant and rate; null if it was not finite. */
  search?: Record<string, Record<string, number | null>>;
}

/** Share of a race's budget that goes into choosing learning rates. */
export const SEARCH_SHARE = 0.25;
/** A validation image costs about this share of a training image: forward only. */
export const VALIDATION_COST = 1 / 3;
/** Of the budget; the rest is for checkpoints and for opening the data. */
const TRAINING_SHARE = 0.95;
const MIN_SEARCH_STEPS = 10;

/**
 * The plan in `folder`, or a new one that fits the budget.
 * @throws {UserError} when the folder holds the plan of another experiment, or the budget is below one epoch of every
 *   variant
 */
export async function planExperiment(
  folder: string,
  experiment: Experiment,
  request: ExperimentRequest,
  dataset: Dataset,
  progress: Progress,
): Promise<Plan> {
  const file = join(folder, 'plan.json');
  if (existsSync(file)) return storedPlan(folder, file, request, progress);
  const base = findNetwork(request.model ?? experiment.model);
  const settings = { seed: request.seed, learningRate: shortRunRate(base), ...experiment.settings };
  const variants = experiment.variants(base).map((variant) => ({
    ...variant,
    settings: { ...settings, ...variant.settings },
  }));
  const planned =
    experiment.until === 'equal'
      ? await planEqual(request, variants, dataset, progress)
      : await planRace(request, variants, dataset, progress, experiment.until.learningRates);
  const plan = { ...planned, request: { ...request, dataPath: absoluteSource(request.data) } };
  await makeFolder(folder);
  await writeFileAtomically(file, `${JSON.stringify(plan, null, 2)}\n`);
  return plan;
}

async function storedPlan(folder: string, file: string, request: ExperimentRequest, progress: Progress): Promise<Plan> {
  requireFile(file);
  const plan = JSON.parse(await readFile(file, 'utf8')) as Plan;
  for (const key of ['name', 'data', 'model', 'seed', 'epochs', 'budgetSeconds', 'valFraction', 'splitSeed'] as const) {
    if (plan.request[key] === request[key] && key !== 'data') continue;
    if (key === 'data' && dataPathOf(plan.request) === dataPathOf(request)) continue;
    throw new UserError(
      `${folder}: holds an experiment with ${key} ${plan.request[key] ?? 'not given'}, not ${request[key] ?? 'left out'}; ` +
        'name another --out, or give the same to continue it',
    );
  }
  progress.note(`${folder}: continuing with what is there`);
  return plan;
}

const dataPathOf = ({ data, dataPath }: ExperimentRequest): string => absoluteSource(dataPath ?? data);

/** The settings of a variant as its run will have them. */
function configOf({ model, settings }: Variant, data: string): TrainConfig {
  return { data, model, ...resolveSettings(findNetwork(model).recipe, settings) };
}

async function planEqual(
  request: ExperimentRequest,
  variants: PlannedVariant[],
  dataset: Dataset,
  progress: Progress,
): Promise<Plan> {
  const { train, val } = dataset.splits;
  let all = 0; // seconds of one epoch of every variant
  for (const variant of variants) {
    const rate = await newTrainingRate(dataset, configOf(variant, request.data));
    const epoch = (train.length + VALIDATION_COST * val.length) / rate;
    progress.note(
      `${variant.name}: ${variant.model}, ${rate.toFixed(0)} images/s, an epoch in ${formatDuration(epoch)}`,
    );
    all += epoch;
  }
  const fitting = Math.floor((TRAINING_SHARE * request.budgetSeconds) / all);
  if (request.epochs === undefined && fitting < 1) {
    throw new UserError(
      `--budget ${formatDuration(request.budgetSeconds)}: one epoch of all ${variants.length} variants takes ${formatDuration(all / TRAINING_SHARE)} here; give more, or a smaller --model`,
    );
  }
  const published = findNetwork(variants[0].model).recipe.epochs;
  const epochs = request.epochs ?? Math.min(published, fitting);
  progress.note(
    `${epochs} epochs for each of ${variants.length} variants, ${formatDuration(epochs * all)} in all; the network's own recipe has ${published}`,
  );
  // The recipe's fixed epochs do not scale; a cosine over the epochs there are does.
  const schedule: Partial<Settings> = { schedule: 'cosine', warmupEpochs: epochs >= 4 ? 1 : 0 };
  return {
    request,
    epochs,
    variants: variants.map((variant) => ({ ...variant, settings: { ...schedule, ...variant.settings, epochs } })),
  };
}

/** Every variant's learning rate by a search, all with as many steps. */
async function planRace(
  request: ExperimentRequest,
  variants: PlannedVariant[],
  dataset: Dataset,
  progress: Progress,
  learningRates: readonly number[],
): Promise<Plan> {
  const configs = variants.map((variant) => configOf(variant, request.data));
  let slowest = Number.POSITIVE_INFINITY; // images per second
  for (const config of configs) slowest = Math.min(slowest, await newTrainingRate(dataset, config));
  const tries = variants.length * learningRates.length;
  const seconds = (SEARCH_SHARE * request.budgetSeconds) / tries;
  const { batch } = configs[0];
  const epochSteps = Math.ceil(dataset.splits.train.length / batch);
  const steps = Math.max(MIN_SEARCH_STEPS, Math.min(epochSteps, Math.floor((seconds * slowest) / batch)));
  progress.note(`learning rates: ${tries} tries of ${steps} steps (an epoch has ${epochSteps})`);
  const search: Record<string, Record<string, number | null>> = {};
  const epochs = request.epochs ?? findNetwork(variants[0].model).recipe.epochs;
  const planned: PlannedVariant[] = [];
  for (const [i, variant] of variants.entries()) {
    const losses: Record<string, number | null> = {};
    let best = { learningRate: learningRates[0], loss: Number.POSITIVE_INFINITY };
    for (const learningRate of learningRates) {
      const loss = await lossAfter(dataset, configs[i], learningRate, steps, progress);
      const found = Number.isFinite(loss) ? `loss ${loss.toFixed(4)}` : 'diverged';
      progress.note(`${variant.name}, learning rate ${learningRate}: ${found}`);
      losses[learningRate] = Number.isFinite(loss) ? loss : null;
      if (loss < best.loss) best = { learningRate, loss };
    }
    search[variant.name] = losses;
    planned.push({ ...variant, settings: { ...variant.settings, learningRate: best.learningRate, epochs } });
  }
  return { request, epochs, variants: planned, search };
}

/** Mean loss over the last quarter of the steps at one rate; infinite if it diverged. */
async function lossAfter(
  dataset: Dataset,
  config: TrainConfig,
  rate: number,
  steps: number,
  progress: Progress,
): Promise<number> {
  const trial = new ThrowawayTrainer(dataset, config);
  try {
    const first = Math.floor(0.75 * steps);
    let sum = 0;
    for (let step = 0; step < steps; step++) {
      const { loss } = await trial.step(rate);
      if (!Number.isFinite(loss)) return Number.POSITIVE_INFINITY;
      if (step >= first) sum += loss;
      progress.work(`trying ${config.model} at ${rate}: step`, step + 1, steps);
    }
    return sum / (steps - first);
  } finally {
    trial.dispose();
  }
}
