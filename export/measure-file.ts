/** The errors that an exported file states: its own, through onnxruntime, on the validation images of its run. */
import { UserError } from '../base/errors.js';
import { hasTop5 } from '../base/format.js';
import { listenForInterrupt } from '../base/process/interrupt.js';
import type { Progress } from '../base/progress.js';
import type { ModelMetadata } from '../onnx/file/metadata.js';
import type { DataChoice, Dataset, Split } from '../train/data/dataset.js';
import { evaluate } from '../train/evaluate/evaluate.js';
import { openRunImages, UnknownDataError } from '../train/evaluate/evaluate-run.js';
import { ONNX_BATCH, onnxPredictor } from '../train/evaluate/predict-onnx.js';
import type { Run } from '../train/run/run-folder.js';

export interface MeasureRequest extends DataChoice {
  /** Data set to measure on; default: that of the run. */
  data?: string;
  /** That of the run, if it is open already. */
  dataset?: Dataset;
  /** Images to measure on at most, spread evenly over the split; 0: none. Default: see `mostImages`. */
  measureImages?: number;
}

/** Without the top-5 error where that says nothing. */
export type MeasuredErrors = Pick<ModelMetadata, 'top5Error'> &
  Required<Pick<ModelMetadata, 'top1Error' | 'measuredOn'>>;

/** Images to measure on. */
export interface Validation {
  split: Split;
  /** For people, see `kindOfImages`. */
  kind: string;
}

const SPLIT = 'val';
/** Pixels that pass the network at most: those of 1,000 images of AlexNet in ten crops, minutes on two cores. */
const MOST_PIXELS = 1000 * 10 * 227 ** 2;

/** Images measured by default: a small network's are all cheap, AlexNet's are not. */
export function mostImages({ crops, inputPx }: Pick<ModelMetadata, 'crops' | 'inputPx'>): number {
  return Math.floor(MOST_PIXELS / (crops * inputPx ** 2));
}

/**
 * Validation images to measure a run's file on.
 * @returns undefined if none are wanted, or, after a note that says why, if there are none
 * @throws {UserError} if `data` was asked for and does not fit
 */
export async function openValidation(
  run: Run,
  { measureImages, ...request }: MeasureRequest,
  progress: Progress,
): Promise<Validation | undefined> {
  if (measureImages === 0) return undefined;
  try {
    return await openRunImages(run, { ...request, split: SPLIT }, progress);
  } catch (error) {
    if (request.data !== undefined || !(error instanceof UserError)) throw error;
    const advice = error instanceof UnknownDataError ? '' : '; --data DATA measures them on other images';
    progress.note(`the file will state no errors: ${error.message}${advice}`);
    return undefined;
  }
}

/**
 * What `alexnet evaluate --onnx` says of the file.
 * @throws {UserError} when a signal comes before the end
 */
export async function measureFile(
  file: string,
  metadata: ModelMetadata,
  split: Split,
  { data, measureImages = mostImages(metadata) }: MeasureRequest,
  progress: Progress,
): Promise<MeasuredErrors> {
  const { predict, release } = await onnxPredictor(file, metadata);
  const interrupt = listenForInterrupt((signal) => progress.note(`${signal}: ending; nothing is written`));
  const measured = await evaluate(predict, split, {
    batch: ONNX_BATCH,
    images: measureImages,
    onProgress: (done, total) => progress.work('measuring the file', done, total),
    stopped: () => interrupt.signal !== undefined,
  }).finally(() => interrupt.close());
  await release();
  progress.stop();
  if (!measured) throw new UserError('ended while measuring the file; --measure-images N measures it on fewer images');
  const { top1Error, top5Error, images } = measured;
  return {
    top1Error,
    ...(hasTop5(metadata.labels.length) && { top5Error }),
    measuredOn: { ...(data !== undefined && { data }), split: SPLIT, images },
  };
}
