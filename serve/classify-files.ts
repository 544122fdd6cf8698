/** Predictions for image files in this process, with the server's own decoding, model and ranking. */
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { UsageError, UserError } from '../base/errors.js';
import { requireFile } from '../base/require-file.js';
import { RequestError } from './errors.js';
import { formatPredictions } from './format-predictions.js';
import { type Classifier, type ClassifierOptions, openClassifier } from './inference/classifier.js';
import { requireImage } from './inference/image/image-kind.js';
import { type Prediction, parseTop, topPredictions } from './served-model.js';

/** One image's: as POST /classify answers it, under the name it was given by. */
export type FileResult =
  | { image: string; predictions: Prediction[] }
  | { image: string; error: { code: string; message: string } };

export interface ClassifyResults {
  model: { name: string; version: string };
  crops: number;
  /** Each label has a probability of its own: they need not sum to 1. */
  multi_label: boolean;
  results: FileResult[];
}

/**
 * @param images  paths in order; `-` is stdin
 * @param top     as written by the user; undefined for the default
 * @throws {UserError} when the model cannot be used; an unreadable image is a result with `error`
 */
export async function classifyFiles(
  images: readonly string[],
  { top, ...options }: ClassifierOptions & { top?: string },
): Promise<ClassifyResults> {
  const classifier = await openClassifier(options);
  try {
    const count = topOf(top, classifier);
    const results: FileResult[] = [];
    for (const image of images) results.push(await classifyFile(image, classifier, count));
    const { name, version, crops, activation } = classifier.model;
    return { model: { name, version }, crops, multi_label: activation.multiLabel, results };
  } finally {
    await classifier.release();
  }
}

function topOf(top: string | undefined, { model }: Classifier): number {
  try {
    return parseTop(top, model);
  } catch (error) {
    throw error instanceof RequestError ? new UsageError(`--${error.message}`, { cause: error }) : error;
  }
}

async function classifyFile(image: string, classifier: Classifier, top: number): Promise<FileResult> {
  try {
    if (image !== '-') requireFile(image);
    const bytes = await (image === '-' ? buffer(process.stdin) : readFile(image));
    requireImage(bytes);
    const [probabilities] = await classifier.infer([await classifier.decode(bytes)]);
    return { image, predictions: topPredictions(probabilities, classifier.model, top) };
  } catch (error) {
    if (error instanceof RequestError) return { image, error: { code: error.code, message: error.message } };
    if (error instanceof UserError || (error instanceof Error && 'syscall' in error)) {
      return { image, error: { code: 'FILE_UNREADABLE', message: error.message } };
    }
    throw error;
  }
}

/** One block an image; what could not be read says why. */
export function formatResults({ results }: ClassifyResults): string {
  return results
    .map((result) => {
      const body =
        'error' in result ? `  not classified: ${result.error.message}` : formatPredictions(result.predictions);
      return `${result.image}\n${body}`;
    })
    .join('\n\n');
}
