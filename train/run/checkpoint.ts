/**
 * Saves a checkpoint: a folder in tfjs's LayersModel format (`model.json` with topology and weights manifest, readable
 * by tf.loadLayersModel), with the velocities next to the weights and the state of the run under the extra key
 * `alexnet`.
 *
 * A kill at any moment leaves a whole checkpoint: data files are written first, under names that hold their hash and so
 * never replace one that is in use; then `model.json` is replaced by a rename; then the old data files are removed.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { allFinite } from '../../base/all-finite.js';
import { type WrittenFile, writeAtomically, writeFileAtomically } from '../../base/atomic-file.js';
import { UserError } from '../../base/errors.js';
import { makeFolder } from '../../base/make-folder.js';
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import { type ScheduleState, startSchedule } from '../schedule.js';
import { isDataFile } from './checkpoint-files.js';
import { modelWeights, type NamedVariable } from './weights.js';

/** Errors on the validation images, fractions, after an epoch (from 1). */
export interface Validation {
  epoch: number;
  /** null if the errors come from an imported file, which does not say it. */
  loss: number | null;
  top1Error: number;
  top5Error: number;
  /** Epoch that had this top-1 error first, if it was an earlier one. */
  since?: number;
}

/** Fewer errors are better; of as many, which are common among few images, the lower loss. */
export function betterOf(best: Validation | null, other: Validation): Validation {
  if (best === null || other.top1Error < best.top1Error) return other;
  if (best.loss === null || other.loss === null || other.top1Error > best.top1Error) return best;
  return other.loss < best.loss ? { ...other, since: best.since ?? best.epoch } : best;
}

/**
 * Where a run stands: with weights and velocities all that is needed to continue bit for bit, because every random
 * stream is named by these.
 */
export interface RunState {
  /** Updates made. */
  step: number;
  /** Whole epochs done, validation included. */
  epoch: number;
  /** Updates made in the epoch under way; all of them while its validation is outstanding. */
  position: number;
  /** Sums over the images of the epoch under way: losses, and how many were right. */
  lossSum: number;
  rightSum: number;
  /**
   * Mean training loss of the last whole epoch, and its training error, both as the images were trained on; absent in
   * earlier versions.
   */
  trainLoss: number | null;
  trainTop1Error?: number | null;
  schedule: ScheduleState;
  lastValidation: Validation | null;
  bestValidation: Validation | null;
  /** Of the last steps, for `divergence.ts`; in the process that writes. Absent in earlier versions. */
  recentLosses?: number[];
}

/** Before the first step. */
export function startState(): RunState {
  return {
    step: 0,
    epoch: 0,
    position: 0,
    lossSum: 0,
    rightSum: 0,
    trainLoss: null,
    trainTop1Error: null,
    schedule: startSchedule(),
    lastValidation: null,
    bestValidation: null,
    recentLosses: [],
  };
}

/** One data file of a checkpoint: name inside the folder, length, SHA-256 (hex). */
export interface DataFile {
  path: string;
  bytes: number;
  sha256: string;
}

/** What tfjs says of a weight, in file order. */
export interface WeightSpec {
  name: string;
  shape: number[];
  dtype: 'float32';
}

/** Key `alexnet` of `model.json`. */
export interface CheckpointRecord {
  state: RunState;
  files: { weights: DataFile; velocity: DataFile };
  velocitySpecs: WeightSpec[];
}

/** Weights that are beyond use. */
export class NotFiniteError extends UserError {
  override name = 'NotFiniteError';
}

/**
 * Writes model, velocities and state to `folder`, in place of the checkpoint there.
 * @throws {NotFiniteError} if a weight is NaN or infinite
 * @throws {DiskFullError} if there is no room; either way the checkpoint there stays as it was
 */
export async function saveCheckpoint(
  folder: string,
  model: tfl.LayersModel,
  velocities: NamedVariable[],
  state: RunState,
): Promise<void> {
  await makeFolder(folder);
  const before = await readdir(folder);
  const written: string[] = [];
  try {
    const files = {
      weights: await writeValues(folder, `weights-${state.step}`, modelWeights(model, 'all')),
      velocity: await writeValues(folder, `velocity-${state.step}`, velocities),
    };
    written.push(files.weights.path, files.velocity.path);
    await writeFileAtomically(join(folder, 'model.json'), modelJson(model, velocities, files, state));
  } catch (error) {
    // What is half a checkpoint; but `model.json` may have been replaced though its writing failed in the end.
    const inUse = await readFile(join(folder, 'model.json'), 'utf8').catch(() => '');
    await removeOtherData(folder, [...before, ...written.filter((name) => inUse.includes(name))]);
    throw error;
  }
  await removeOtherData(folder, written);
}

async function removeOtherData(folder: string, kept: readonly string[]): Promise<void> {
  for (const name of await readdir(folder)) {
    // the next save removes it
    if (isDataFile(name) && !kept.includes(name)) await rm(join(folder, name)).catch(() => undefined);
  }
}

/**
 * Bytes of a checkpoint, found by reading every value as `saveCheckpoint` does, but for a few: names and hashes are not
 * known.
 */
export async function checkpointBytes(model: tfl.LayersModel, velocities: NamedVariable[]): Promise<number> {
  const file = { path: '', bytes: 0, sha256: '' };
  let bytes = modelJson(model, velocities, { weights: file, velocity: file }, startState()).length;
  for (const variables of [modelWeights(model, 'all'), velocities]) {
    for await (const chunk of values(variables)) bytes += chunk.length;
  }
  return bytes;
}

function modelJson(
  model: tfl.LayersModel,
  velocities: NamedVariable[],
  files: CheckpointRecord['files'],
  state: RunState,
): string {
  const record: CheckpointRecord = { state, files, velocitySpecs: specs(velocities) };
  return JSON.stringify({
    modelTopology: model.toJSON(null, false),
    format: 'layers-model',
    generatedBy: `TensorFlow.js tfjs-layers v${tfl.version_layers}`,
    convertedBy: null,
    weightsManifest: [{ paths: [files.weights.path], weights: specs(modelWeights(model, 'all')) }],
    alexnet: record,
  });
}

function specs(variables: NamedVariable[]): WeightSpec[] {
  return variables.map(({ name, variable }) => ({ name, shape: [...variable.shape], dtype: 'float32' }));
}

async function writeValues(folder: string, stem: string, variables: NamedVariable[]): Promise<DataFile> {
  const written: WrittenFile = await writeAtomically(
    folder,
    (sha256) => `${stem}-${sha256.slice(0, 8)}.bin`,
    values(variables),
  );
  return { ...written, path: basename(written.path) };
}

/** The variables' float32 values as bytes, little-endian, one variable at a time. */
async function* values(variables: NamedVariable[]): AsyncGenerator<Uint8Array> {
  for (const { name, variable } of variables) {
    const data = (await variable.data()) as Float32Array;
    if (!allFinite(data)) throw new NotFiniteError(`weight ${name} holds NaN or infinity; not saved`);
    yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
}

/**
 * Puts values back into variables, e.g. velocities of a loaded checkpoint of the same model. One that has no value
 * keeps its own: a layer that was frozen.
 */
export function restoreValues(variables: NamedVariable[], values: Map<string, Float32Array>): void {
  for (const { name, variable } of variables) {
    const value = values.get(name);
    if (value) tf.tidy(() => variable.assign(tf.tensor(value, variable.shape)));
  }
}
