/**
 * Images of splits that are not in memory, loaded before they are needed: libuv's threads read and decode on while the
 * main thread is inside onnxruntime's synchronous run.
 */
import { UserError } from '../../../base/errors.js';
import type { Split } from '../dataset.js';

/**
 * Batches loaded beyond the one in use. Two, because an image inside a file is read by one job and decoded or checked
 * by another, and the main thread starts the second only between two steps.
 */
const AHEAD = 2;

/** Images that cannot be loaded at their turn: the data set changed or is damaged, what was computed before is good. */
export class ImagesError extends UserError {
  override name = 'PicturesError';
}

/** Positions of a batch's images, and the split where `pixels` may be asked for them. */
export interface LoadedBatch {
  indices: Uint32Array;
  images: Split;
}

/** The split itself where it is in memory, else as much of it. */
export async function loadImages(split: Split, indices: Uint32Array): Promise<Split> {
  return split.load === undefined ? split : split.load(indices);
}

/** For `load`: the split with these images alone. */
export function loadedPart(split: Split, indices: Uint32Array, pixels: Uint8Array[]): Split {
  const byIndex = new Map(pixels.map((image, i) => [indices[i], image]));
  return { ...split, load: undefined, pixels: (index) => byIndex.get(index)! };
}

/** The batches from number `first` on. */
export function* batchesOf(order: Uint32Array, batch: number, first = 0): Generator<Uint32Array> {
  for (let start = first * batch; start < order.length; start += batch) yield order.subarray(start, start + batch);
}

/**
 * @returns the batches in their order; memory holds the one asked for last and `AHEAD` more
 * @throws {ImagesError} at its turn, when an image of a batch cannot be loaded
 */
export async function* loadAhead(split: Split, batches: Iterable<Uint32Array>): AsyncGenerator<LoadedBatch> {
  const loading: { indices: Uint32Array; images: Promise<Split> }[] = [];
  const next = async () => {
    const { indices, images } = loading.shift()!;
    try {
      return { indices, images: await images };
    } catch (error) {
      throw error instanceof UserError ? new ImagesError(error.message, { cause: error }) : error;
    }
  };
  for (const indices of batches) {
    const images = loadImages(split, indices);
    images.catch(() => undefined); // thrown at its turn
    loading.push({ indices, images });
    if (loading.length > AHEAD) yield next();
  }
  while (loading.length > 0) yield next();
}
