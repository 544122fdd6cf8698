/** What clients learn about the model that answers them, and the ranking of its probabilities. */
import { RequestError } from './errors.js';
import type { Activation } from './inference/model/activation.js';
import type { TensorSpec } from './tensors.js';

/** A model as its file, or the description next to that, states it. */
export interface Classifying {
  /** By class index. */
  labels: string[];
  /** ImageNet synset ids by class index, if known. */
  synsets?: string[];
  /** Crops averaged per image. */
  crops: number;
  /** Width of what an image becomes before crops are cut from it, pixels. */
  imagePx: number;
  /** Its height, where it or a crop is not square. */
  imageHeight?: number;
  /** Whether images are cut to that shape, or stretched. */
  fit: 'cut' | 'stretch';
  /** Width of a crop, pixels. */
  cropPx: number;
  /** Its height, as `imageHeight`. */
  cropHeight?: number;
  input: TensorSpec;
  outputs: TensorSpec[];
}

export interface ServedModel extends Classifying {
  name: string;
  version: string;
  /** What becomes of the output's values. */
  activation: Activation;
  /** Name that an image's probabilities are given under. */
  answer: string;
}

export interface Prediction {
  index: number;
  label: string;
  synset?: string;
  /** 0 to 1. */
  probability: number;
}

/** Default number of predictions, or all if a model has fewer classes. */
export const DEFAULT_TOP = 5;

/**
 * How many predictions are asked for.
 * @param text  as written by the client; undefined for the default
 * @throws {RequestError} INVALID_TOP
 */
export function parseTop(text: unknown, { labels }: Pick<ServedModel, 'labels'>): number {
  if (text === undefined) return Math.min(DEFAULT_TOP, labels.length);
  const top = typeof text === 'string' && /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (top >= 1 && top <= labels.length) return top;
  throw new RequestError(
    'INVALID_TOP',
    `top: expected a whole number from 1 to ${labels.length}, the number of classes, got ${JSON.stringify(text)}`,
  );
}

/** The `top` most probable classes, descending; equal ones by index. */
export function topPredictions(
  probabilities: Float32Array,
  { labels, synsets }: Pick<ServedModel, 'labels' | 'synsets'>,
  top: number,
): Prediction[] {
  return Array.from(probabilities, (probability, index) => ({ probability, index }))
    .sort((a, b) => b.probability - a.probability || a.index - b.index)
    .slice(0, top)
    .map(({ probability, index }) => ({ index, label: labels[index], synset: synsets?.[index], probability }));
}
