/** From a file of weights to one of our networks as a TensorFlow.js model. */
import type * as tfl from '@tensorflow/tfjs-layers';
import { UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import { buildNetwork } from '../../model/network.js';
import type { LrnChoice, NetworkSpec } from '../../model/spec.js';
import { classLabels } from '../../train/data/layout/image-classes.js';
import type { RunLabels } from '../../train/run/run-folder.js';
import { chooseLrn, type LrnFlags } from './choose-lrn.js';
import { graphDifferences, inputWarnings } from './compare-graph.js';
import { type Compared, compareOutputs } from './compare-outputs.js';
import { classesOf, type FittedWeights, fitWeights } from './fit-weights.js';
import { guessNetwork } from './guess-network.js';
import { IMAGENET_CLASSES } from './imagenet-classes.js';
import { type MeanImage, readMeanFile } from './mean-file.js';
import { channelOrderOf, type InputFlags, type Normalisation, normalisationOf, type Rgb } from './normalisation.js';
import { openSource } from './open-source.js';
import { readLabels } from './read-labels.js';
import type { OwnRecord, Source } from './source.js';

export interface ImportOptions extends Omit<InputFlags, 'mean'>, LrnFlags {
  /** R, G, B in 0 … 255, or a file of the mean image. */
  mean?: Rgb | string;
  /** File of labels. */
  labels?: string;
  /** As in `NetworkOptions`; for tests. */
  width?: number;
}

export interface ImportedNetwork {
  /** The network that the weights are of. */
  spec: NetworkSpec;
  /** The caller disposes it. */
  model: tfl.LayersModel;
  labels: string[];
  synsets?: string[];
  /** Subtracted from images, float32 [imagePx, imagePx, 3], 0 … 255. */
  mean: Float32Array;
  channelOrder: Normalisation['channelOrder'];
  /** How images are resized, unless as in training. */
  resampling?: 'bilinear';
  /** Constants of response normalisation that are not the network's own. */
  lrn?: LrnChoice;
  own?: OwnRecord;
  /** How far its logits are from the file's own at most, or why that was not computed. */
  compared: Compared | string;
  /** What differs from the file's own predictions, or was guessed; one line each. */
  warnings: string[];
}

/**
 * @param network  undefined: the one whose layers the file has
 * @throws {UserError} when the file is damaged, does not fit the network, or computes something else; see the functions
 *   called
 */
export async function importNetwork(
  file: string,
  network: NetworkSpec | undefined,
  options: ImportOptions = {},
): Promise<ImportedNetwork> {
  const opened = await openSource(file);
  const guess = network ? { spec: network, source: opened(network) } : guessNetwork(file, opened, options.width);
  const { spec, source } = guess;
  const { own } = source;
  const classes = classesOf(source, spec);
  const { lrn, warning } = chooseLrn(source, spec, options);
  const chosen = { classes, width: options.width, lrn };
  const given = await givenMean(options.mean, channelOrderOf(source, { channels: options.channels }));
  const normalisation = normalisationOf(source, spec, { ...options, mean: given?.colour });
  const weights = await fitWeights(source, spec, chosen, normalisation);
  const { labels, synsets } = await labelsOf(source, classes, options.labels);
  const mean = await meanImageOf(source, spec, normalisation.mean, given);
  const model = buildNetwork(spec, { ...chosen, seed: 0, drawn: [] });
  try {
    setWeights(model, weights);
    const differences = graphDifferences(source, spec, chosen);
    const compared = await compareOutputs(source, spec, { model, mean, normalisation, differences });
    const guesses = [guess.warning, warning, normalisation.warning].filter((line) => line !== undefined);
    const doubts = typeof compared === 'string' ? differences.map((line) => `${line}: predictions will differ`) : [];
    const warnings = [...doubts, ...inputWarnings(source, spec), ...guesses];
    const { channelOrder, resampling } = normalisation;
    return { spec, model, labels, synsets, mean, channelOrder, resampling, lrn, own, compared, warnings };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

async function labelsOf({ file, own }: Source, classes: number, given: string | undefined): Promise<RunLabels> {
  if (given !== undefined) return { labels: await readLabels(given, classes) };
  if (!own) return publishedLabels(classes);
  const { labels, synsets } = own;
  if (labels.length === classes) return { labels, synsets };
  throw new UserError(`${file}: expected ${classes} labels in its metadata, one per class, got ${labels.length}`);
}

/** A network of ImageNet's 1,000 classes has them in the published order; of others nothing is known. */
function publishedLabels(classes: number): RunLabels {
  const published = IMAGENET_CLASSES.trim().split('\n');
  if (classes !== published.length) return { labels: Array.from({ length: classes }, (_, index) => `class ${index}`) };
  return classLabels(published.map((line) => line.replace(' ', '_')));
}

function givenMean(mean: Rgb | string | undefined, order: 'rgb' | 'bgr'): Promise<MeanImage | undefined> {
  if (typeof mean === 'string') return readMeanFile(mean, order);
  return Promise.resolve(mean && { colour: mean });
}

/** The mean image that is given, else the file's own; else one colour everywhere. */
async function meanImageOf(
  { file, own }: Source,
  spec: NetworkSpec,
  colour: Rgb,
  given?: MeanImage,
): Promise<Float32Array> {
  const { imagePx } = spec;
  if (given?.pixels?.side === imagePx) return given.pixels.values;
  const stored = given ? undefined : own?.mean;
  if (!stored) return Float32Array.from({ length: imagePx ** 2 * 3 }, (_, index) => colour[index % 3]);
  const expected = [imagePx, imagePx, 3];
  if (String(stored.dims) === String(expected)) return stored.read();
  throw new UserError(
    `${file}: mean: expected [${expected.join(', ')}] for ${spec.name}, got [${stored.dims.join(', ')}]`,
  );
}

function setWeights(model: tfl.LayersModel, weights: FittedWeights): void {
  for (const weight of model.weights) {
    tf.tidy(() => void weight.write(tf.tensor(weights.get(weight.originalName)!, weight.shape as number[])));
  }
}
