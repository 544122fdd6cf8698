/**
 * Predictions for image files in this process, with the server's own decoding, model and ranking. While the model
 * computes some images, the next are read and decoded.
 */
import { buffer } from 'node:stream/consumers';
import { UsageError, UserError } from '../base/errors.js';
import { RequestError } from './errors.js';
import type { ImagePath } from './image-files.js';
import type { Classifier } from './inference/classifier.js';
import { requireImage } from './inference/image/image-kind.js';
import { readImageFile } from './read-image-file.js';
import { type Prediction, parseTop, topPredictions } from './served-model.js';

/** One image's: as POST /classify answers it, under the name it was given by. */
export type FileResult =
  | { image: string; predictions: Prediction[] }
  | { image: string; error: { code: string; message: string } };

/** Images at once, for which a classifier is to be opened; as "alexnet evaluate" has it. */
export const FILES_BATCH = 16;
/** Batches being read and decoded, besides the one that the model computes. */
const BATCHES_AHEAD = 2;

type Decoded = { image: string; pixels: Uint8Array } | Extract<FileResult, { error: object }>;

/** @throws {UsageError} if `text` is not a number of classes that the model has */
export function topOf(text: string | undefined, { model }: Pick<Classifier, 'model'>): number {
  try {
    return parseTop(text, model);
  } catch (error) {
    throw error instanceof RequestError ? new UsageError(`--${error.message}`, { cause: error }) : error;
  }
}

/**
 * Results in the order of `images`; one that cannot be read or classified has its `error`.
 * @param images  the path `-` is stdin
 */
export async function* classifyFiles(
  classifier: Classifier,
  images: readonly ImagePath[],
  top: number,
): AsyncGenerator<FileResult> {
  const waiting: Promise<Decoded>[] = [];
  const { batch } = classifier;
  for (let next = 0; next < images.length || waiting.length > 0; ) {
    while (next < images.length && waiting.length < (1 + BATCHES_AHEAD) * Math.max(batch, FILES_BATCH / 4)) {
      waiting.push(decodeFile(images[next++], classifier));
    }
    yield* await classifyDecoded(await Promise.all(waiting.splice(0, batch)), classifier, top);
  }
}

async function decodeFile({ path: image, error }: ImagePath, classifier: Classifier): Promise<Decoded> {
  try {
    if (error) throw error;
    const bytes = await (image === '-' ? readStdin() : readImageFile(image));
    return { image, pixels: await classifier.decode(bytes) };
  } catch (fault) {
    return failed(image, fault);
  }
}

async function readStdin(): Promise<Buffer> {
  const bytes = await buffer(process.stdin);
  if (bytes.length === 0) throw new RequestError('EMPTY_BODY', 'stdin is empty');
  requireImage(bytes);
  return bytes;
}

async function classifyDecoded(images: readonly Decoded[], classifier: Classifier, top: number): Promise<FileResult[]> {
  const usable = images.flatMap((image) => ('pixels' in image ? image : []));
  const results = new Map<Decoded, FileResult>();
  try {
    const all = usable.length > 0 ? await classifier.infer(usable.map(({ pixels }) => pixels)) : [];
    for (const [i, decoded] of usable.entries()) {
      const predictions = topPredictions(all[i], classifier.model, top);
      results.set(decoded, { image: decoded.image, predictions });
    }
  } catch (fault) {
    if (usable.length === 1) return images.map((image) => ('pixels' in image ? failed(image.image, fault) : image));
    // One of them may have spoilt it for the others.
    for (const one of usable) results.set(one, (await classifyDecoded([one], classifier, top))[0]);
  }
  return images.map((image) => ('pixels' in image ? results.get(image)! : image));
}

/** @throws what is a fault of ours */
function failed(image: string, error: unknown): Extract<FileResult, { error: object }> {
  if (error instanceof RequestError) return { image, error: { code: error.code, message: error.message } };
  if (error instanceof UserError || (error instanceof Error && 'syscall' in error)) {
    return { image, error: { code: 'FILE_UNREADABLE', message: error.message } };
  }
  throw error;
}
