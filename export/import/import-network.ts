/** From a file of weights to one of our networks as a TensorFlow.js model. */
import { extname } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { UserError } from '../../model/errors.js';
import { buildNetwork } from '../../model/network.js';
import type { LrnConvention, NetworkSpec } from '../../model/spec.js';
import { graphWarnings, lrnConventionOf } from './compare-graph.js';
import { classesOf, type FittedWeights, fitWeights } from './fit-weights.js';
import { type InputFlags, type Normalisation, normalisationOf, type Rgb } from './normalisation.js';
import { openOnnxSource } from './onnx-weights.js';
import { readLabels } from './read-labels.js';
import { openSafetensors } from './safetensors.js';
import type { OwnRecord, Source } from './source.js';
import { sourceOfStateDict } from './state-dict.js';

export interface ImportOptions extends InputFlags {
  /** File of labels. */
  labels?: string;
  /** As in `NetworkOptions`; for tests. */
  width?: number;
}

export interface ImportedNetwork {
  /** The caller disposes it. */
  model: tfl.LayersModel;
  labels: string[];
  synsets?: string[];
  /** Subtracted from pictures, float32 [imagePx, imagePx, 3], 0 … 255. */
  mean: Float32Array;
  channelOrder: Normalisation['channelOrder'];
  /** Reading of AlexNet's α that the file has. */
  lrn?: LrnConvention;
  own?: OwnRecord;
  /** What differs from the file's own predictions, or was guessed; one line each. */
  warnings: string[];
}

/**
 * @param file  `.onnx` or `.safetensors`
 * @throws {UserError} when the file is damaged or does not fit the network; see the functions called
 */
export async function importNetwork(
  file: string,
  spec: NetworkSpec,
  options: ImportOptions = {},
): Promise<ImportedNetwork> {
  const source = await openSource(file, spec);
  const { own } = source;
  const classes = classesOf(source, spec);
  const lrn = lrnConventionOf(source, spec);
  const network = { classes, width: options.width, lrn };
  const normalisation = normalisationOf(source, spec, options);
  const weights = await fitWeights(source, spec, network, normalisation);
  const labels = await labelsOf(source, classes, options.labels);
  const mean = await meanImageOf(source, spec, normalisation.mean, options.mean);
  const warnings = graphWarnings(source, spec, network);
  if (normalisation.warning) warnings.push(normalisation.warning);
  const model = buildNetwork(spec, { ...network, seed: 0 });
  setWeights(model, weights);
  const synsets = options.labels === undefined ? own?.synsets : undefined;
  return { model, labels, synsets, mean, channelOrder: normalisation.channelOrder, lrn, own, warnings };
}

async function openSource(file: string, spec: NetworkSpec): Promise<Source> {
  switch (extname(file).toLowerCase()) {
    case '.onnx':
      return openOnnxSource(file);
    case '.safetensors': {
      const local = spec.rows.filter(({ type }) => type === 'local').map(({ name }) => name);
      if (local.length === 0) return sourceOfStateDict(file, await openSafetensors(file), spec.rows);
      throw new UserError(
        `${file}: ${spec.name} has layers that PyTorch lacks (${local.join(', ')}); import it from an .onnx file of "alexnet export"`,
      );
    }
    default:
      throw new UserError(`${file}: expected a file name that ends in .onnx or .safetensors`);
  }
}

async function labelsOf({ file, own }: Source, classes: number, given: string | undefined): Promise<string[]> {
  if (given !== undefined) return readLabels(given, classes);
  if (!own) return Array.from({ length: classes }, (_, index) => `class ${index}`);
  if (own.labels.length === classes) return own.labels;
  throw new UserError(`${file}: expected ${classes} labels in its metadata, one a class, got ${own.labels.length}`);
}

/** The file's own per-pixel mean unless a colour is given; else one colour everywhere. */
async function meanImageOf({ file, own }: Source, spec: NetworkSpec, colour: Rgb, given?: Rgb): Promise<Float32Array> {
  const { imagePx } = spec;
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
