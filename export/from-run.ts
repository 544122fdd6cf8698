/** A run's checkpoint as a checked `.onnx` file. */
import { basename, resolve } from 'node:path';
import type * as tfl from '@tensorflow/tfjs-layers';
import { type Crop, type CropCount, cropsOf, whyFewerCrops } from '../base/crops.js';
import { UserError } from '../base/errors.js';
import '../model/index.js'; // registers the layers that a checkpoint's topology names
import type { Progress } from '../base/progress.js';
import { toolVersion } from '../base/tool-version.js';
import { startBackend } from '../onnx/backend/select-backend.js';
import { type ModelMetadata, metadataToProps } from '../onnx/file/metadata.js';
import { fittingName } from '../onnx/file/model-name.js';
import { checkModelPlace } from '../onnx/file/onnx-model.js';
import { meanColour } from '../train/data/batches/mean.js';
import type { Split } from '../train/data/dataset.js';
import { choiceFor } from '../train/evaluate/evaluate-run.js';
import { hasCheckpoint, loadCheckpoint } from '../train/run/load-checkpoint.js';
import { openRun, type Run, resamplingOf } from '../train/run/run-folder.js';
import { checkOnCpu, compareWithNetwork, type Parity, TOLERANCE } from './check/compare-with-network.js';
import { checkDifference } from './check/difference.js';
import { classifierFeeds } from './check/feeds.js';
import { type ImageRequest, imagesOfRun, openImages, sampleFeeds } from './check/images.js';
import { checkOverflow } from './check/overflow.js';
import { compileClassifier } from './classifier.js';
import { cropsOfRun } from './crops-of-run.js';
import { type MeasureRequest, measureFile, openValidation } from './measure-file.js';
import type { Feeds } from './precision/calibrate.js';
import { type WriteReport, type WriteRequest, writeChecked } from './write-checked.js';

/** Weights up to which a crop is computed on tfjs's cpu backend too: AlexNet's would take half a minute. */
const LARGEST_ON_CPU = 1e7;

/** What the user asked for. */
export interface ExportRunRequest extends WriteRequest, ImageRequest, MeasureRequest {
  run: string;
  /** What servers call it, see `MODEL_NAME`; default: the name of the run's folder. */
  name?: string;
  head: 'image' | 'tensor';
  /** Crops that the image head averages; default: see `cropsOfRun`. */
  crops?: CropCount;
  opset: number;
  lrn?: 'op' | 'conv';
  checkpoint?: 'best' | 'last';
}

export interface ExportRunReport extends WriteReport {
  /** Folder of the checkpoint. */
  checkpoint: string;
  /** What the file states. */
  metadata: ModelMetadata;
  /** Of the images that its errors are of, see `kindOfImages`; absent if they are unknown. */
  kind?: string;
}

/**
 * @throws {UserError} when run or checkpoint are damaged, the file cannot be written, or it does not compute what tfjs
 *   does
 */
export async function exportRun(request: ExportRunRequest, progress: Progress): Promise<ExportRunReport> {
  const { head } = request;
  await checkModelPlace(request.out, request.externalData);
  const run = await openRun(request.run);
  const folder = checkpointFolder(run, request.checkpoint);
  await startBackend({ backend: 'onnxruntime', provider: request.provider, fixed: true }, progress.note);
  const { model, state, weightsSha256 } = await loadCheckpoint(folder);
  progress.note(`${folder}: ${run.config.model} after epoch ${state.epoch}, step ${state.step}`);
  const { imagePx, inputPx, mean } = run;
  const geometry = { imagePx, inputPx, mean };
  const crops = head === 'image' ? cropsAsked(request, run, progress) : 1;
  const validation = await openValidation(run, request, progress);
  const exported = await compileClassifier(model, {
    ...request,
    ...geometry,
    crops,
    metadata: {
      model: run.config.model,
      name: request.name ?? fittingName(basename(resolve(request.run))),
      labels: run.labels,
      synsets: run.synsets,
      meanRgb: meanColour(mean),
      resampling: resamplingOf(run),
      dataset: run.config.data,
      checkpoint: weightsSha256,
      toolVersion: toolVersion(),
    },
  });
  const feeds = (split: Split, count: number) => classifierFeeds(split, count, head, geometry);
  const images = await imagesFor(request, run, feeds, progress);
  let { metadata } = exported;
  const checks = {
    parity: async (file: string) => {
      if (request.precision === 'fp16') await checkOverflow(exported.model.parts, sampleFeeds(run, feeds));
      return checkRun(file, run, model, head === 'image' ? cropsOf(crops, imagePx, inputPx) : undefined, progress);
    },
    metadata: async (file: string) => {
      if (!validation) return undefined;
      metadata = { ...metadata, ...(await measureFile(file, metadata, validation.split, request, progress)) };
      return metadataToProps(metadata);
    },
  };
  const report = await writeChecked(exported.model, request, checks, images, progress.note);
  model.dispose();
  return { ...report, checkpoint: folder, metadata, kind: validation?.kind };
}

/** Images to calibrate and compare on: those of --calibrate, or, for int8 without it, the run's samples. */
async function imagesFor(
  request: ExportRunRequest,
  run: Run,
  feeds: (split: Split, count: number) => Feeds,
  { note }: Progress,
) {
  if (request.precision === 'int8' && request.calibrate === undefined) return imagesOfRun(run, feeds, note);
  const choice = choiceFor(run, request.calibrate ?? run.config.data, request);
  return openImages({ ...request, ...choice }, run.imagePx, feeds, note);
}

function cropsAsked({ crops: asked }: ExportRunRequest, run: Run, { note }: Progress): CropCount {
  const { imagePx, inputPx } = run;
  const { crops, reason } =
    asked === undefined
      ? cropsOfRun(run)
      : { crops: asked, reason: whyFewerCrops(asked, imagePx, inputPx) ?? 'as asked' };
  const count = cropsOf(crops, imagePx, inputPx).length;
  note(
    `${count === 1 ? 'one crop' : `${count} crops averaged`}: ${reason}${asked ? '' : ' (--crops takes another number)'}`,
  );
  return crops;
}

/** @param crops  of the image head */
async function checkRun(
  file: string,
  { imagePx, inputPx, mean, samples }: Run,
  model: tfl.LayersModel,
  crops: Crop[] | undefined,
  { note }: Progress,
): Promise<Parity> {
  const geometry = { imagePx, inputPx, mean };
  const parity = await compareWithNetwork(file, model, { ...geometry, crops }, samples);
  if (model.countParams() > LARGEST_ON_CPU) return parity;
  const onCpu = await checkOnCpu(model, geometry, samples.subarray(0, imagePx ** 2 * 3));
  checkDifference(onCpu, TOLERANCE);
  note(`tfjs's own cpu backend, one crop: largest difference ${onCpu.maxRel.toExponential(1)} of the largest logit`);
  return parity;
}

/** The best checkpoint, unless there is only the last or that was asked for. */
function checkpointFolder(run: Run, wanted: 'best' | 'last' | undefined): string {
  if (wanted) return run[wanted];
  if (hasCheckpoint(run.best)) return run.best;
  if (hasCheckpoint(run.last)) return run.last;
  throw new UserError(`${run.path}: no checkpoint yet; continue with "alexnet train --resume --out ${run.path}"`);
}
