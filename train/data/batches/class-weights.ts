/**
 * Weights of classes in the loss, for training images that are not as many of each. `balanced`: N / (C · n_c) for class
 * c with n_c of the N images of C classes, so that every class counts as much as any other (scikit-learn's
 * `class_weight="balanced"`, after King and Zeng 2001, "Logistic Regression in Rare Events Data"). Weights of a file
 * are divided by their mean over the training images, Σ n_c w_c / N, as balanced ones have it at 1: gradients stay as
 * large as without weights, and so does the learning rate that fits.
 */
import { readFile } from 'node:fs/promises';
import { decodeText } from '../../../base/decode-text.js';
import { UserError } from '../../../base/errors.js';
import { nameSome } from '../../../base/name-some.js';
import { requireFile } from '../../../base/require-file.js';

/**
 * @param given    `balanced`, or a JSON file: an object of weights above 0 by label
 * @param labels   of the data set
 * @param classes  class index of every training image
 * @returns        by class index; their mean over the training images is 1
 * @throws {UserError} when the file cannot be read, lacks a label, or has an unknown one or anything but weights
 */
export async function classWeights(given: string, labels: string[], classes: Uint16Array): Promise<number[]> {
  const counts = new Array<number>(labels.length).fill(0);
  for (const label of classes) counts[label] += 1;
  if (given === 'balanced') return counts.map((count) => classes.length / (labels.length * count));
  const weights = await readWeights(given, labels);
  const mean = weights.reduce((sum, weight, label) => sum + weight * counts[label], 0) / classes.length;
  return weights.map((weight) => weight / mean);
}

async function readWeights(file: string, labels: string[]): Promise<number[]> {
  requireFile(file);
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    throw new UserError(`--class-weights ${file}: cannot be read (${cause.code}); expected balanced or a JSON file`, {
      cause,
    });
  });
  let contents: unknown;
  try {
    contents = JSON.parse(decodeText(bytes));
  } catch (cause) {
    throw new UserError(`${file}: not JSON: ${(cause as Error).message}`, { cause });
  }
  if (typeof contents !== 'object' || contents === null || Array.isArray(contents)) {
    throw new UserError(`${file}: expected an object of weights by label, as {"${labels[0]}": 2, …}`);
  }
  const weights = new Map<string, unknown>(Object.entries(contents));
  const unknown = [...weights.keys()].filter((label) => !labels.includes(label));
  if (unknown.length > 0) throw new UserError(`${file}: not labels of the data set: ${nameSome(unknown)}`);
  const missing = labels.filter((label) => !weights.has(label));
  if (missing.length > 0) throw new UserError(`${file}: no weight for ${nameSome(missing)}; every label needs one`);
  return labels.map((label) => {
    const weight = weights.get(label);
    if (typeof weight === 'number' && Number.isFinite(weight) && weight > 0) return weight;
    throw new UserError(
      `${file}: ${label}: expected a number above 0, got ${typeof weight === 'number' ? weight : JSON.stringify(weight)}`,
    );
  });
}
