/**
 * What a report says of a checkpoint's answers: errors with one crop and with ten, who was taken for whom, the worst
 * answers.
 */
import type * as tfl from '@tensorflow/tfjs-layers';
import { counted } from '../../base/format.js';
import type { Progress } from '../../base/progress.js';
import { evaluationPixels } from '../data/batches/augment.js';
import type { Split } from '../data/dataset.js';
import { describeBad } from '../data/stream/bad-images.js';
import { loadImages } from '../data/stream/read-ahead.js';
import { Confusion } from '../evaluate/confusion.js';
import { type Evaluation, evaluate, type ImagePrediction } from '../evaluate/evaluate.js';
import { checkFinite, type ImagesRequest, openRunImages, runPredictor } from '../evaluate/evaluate-run.js';
import type { Run } from '../run/run-folder.js';
import { WorstAnswers } from './worst-answers.js';

/** Errors by number of crops averaged an image. */
export interface CropErrors extends Evaluation {
  crops: number;
}

/** A badly answered image with its pixels, as the network was given them: uint8 [imagePx, imagePx, 3]. */
export interface WorstAnswer extends ImagePrediction {
  pixels: Uint8Array;
}

export interface Measured {
  data: string;
  split: string;
  /** Of its images, see `kindOfImages`. */
  kind: string;
  /** What a person should know of the data set before trusting the figures. */
  notes: string[];
  /** One crop, the centre; everything below is measured with it. */
  single: CropErrors;
  /** Absent if only the centre was asked for. */
  ten?: CropErrors;
  confusion: Confusion;
  /** The greatest losses first. */
  worst: WorstAnswer[];
}

/** Images shown with their answers. */
const WORST = 24;

/** @throws {UserError} see `openRunImages` and `checkFinite` */
export async function measure(
  run: Run,
  model: tfl.LayersModel,
  request: ImagesRequest & { crops: 1 | 10 },
  progress: Progress,
): Promise<Measured> {
  const { data, dataset, split, kind } = await openRunImages(run, request, progress);
  const confusion = new Confusion(run.labels.length);
  const worst = new WorstAnswers(WORST);
  const errors = (crops: 1 | 10, onImage?: (prediction: ImagePrediction, index: number) => void) =>
    cropErrors({ run, model, split, progress }, crops, onImage);
  const single = await errors(1, (prediction, index) => {
    confusion.add(prediction.label, prediction.top5[0]);
    worst.add(prediction, index);
  });
  const ten = request.crops === 10 ? await errors(10) : undefined;
  const shown = await loadImages(
    split,
    Uint32Array.from(worst.answers, ({ index }) => index),
  );
  const answers = worst.answers.map(({ index, ...answer }) => ({
    ...answer,
    pixels: Uint8Array.from(evaluationPixels(shown, index, run.config.seed)),
  }));
  return {
    data,
    split: request.split,
    kind,
    notes: [...(dataset.divided ? [dataset.divided] : []), ...dataset.notes, ...describeBad(dataset.skipped)],
    single,
    ten,
    confusion,
    worst: answers,
  };
}

async function cropErrors(
  { run, model, split, progress }: { run: Run; model: tfl.LayersModel; split: Split; progress: Progress },
  wanted: 1 | 10,
  onImage?: (prediction: ImagePrediction, index: number) => void,
): Promise<CropErrors> {
  const { predict, batch, crops } = runPredictor(run, model, split, wanted);
  const onProgress = (done: number, total: number) =>
    progress.work(`evaluating, ${counted(crops, 'crop')}`, done, total);
  const evaluation = (await evaluate(predict, split, { batch, onImage, onProgress }))!;
  checkFinite(evaluation, run.path);
  return { ...evaluation, crops };
}
