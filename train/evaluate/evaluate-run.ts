/** Evaluates a checkpoint or an exported file on a data set, and writes what it said of each image. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import type * as tfl from '@tensorflow/tfjs-layers';
import { type CropCount, cropsOf, describeCrops } from '../../base/crops.js';
import { UsageError, UserError } from '../../base/errors.js';
import '../../model/index.js'; // registers the layers that a checkpoint's topology names
import { writeError } from '../../base/disk-full.js';
import { counted } from '../../base/format.js';
import type { Progress } from '../../base/progress.js';
import { checkReplaceable } from '../../base/replaceable.js';
import { chooseProvider } from '../../onnx/backend/choose-provider.js';
import { type ComputeChoice, startBackend } from '../../onnx/backend/select-backend.js';
import type { DataChoice, Dataset, OpenOptions, Split } from '../data/dataset.js';
import { kindOfImages } from '../data/kind-of-images.js';
import { absoluteSource } from '../data/open-dataset.js';
import { NotFiniteError } from '../run/checkpoint.js';
import { loadCheckpoint } from '../run/load-checkpoint.js';
import { openRun, type Run, UNKNOWN_DATA } from '../run/run-folder.js';
import { openStreamable } from '../start/open-data.js';
import { choiceOf, dataOf, namesOf } from '../start/training-data.js';
import { Confusion } from './confusion.js';
import { type Evaluation, evaluate, type Predict } from './evaluate.js';
import { checkpointPredictor } from './predict-checkpoint.js';

/** What the user asked for: `run` or `onnx`, one of them. */
export interface EvaluateRequest extends Partial<ComputeChoice>, DataChoice {
  run?: string;
  /** Which checkpoint of the run; default: best. */
  checkpoint?: 'best' | 'last';
  onnx?: string;
  /** Data set; default for a run: its own. */
  data?: string;
  split: string;
  /** Crops averaged an image; of an exported file those inside it. Default for a run: 1. */
  crops?: CropCount;
  /** Images to evaluate, spread evenly over the split; default: all. */
  images?: number;
  batch?: number;
  /** File for one JSON line per image. */
  predictions?: string;
  /** Decode images at every use, even if they fit in memory. */
  stream?: boolean;
}

/** `crops` is what was actually averaged: 2 for 10, and 1 for 5, if the network sees the whole image. */
export interface EvaluationReport extends Evaluation {
  /** Which class was taken for which, by index into `labels`. */
  confusion: Confusion;
  labels: string[];
  model: string;
  data: string;
  split: string;
  crops: number;
  backend: string;
  /** For people: which images, see `kindOfImages`, and how many crops, with the reason if fewer than asked for. */
  told: { kind: string; crops: string };
}

interface Subject {
  dataset: Dataset;
  split: Split;
  predict: Predict;
  batch: number;
  report: Omit<EvaluationReport, keyof Evaluation | 'confusion' | 'labels'>;
  release?(): Promise<void>;
}

/** @throws {UserError} for anything about the request, the files or the data set that does not fit */
export async function evaluateRun(request: EvaluateRequest, progress: Progress): Promise<EvaluationReport> {
  if ((request.run === undefined) === (request.onnx === undefined))
    throw new UsageError('give either --run RUN or --onnx FILE');
  if (request.predictions !== undefined) {
    await checkReplaceable(request.predictions, 'a file of predictions', isPredictions, { inPlace: true });
  }
  const { dataset, split, predict, batch, report, release } = await (request.run
    ? ofRun(request, progress)
    : ofOnnx(request, progress));
  const lines = request.predictions === undefined ? undefined : await openLines(request.predictions);
  const confusion = new Confusion(dataset.labels.length);
  const evaluation = await evaluate(predict, split, {
    batch,
    images: request.images,
    onImage: (prediction) => {
      confusion.add(prediction.label, prediction.top5[0]);
      lines?.add(prediction);
    },
    onProgress: (done, total) => progress.work('evaluating', done, total),
  });
  await lines?.end();
  await release?.();
  checkFinite(evaluation!, request.onnx ?? `${request.run}, ${request.checkpoint}/`);
  return { ...evaluation!, ...report, confusion, labels: dataset.labels };
}

/** @throws {NotFiniteError} if a network computes NaN, so that its errors mean nothing */
export function checkFinite({ loss }: Evaluation, subject: string): void {
  if (Number.isFinite(loss)) return;
  throw new NotFiniteError(
    `${subject}: its probabilities of some images are NaN or infinite, so it has no errors: its training diverged; ` +
      'take another checkpoint, or train again at a lower --lr',
  );
}

/** By the keys of the first line, see `ImagePrediction`. */
function isPredictions(start: Buffer): boolean {
  return /^\{"name":".*","label":\d+,"top5":\[/.test(start.toString('utf8', 0, start.indexOf(10)));
}

interface Lines {
  add(line: object): void;
  /** Once all is written. */
  end(): Promise<void>;
}

/** A new file of JSON lines. @throws {UserError} from any of its functions, if it cannot be written */
async function openLines(path: string): Promise<Lines> {
  const file = createWriteStream(path);
  const written = finished(file);
  written.catch(() => undefined); // seen by the next call
  const failed = (error: unknown) => {
    throw writeError(path, error);
  };
  await once(file, 'open').catch(failed);
  return {
    add: (line) => {
      if (file.errored) failed(file.errored);
      file.write(`${JSON.stringify(line)}\n`);
    },
    end: async () => {
      file.end();
      await written.catch(failed);
    },
  };
}

async function ofRun(request: EvaluateRequest, progress: Progress): Promise<Subject> {
  const run = await openRun(request.run!);
  const backend = await startBackend({ ...request, backend: request.backend ?? 'auto' }, progress.note);
  const { model } = await loadCheckpoint(run[request.checkpoint ?? 'best']);
  const { data, dataset, split, kind } = await openRunImages(run, request, progress);
  const { crops: asked = 1 } = request;
  const { predict, batch, crops } = runPredictor(run, model, split, asked, request.batch);
  const told = { kind, crops: describeCrops(asked, run.imagePx, run.inputPx) };
  const report = { model: run.config.model, data, split: request.split, crops, backend: backend.name, told };
  return { dataset, split, predict, batch, report };
}

/** A run of unknown data was to be measured, and no data set was named. */
export class UnknownDataError extends UsageError {
  override name = 'UnknownDataError';

  constructor(run: string) {
    super(`${run}: imported, and its file does not say what it was trained on; give --data DATA`);
  }
}

/** Images to measure a run on, e.g. those of a data set that is open already. */
export type ImagesRequest = Pick<EvaluateRequest, 'data' | 'split' | 'stream' | keyof DataChoice> & {
  /** The run's own, if `data` is absent. */
  dataset?: Dataset;
};

/**
 * Images to measure a run on.
 * @param data  default: what it was trained on
 * @returns     `kind`: see `kindOfImages`
 * @throws {UserError} if there is no such data set or split, or its classes are others; `UnknownDataError`
 */
export async function openRunImages(
  run: Run,
  request: ImagesRequest,
  progress: Progress,
): Promise<{ data: string; dataset: Dataset; split: Split; kind: string }> {
  const { data } = request;
  if (data === undefined && run.config.data === UNKNOWN_DATA) throw new UnknownDataError(run.path);
  const source = data ?? dataOf(run);
  const options = { ...request, ...choiceFor(run, source, request), imagePx: run.imagePx };
  const { dataset, split } = request.dataset
    ? { dataset: request.dataset, split: splitOf(request.dataset, request.split) }
    : await openSplit(source, options, progress);
  checkLabels(dataset, run.labels, run.path);
  if (request.holdOut === undefined && isOwnData(run, source)) noteOthers(run, request.split, split, progress);
  return { data: data ?? run.config.data, dataset, split, kind: kindOfImages(dataset, request.split) };
}

/** Errors on other images than the run was validated on are no longer those that it reported. */
function noteOthers(run: Run, name: string, split: Split, progress: Progress): void {
  const then = run.pictureNames?.[name];
  if (then === undefined || then === namesOf(split)) return;
  progress.note(
    `warning: ${run.config.data}: its ${name} images are not those of the run's training: ${run.pictures[name]} then, ` +
      `${split.length} now; they were added or removed since, or holdOut in ${run.path}/config.json was changed`,
  );
}

const isOwnData = (run: Run, source: string): boolean =>
  run.config.data !== UNKNOWN_DATA && absoluteSource(source) === absoluteSource(dataOf(run));

/** As asked, else as the run divided its images, which are known by their contents wherever they lie. */
export function choiceFor(
  run: Run,
  source: string,
  { holdOut, maxBad }: DataChoice,
): DataChoice & Pick<OpenOptions, 'resampling'> {
  const isOwn = isOwnData(run, source);
  const stored = choiceOf(run);
  return { ...stored, holdOut: holdOut ?? (isOwn ? stored.holdOut : run.holdOut), maxBad: maxBad ?? run.maxBad };
}

/** `crops` is what is actually averaged, see `EvaluationReport`; `batch` at most what was trained with or asked for. */
export function runPredictor(
  { config, imagePx, inputPx, mean }: Run,
  model: tfl.LayersModel,
  split: Split,
  wantedCrops: CropCount,
  wantedBatch = config.microBatch ?? config.batch,
): { predict: Predict; batch: number; crops: number } {
  const crops = cropsOf(wantedCrops, imagePx, inputPx);
  const batch = Math.min(wantedBatch, split.length);
  const predict = checkpointPredictor(model, { imagePx, mean, crops, batch, seed: config.seed });
  return { predict, batch, crops: crops.length };
}

async function ofOnnx(request: EvaluateRequest, progress: Progress): Promise<Subject> {
  const file = request.onnx!;
  if (request.data === undefined) throw new UsageError('--onnx needs --data DATA');
  const { readMetadata } = await import('../../onnx/file/model-file.js');
  const { ONNX_BATCH, onnxPredictor } = await import('./predict-onnx.js');
  const metadata = await readMetadata(file);
  const { imagePx, inputPx, crops = 1, resampling } = metadata;
  if (request.crops !== undefined && cropsOf(request.crops, imagePx, inputPx).length !== crops) {
    throw new UserError(
      `${file}: ${crops === 1 ? 'takes one crop' : `averages ${crops} crops inside the file`}, not the ${request.crops} of --crops; ` +
        `leave --crops out, or export the run again with "alexnet export --crops ${request.crops}"`,
    );
  }
  const options = { ...request, imagePx, resampling };
  const { dataset, split } = await openSplit(request.data, options, progress);
  checkLabels(dataset, metadata.labels, file);
  const { provider, why } = chooseProvider(request.provider);
  if (why) progress.note(`provider ${provider}: ${why}`);
  const { predict, release } = await onnxPredictor(file, metadata);
  const told = {
    kind: kindOfImages(dataset, request.split),
    crops: request.crops === undefined ? counted(crops, 'crop') : describeCrops(request.crops, imagePx, inputPx),
  };
  const report = { model: metadata.model, data: request.data, split: request.split, crops, backend: 'onnx', told };
  return { dataset, split, predict, batch: request.batch ?? ONNX_BATCH, report, release };
}

type SplitRequest = Pick<EvaluateRequest, 'split' | 'stream'> &
  Pick<OpenOptions, 'imagePx' | 'resampling' | keyof DataChoice>;

async function openSplit(
  source: string,
  { split: name, stream, holdOut, maxBad, imagePx, resampling }: SplitRequest,
  progress: Progress,
): Promise<{ dataset: Dataset; split: Split }> {
  const dataset = await openStreamable(
    source,
    { imagePx, resampling, splits: [name], holdOut, maxBad },
    stream,
    progress,
  );
  return { dataset, split: splitOf(dataset, name) };
}

function splitOf(dataset: Dataset, name: string): Split {
  const split = dataset.splits[name];
  if (split?.length) return split;
  throw new UserError(
    `${dataset.source}: no split "${name}"; there are: ${(dataset.splitNames ?? Object.keys(dataset.splits)).join(', ')}`,
  );
}

function checkLabels({ labels, source }: Dataset, expected: string[], subject: string): void {
  if (labels.length === expected.length && labels.every((label, index) => label === expected[index])) return;
  const index = expected.findIndex((label, i) => label !== labels[i]);
  throw new UserError(
    `${source}: its classes are not those of ${subject}: expected ${expected.length} classes, got ${labels.length}; ` +
      `class ${Math.max(index, 0)} is "${expected[index]}" there and "${labels[index]}" here`,
  );
}
