/** Starts a run or goes on with one: backend, data set, folder and model brought together for the loop. */
import { resolve } from 'node:path';
import type * as tfl from '@tensorflow/tfjs-layers';
import { UsageError, UserError } from '../model/errors.js';
import { buildNetwork } from '../model/network.js';
import { random } from '../model/random.js';
import { findNetwork } from '../model/registry.js';
import { type BackendName, type SelectedBackend, selectBackend } from './backend.js';
import { checkSameConfig, resolveSettings, type Settings, type TrainConfig } from './config.js';
import { classWeights } from './data/class-weights.js';
import { colourStatistics } from './data/colour.js';
import type { Dataset } from './data/dataset.js';
import { meanImage } from './data/mean.js';
import { loadPictures } from './data/read-ahead.js';
import { modelFromOrigin, networkOfOrigin, type Origin, openOrigin } from './fine-tune.js';
import { frozenLayers } from './freeze.js';
import type { Interrupt } from './interrupt.js';
import { hasCheckpoint, type LoadedCheckpoint, loadCheckpoint } from './load-checkpoint.js';
import { type TrainResult, train } from './loop.js';
import { openStreamable } from './open-data.js';
import type { Progress } from './progress.js';
import { checkFree, createRun, holdsRun, openRun, type Run, updateConfig } from './run-folder.js';
import { lockRun } from './run-lock.js';
import { packageVersions } from './versions.js';

/** Pictures kept for checking exports. */
const SAMPLES = 8;

/** What a person asked for. */
export interface TrainRequest {
  /** The run's folder. */
  out: string;
  /** Data set and network; needed for a new run, as stored for one that is resumed. */
  data?: string;
  model?: string;
  /** Run whose weights and mean a new run starts with. */
  from?: string;
  /** Number of classes that the data set must have. */
  classes?: number;
  /** `balanced` or a file of weights by label, see `data/class-weights.ts`. */
  classWeights?: string;
  /** Settings given, over the recipe of the network; `freeze` may hold ranges, see `freeze.ts`. */
  settings: Partial<Settings>;
  backend: BackendName;
  /** Go on with the run in `out` where there is one. */
  resume: boolean;
  /** Replace the run in `out`. */
  force: boolean;
  checkpointMinutes: number;
  /** Decode pictures anew at every use, also where they fit in memory. */
  stream?: boolean;
}

/** How it went. */
export interface Trained extends TrainResult {
  run: Run;
  backend: SelectedBackend['name'];
  /** Kernel calls by kernel that the onnxruntime backend gave to the cpu backend while training; empty on other backends. */
  delegated: Record<string, number>;
}

/**
 * @throws {UserError} for anything about request, data set or checkpoint that does not fit; see the functions called
 */
export async function startTraining(request: TrainRequest, progress: Progress, interrupt: Interrupt): Promise<Trained> {
  const { out, resume } = request;
  const goesOn = resume && holdsRun(out);
  if (!goesOn) checkRequest(request);
  const unlock = await lockRun(out);
  try {
    return await startLocked(request, goesOn, progress, interrupt);
  } finally {
    await unlock();
  }
}

async function startLocked(
  request: TrainRequest,
  goesOn: boolean,
  progress: Progress,
  interrupt: Interrupt,
): Promise<Trained> {
  const { out, resume } = request;
  if (resume && !goesOn) progress.note(`${out}: no run here yet, starting one`);
  const backend = await selectBackend(request.backend);
  progress.note(`backend ${backend.name}: ${backend.why}`);

  const prepared = goesOn ? await resumeRun(request, progress) : await newRun(request, progress);
  const { run, from } = prepared;
  progress.note(describeConfig(run));
  if (goesOn) progress.note(from ? `going on after step ${from.state.step}` : 'no checkpoint yet: starting at step 0');

  const { checkpointMinutes } = request;
  const delegatedBefore = await delegatedKernels(backend);
  try {
    const result = await train({ ...prepared, progress, interrupt, checkpointMinutes });
    return {
      ...result,
      run,
      backend: backend.name,
      delegated: subtract(await delegatedKernels(backend), delegatedBefore),
    };
  } finally {
    prepared.model.dispose();
  }
}

interface Prepared {
  run: Run;
  dataset: Dataset;
  model: tfl.LayersModel;
  from?: LoadedCheckpoint;
}

function checkRequest({ out, data, model, from, resume, force }: TrainRequest): void {
  if (data === undefined || (model === undefined && from === undefined)) {
    const found = resume ? `${out}: no run here to resume (no config.json), and ` : '';
    throw new UsageError(`${found}a new run needs --data and --model${data === undefined ? '' : ' (or --from RUN)'}`);
  }
  if (model !== undefined) findNetwork(model);
  if (from !== undefined && resolve(from) === resolve(out)) {
    throw new UsageError(
      `--from and --out are the same folder, ${out}; a run cannot replace the one that it starts from`,
    );
  }
  checkFree(out, force);
}

async function newRun(request: TrainRequest, progress: Progress): Promise<Prepared> {
  if (request.from === undefined) return prepareNewRun(request, undefined, progress);
  const origin = await openOrigin(request.from);
  try {
    return await prepareNewRun(request, origin, progress);
  } finally {
    origin.checkpoint.model.dispose();
  }
}

async function prepareNewRun(request: TrainRequest, origin: Origin | undefined, progress: Progress): Promise<Prepared> {
  const { out, data, settings } = request;
  const spec = findNetwork(origin ? networkOfOrigin(origin, request.model) : request.model!);
  const freeze = frozenLayers(spec, settings.freeze ?? []);
  const lrn = settings.lrn ?? origin?.run.config.lrn;
  const config: TrainConfig = {
    data: data!,
    model: spec.name,
    ...(origin && { from: request.from, fromWeights: origin.checkpoint.weightsSha256 }),
    ...resolveSettings(spec.recipe, { ...settings, freeze, lrn }),
  };
  const { imagePx, inputPx } = spec;
  const dataset = await openForTraining(config.data, imagePx, request, progress);
  const { labels, synsets } = dataset;
  checkClasses(dataset, request.classes);
  const { train } = dataset.splits;
  if (request.classWeights) config.classWeights = await classWeights(request.classWeights, labels, train.labels);
  const mean = origin?.run.mean ?? dataset.mean ?? meanImage(train, config.seed);
  const colours = config.colourNoise > 0 ? (dataset.colours ?? colourStatistics(train, config.seed)) : undefined;
  const record = { config, imagePx, inputPx, pictures: countPictures(dataset), versions: packageVersions(), colours };
  const model = origin ? modelFromOrigin(origin, config, labels) : initialModel(config, labels);
  const samples = await samplePictures(dataset);
  const run = await createRun(out, record, { labels, synsets }, { mean, samples });
  return { run, dataset, model };
}

function checkClasses({ source, labels }: Dataset, wanted: number | undefined): void {
  if (wanted === undefined || wanted === labels.length) return;
  throw new UserError(
    `--classes ${wanted}: ${source} has ${labels.length} classes; both must be equal, or leave --classes out`,
  );
}

/** Validation pictures spread over the split, and so over the classes. */
async function samplePictures({ splits: { val }, imagePx }: Dataset): Promise<Uint8Array> {
  const count = Math.min(SAMPLES, val.length);
  const indices = Uint32Array.from({ length: count }, (_, i) => Math.floor((i * val.length) / count));
  const pictures = await loadPictures(val, indices);
  const samples = new Uint8Array(count * imagePx ** 2 * 3);
  for (const [i, index] of indices.entries()) {
    samples.set(pictures.pixels(index, random(0, 'sample', index)), i * imagePx ** 2 * 3);
  }
  return samples;
}

async function resumeRun(request: TrainRequest, progress: Progress): Promise<Prepared> {
  const { out, data, model: name, from: origin, settings } = request;
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
      ...settings,
      freeze,
    },
  );
  if (settings.epochs !== undefined && settings.epochs !== run.config.epochs) {
    run.config.epochs = settings.epochs;
    await updateConfig(run);
  }
  const dataset = await openForTraining(run.config.data, run.imagePx, request, progress);
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

function initialModel(config: TrainConfig, labels: string[]): tfl.LayersModel {
  return buildNetwork(findNetwork(config.model), {
    classes: labels.length,
    seed: config.seed,
    lrn: config.lrn ?? undefined,
  });
}

async function openForTraining(
  source: string,
  imagePx: number,
  { stream }: TrainRequest,
  progress: Progress,
): Promise<Dataset> {
  const dataset = await openStreamable(source, { imagePx, splits: ['train', 'val'] }, stream, progress);
  for (const split of ['train', 'val']) {
    if (!dataset.splits[split]?.length)
      throw new UserError(`${source}: no ${split}/ pictures; training needs train/ and val/ or test/`);
  }
  return dataset;
}

function countPictures({ splits }: Dataset): Record<string, number> {
  return { train: splits.train.length, val: splits.val.length };
}

function checkSameData(run: Run, dataset: Dataset): void {
  const found = { pictures: countPictures(dataset), labels: dataset.labels };
  const stored = { pictures: run.pictures, labels: run.labels };
  if (JSON.stringify(found) === JSON.stringify(stored)) return;
  throw new UserError(
    `${run.config.data}: not the data set that ${run.path} was trained on: expected ` +
      `${describeData(stored)}, found ${describeData(found)}${found.labels.length === stored.labels.length ? '; labels must be equal too' : ''}`,
  );
}

function describeData({ pictures, labels }: { pictures: Record<string, number>; labels: string[] }): string {
  return `${pictures.train} train and ${pictures.val} val pictures of ${labels.length} classes`;
}

function describeConfig({ config, labels, pictures, path }: Run): string {
  const weights = config.classWeights;
  const short = weights && weights.length > 10 ? `${Math.min(...weights)} to ${Math.max(...weights)}` : weights;
  const settings = Object.entries({ ...config, classWeights: short }).map(
    ([key, value]) => `  ${key} ${JSON.stringify(value)}`,
  );
  const size = describeData({ labels, pictures });
  return [`${path}: ${config.model} on ${config.data}, ${size}`, ...settings].join('\n');
}

async function delegatedKernels({ name }: SelectedBackend): Promise<Record<string, number>> {
  if (name !== 'onnxruntime') return {};
  const { kernelCounts } = await import('../export/backend/index.js');
  return { ...kernelCounts().delegated };
}

function subtract(after: Record<string, number>, before: Record<string, number>): Record<string, number> {
  const differences = Object.entries(after).map(([kernel, count]) => [kernel, count - (before[kernel] ?? 0)] as const);
  return Object.fromEntries(differences.filter(([, count]) => count > 0));
}
