/** From a file of weights to one of our networks as a TensorFlow.js model. */
import { extname } from 'node:path';
import type * as tfl from '@tensorflow/tfjs-layers';
import { UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import { buildNetwork } from '../../model/network.js';
import type { LrnChoice, NetworkSpec } from '../../model/spec.js';
import { openSafetensors } from '../../onnx/file/safetensors.js';
import { chooseLrn, type LrnFlags } from './choose-lrn.js';
import { graphDifferences, inputWarnings } from './compare-graph.js';
import { type Compared, compareOutputs } from './compare-outputs.js';
import { classesOf, type FittedWeights, fitWeights } from './fit-weights.js';
import { type InputFlags, type Normalisation, normalisationOf, type Rgb } from './normalisation.js';
import { openOnnxSource } from './onnx-weights.js';
import { readLabels } from './read-labels.js';
import type { OwnRecord, Source } from './source.js';
import { sourceOfStateDict } from './state-dict.js';

export interface ImportOptions extends InputFlags, LrnFlags {
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
  /** Subtracted from images, float32 [imagePx, imagePx, 3], 0 … 255. */
  mean: Float32Array;
  channelOrder: Normalisation['channelOrder'];
  /** Constants of response normalisation that are not the network's own. */
  lrn?: LrnChoice;
  own?: OwnRecord;
  /** How far its logits are from the file's own at most, or why that was not computed. */
  compared: Compared | string;
  /** What differs from the file's own predictions, or was guessed; one line each. */
  warnings: string[];
}

/**
 * @param file  `.onnx` or `.safetensors`
 * @throws {UserError} when the file is damaged, does not fit the network, or computes something else; see the functions
 *   called
 */
export async function importNetwork(
  file: string,
  spec: NetworkSpec,
  options: ImportOptions = {},
): Promise<ImportedNetwork> {
  const source = await openSource(file, spec);
  const { own } = source;
  const classes = classesOf(source, spec);
  const { lrn, warning } = chooseLrn(source, spec, options);
  const network = { classes, width: options.width, lrn };
  const normalisation = normalisationOf(source, spec, options);
  const weights = await fitWeights(source, spec, network, normalisation);
  const labels = await labelsOf(source, classes, options.labels);
  const mean = await meanImageOf(source, spec, normalisation.mean, options.mean);
  const model = buildNetwork(spec, { ...network, seed: 0 });
  try {
    setWeights(model, weights);
    const differences = graphDifferences(source, spec, network);
    const compared = await compareOutputs(source, spec, { model, mean, normalisation, differences });
    const guesses = [warning, normalisation.warning].filter((line) => line !== undefined);
    const doubts = typeof compared === 'string' ? differences.map((line) => `${line}: predictions will differ`) : [];
    const warnings = [...doubts, ...inputWarnings(source, spec), ...guesses];
    const synsets = options.labels === undefined ? own?.synsets : undefined;
    const { channelOrder } = normalisation;
    return { model, labels, synsets, mean, channelOrder, lrn, own, compared, warnings };
  } catch (error) {
    model.dispose();
    throw error;
  }
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
  throw new UserError(`${file}: expected ${classes} labels in its metadata, one per class, got ${own.labels.length}`);
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
