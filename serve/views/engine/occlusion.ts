/**
 * Which part of an image a class rests on: its probability while a patch of the mean colour covers one place after
 * another (Zeiler, Fergus: "Visualizing and Understanding Convolutional Networks", 2014, §4.2). One crop is looked at,
 * not the mean of ten.
 */

import { CHANNELS } from '../../../onnx/file/channels.js';
import type { NamedCrop } from '../../crops.js';
import { RequestError } from '../../errors.js';
import type { ImageRecipe } from '../../inference/image/image-tensor.js';
import type { CropNetwork } from './crop-network.js';
import { position } from './find-layer.js';
import type { Rows } from './run-rows.js';

/** Sides and distances in pixels of the crop. */
export interface OcclusionOptions {
  /** Side of the patch; default: a seventh of the crop. */
  patch?: number;
  /** From one patch to the next; default: half a patch. */
  stride?: number;
  /** Whose probability; default: the crop's most probable class. */
  class?: number;
}

export interface OcclusionStart {
  type: 'start';
  class: { index: number; label: string; synset?: string };
  /** Without a patch. */
  probability: number;
  image_px: number;
  crop: NamedCrop;
  patch: number;
  stride: number;
  rows: number;
  columns: number;
  /** First pixels of the patches within the crop. */
  y: number[];
  x: number[];
  total: number;
}

export interface OcclusionProgress {
  type: 'progress';
  /** Row by row. */
  first: number;
  /** Of the class, with the patch there. */
  probabilities: number[];
  /** The most probable class then. */
  tops: number[];
  done: number;
  total: number;
}

export interface OcclusionEnd {
  type: 'end';
  lowest: { row: number; column: number; probability: number };
  inference_ms: number;
}

export type OcclusionPart = OcclusionStart | OcclusionProgress | OcclusionEnd;

const MAX_POSITIONS = 2500;
/** Patches along a side if no size is given. */
const PATCHES = 7;
/** Patches a part: one run of the network. */
const BATCH = 8;

/**
 * Start, progress after each run, end. Ends if its consumer stops asking.
 * @param row  the crop as the network takes it
 * @throws {RequestError} BAD_REQUEST, VIEW_UNAVAILABLE
 */
export async function* occlude(
  network: CropNetwork,
  row: Rows,
  crop: NamedCrop,
  options: OcclusionOptions,
): AsyncGenerator<OcclusionPart> {
  const { labels, synsets, imagePx } = network.model;
  if (crop.height !== undefined) {
    throw new RequestError('VIEW_UNAVAILABLE', `needs a square input, got ${crop.size} × ${crop.height} pixels`);
  }
  const { patch, stride, places } = placesOf(crop.size, options);
  const cover = new Cover(network, crop.size, patch);
  const started = performance.now();
  const whole = await network.probabilities(row);
  const index = position('class', options.class, labels.length, topOf(whole));
  const total = places.length ** 2;
  yield {
    type: 'start',
    class: { index, label: labels[index], synset: synsets?.[index] },
    probability: whole[index],
    image_px: imagePx,
    crop,
    patch,
    stride,
    rows: places.length,
    columns: places.length,
    y: places,
    x: places,
    total,
  };
  const lowest = { row: 0, column: 0, probability: Number.POSITIVE_INFINITY };
  for (let first = 0; first < total; first += BATCH) {
    const count = Math.min(BATCH, total - first);
    const at = (i: number) => [Math.floor((first + i) / places.length), (first + i) % places.length];
    const spots = Array.from({ length: count }, (_, i) => at(i).map((place) => places[place]) as [number, number]);
    const all = await network.probabilities(cover.rows(row, spots));
    const each = Array.from({ length: count }, (_, i) => all.subarray(i * labels.length, (i + 1) * labels.length));
    const probabilities = each.map((values) => values[index]);
    probabilities.forEach((probability, i) => {
      const [placeY, placeX] = at(i);
      if (probability < lowest.probability) Object.assign(lowest, { row: placeY, column: placeX, probability });
    });
    yield { type: 'progress', first, probabilities, tops: each.map(topOf), done: first + count, total };
  }
  yield { type: 'end', lowest, inference_ms: performance.now() - started };
}

/** The last patch is moved so that it ends where the crop does. */
function placesOf(size: number, options: OcclusionOptions): { patch: number; stride: number; places: number[] } {
  const patch = options.patch ?? Math.max(1, Math.round(size / PATCHES));
  const stride = options.stride ?? Math.max(1, Math.round(patch / 2));
  const inRange = (name: string, value: number) => {
    if (value >= 1 && value <= size) return;
    throw new RequestError('BAD_REQUEST', `${name}: expected 1 to ${size} pixels, the side of the crop, got ${value}`);
  };
  inRange('patch', patch);
  inRange('stride', stride);
  const count = Math.ceil((size - patch) / stride) + 1;
  if (count ** 2 > MAX_POSITIONS) {
    throw new RequestError(
      'BAD_REQUEST',
      `patch ${patch} at stride ${stride}: ${count ** 2} places are more than ${MAX_POSITIONS}; give a larger stride`,
    );
  }
  return { patch, stride, places: Array.from({ length: count }, (_, i) => Math.min(i * stride, size - patch)) };
}

function topOf(probabilities: Float32Array): number {
  return probabilities.indexOf(probabilities.reduce((a, b) => Math.max(a, b)));
}

/** Puts the patch on crops. */
class Cover {
  /** Elements from a pixel to the one to its right, and from a channel to the next. */
  private readonly steps: [number, number];
  private readonly colour: number[];

  constructor(
    network: CropNetwork,
    private readonly size: number,
    private readonly patch: number,
  ) {
    const { recipe } = network.file;
    this.steps = network.isChannelsFirst ? [1, size * size] : [CHANNELS[recipe.channels], 1];
    this.colour = network.cutsInside ? [0, 0, 0] : meanColour(recipe, network.isOwn);
  }

  /** @param spots  first pixel of each patch: y, x */
  rows(row: Rows, spots: readonly [number, number][]): Rows {
    const all = new (row instanceof Float32Array ? Float32Array : Uint8Array)(row.length * spots.length);
    const [pixelStep, channelStep] = this.steps;
    spots.forEach(([top, left], i) => {
      all.set(row, i * row.length);
      for (let c = 0; c < this.colour.length; c++) {
        for (let y = top; y < top + this.patch; y++) {
          const start = i * row.length + c * channelStep + (y * this.size + left) * pixelStep;
          for (let x = 0; x < this.patch; x++) all[start + x * pixelStep] = this.colour[c];
        }
      }
    });
    return all;
  }
}

/**
 * The mean as the network's input has it, in the order of its channels, without alpha; middle grey if a file tells no
 * mean.
 */
function meanColour({ datatype, channels, scale, mean, std }: ImageRecipe, isOwn: boolean): number[] {
  const told = mean.some((value) => value !== 0) && (datatype !== 'UINT8' || isOwn);
  const values = Array.from({ length: Math.min(CHANNELS[channels], 3) }, (_, c) => {
    const level = told ? mean[c] / scale : 127.5;
    return datatype === 'UINT8' ? Math.round(level) : (level * scale - mean[c]) / std[c];
  });
  return channels === 'BGR' ? values.reverse() : values;
}
