/**
 * Batches for the network: images cropped, mirrored, mean subtracted, as float32. Source: Krizhevsky et al. 2012, §4.1
 * (random 224×224 patches and their reflections, each image on its own draw) and §2 (mean activity subtracted from each
 * pixel, so the mean is cropped and mirrored along with the image); colours are shifted as in `colour.ts`.
 */
import { type Crop, type CropGeometry, centreCrop, cutOut } from '../../../base/crops.js';
import { type Random, random } from '../../../base/random.js';
import type { ColourStatistics, Rgb, Split } from '../dataset.js';
import { colourShift } from './colour.js';

export interface BatchOptions {
  /** Mirror left to right with probability one half. */
  mirror: boolean;
  /** Crop anywhere; else the centre. */
  randomCrop: boolean;
  /** Deviation of the colour shift; 0 or undefined: none. */
  colourNoise?: number;
  /** Of the training images; needed for the shift. */
  colours?: ColourStatistics;
  seed: number;
  epoch: number;
}

/** Images NHWC [n, inputPx, inputPx, 3], mean subtracted, about −128 … 128, and their class indices [n]. */
export interface Batch {
  images: Float32Array;
  labels: Int32Array;
}

/**
 * If batches are made one after another: newly allocated memory is mapped page by page, which takes as long as filling
 * it.
 */
export interface BatchMemory {
  images?: Float32Array;
}

/**
 * A training batch. An image's draws depend on seed, epoch and its index alone, not on the batch it is in.
 *
 * @param order   indices of this batch's images in the split
 * @param memory  holds its images, until the next batch is made there; default: its own
 */
export function trainingBatch(
  split: Split,
  geometry: CropGeometry,
  order: Uint32Array,
  options: BatchOptions,
  memory?: BatchMemory,
): Batch {
  const { seed, epoch } = options;
  const draw = (index: number) => {
    const stream = random(seed, 'augment', epoch, index);
    const pixels = split.pixels(index, stream);
    return { pixels, ...drawCut(stream, geometry, options) };
  };
  return makeBatch(split, geometry, order, draw, memory);
}

/** Where an image is cut, and by how much its colours are shifted; its pixels have been drawn before. */
export function drawCut(
  stream: Random,
  { imagePx, inputPx }: CropGeometry,
  options: BatchOptions,
): Omit<Cut, 'pixels'> {
  const room = imagePx - inputPx; // offsets 0 … room, both included
  const centre = centreCrop(imagePx, inputPx);
  const top = options.randomCrop ? stream.integer(room + 1) : centre.top;
  const left = options.randomCrop ? stream.integer(room + 1) : centre.left;
  const crop = { top, left, mirror: options.mirror && stream.uniform() < 0.5 };
  return { crop, shift: drawShift(stream, options) };
}

/** By how much an image's colours are shifted; undefined if they are not. */
export function drawShift(
  stream: Random,
  { colourNoise = 0, colours }: Pick<BatchOptions, 'colourNoise' | 'colours'>,
): Rgb | undefined {
  return colourNoise > 0 && colours ? colourShift(colours, colourNoise, stream) : undefined;
}

/**
 * The same crop of every image, for evaluation.
 * @param streamSeed  names the draws of images that are made at each use; fixed draws and photographs ignore it
 */
export function croppedBatch(
  split: Split,
  geometry: CropGeometry,
  indices: ArrayLike<number>,
  crop: Crop,
  streamSeed: number,
): Batch {
  const draw = (index: number) => ({ pixels: evaluationPixels(split, index, streamSeed), crop });
  return makeBatch(split, geometry, indices, draw);
}

/** An image as evaluation sees it before cropping, uint8 [imagePx, imagePx, 3]; it may be the data set's own memory. */
export function evaluationPixels(split: Split, index: number, streamSeed: number): Uint8Array {
  return split.pixels(index, random(streamSeed, 'evaluate', index));
}

/** Where an image is cut, its pixels and by how much their colours are shifted. */
export interface Cut {
  pixels: Uint8Array;
  crop: Crop;
  shift?: Rgb;
}

/** A batch of images cut as `draw` says. @param memory  holds its images; default: its own */
export function makeBatch(
  split: Split,
  geometry: CropGeometry,
  indices: ArrayLike<number>,
  draw: (index: number) => Cut,
  memory: BatchMemory = {},
): Batch {
  const imageLength = geometry.inputPx ** 2 * 3;
  const length = indices.length * imageLength;
  if (memory.images === undefined || memory.images.length < length) memory.images = new Float32Array(length);
  const images = memory.images.subarray(0, length);
  const labels = new Int32Array(indices.length);
  for (let n = 0; n < indices.length; n++) {
    const { pixels, crop, shift } = draw(indices[n]);
    labels[n] = split.labels[indices[n]];
    cutOut(pixels, geometry, crop, images.subarray(n * imageLength, (n + 1) * imageLength), shift);
  }
  return { images, labels };
}
