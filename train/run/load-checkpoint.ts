/**
 * Loads a checkpoint written by `checkpoint.ts`. Lengths and hashes of the data files are checked first: a damaged
 * checkpoint is an error that names the file and what can be done, never a silent fall-back.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../../base/errors.js';
import { requireFile } from '../../base/require-file.js';
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import type { CheckpointRecord, DataFile, RunState, WeightSpec } from './checkpoint.js';

/** A checkpoint read back. */
export interface LoadedCheckpoint {
  /** The caller disposes it. Layers of our own must be registered before loading: import `model/index.js`. */
  model: tfl.LayersModel;
  state: RunState;
  /** SHA-256 of the weights file, hex: what an exported file names its checkpoint by. */
  weightsSha256: string;
  /** Reads and checks the velocities, by weight name: only resuming needs them. */
  readVelocities(): Promise<Map<string, Float32Array>>;
}

interface ModelJson {
  modelTopology: object;
  weightsManifest: { paths: string[]; weights: WeightSpec[] }[];
  alexnet: CheckpointRecord;
}

/** True if `folder` holds a checkpoint that was written to its end (whole or damaged since). */
export function hasCheckpoint(folder: string): boolean {
  return existsSync(join(folder, 'model.json'));
}

/**
 * @param folder  e.g. RUN/last
 * @throws {UserError} when there is none, or a file is missing, cut short or altered
 */
export async function loadCheckpoint(folder: string): Promise<LoadedCheckpoint> {
  const { modelTopology, weightsManifest, alexnet: record } = await readModelJson(folder);
  return {
    model: await modelFrom(
      folder,
      modelTopology,
      weightsManifest[0].weights,
      await readData(folder, record.files.weights),
    ),
    state: record.state,
    weightsSha256: record.files.weights.sha256,
    readVelocities: async () => split(await readData(folder, record.files.velocity), record.velocitySpecs),
  };
}

/** Reads a checkpoint's weights without a model of them. @throws {UserError} as `loadCheckpoint` */
export async function checkWeights(folder: string): Promise<void> {
  const { alexnet: record } = await readModelJson(folder);
  await readData(folder, record.files.weights);
}

/**
 * The weights are put in one by one: tfjs's own loader would hold all of them four times over. In a function of its
 * own, because a closure made alongside it would keep the file's bytes for as long as it lives.
 */
async function modelFrom(
  folder: string,
  modelTopology: object,
  specs: WeightSpec[],
  data: Uint8Array,
): Promise<tfl.LayersModel> {
  const model = await tfl.loadLayersModel({ load: async () => ({ modelTopology }) });
  const values = split(data, specs);
  const shapes = new Map(specs.map(({ name, shape }) => [name, shape]));
  for (const weight of model.weights) {
    const name = weight.originalName;
    if (String(shapes.get(name)) !== String(weight.shape)) {
      model.dispose();
      throw new UserError(
        `${join(folder, 'model.json')}: weight ${name}: expected [${weight.shape}] for its layer, got [${shapes.get(name) ?? 'none'}]`,
      );
    }
    tf.tidy(() => void weight.write(tf.tensor(values.get(name)!, weight.shape as number[])));
  }
  return model;
}

async function readModelJson(folder: string): Promise<ModelJson> {
  const file = join(folder, 'model.json');
  if (!existsSync(file)) {
    throw new UserError(
      `${folder}: no checkpoint here (no model.json); expected a folder that "alexnet train" saved, e.g. RUN/best`,
    );
  }
  requireFile(file);
  let contents: Partial<ModelJson>;
  try {
    contents = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new UserError(`${file}: not JSON, so cut short or altered. ${advice(folder)}`, { cause });
  }
  if (!contents.modelTopology || !contents.weightsManifest || !contents.alexnet?.files) {
    throw new UserError(
      `${file}: a tfjs model without the state of a run (key "alexnet"); expected one that "alexnet train" saved`,
    );
  }
  return contents as ModelJson;
}

/** The file's bytes in a buffer of their own, checked against length and hash. */
async function readData(folder: string, { path, bytes, sha256 }: DataFile): Promise<Uint8Array> {
  const file = join(folder, path);
  requireFile(file);
  const data = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw cause;
    throw new UserError(`${file}: missing, though model.json names it. ${advice(folder)}`, { cause });
  });
  if (data.length < bytes) {
    throw new UserError(`${file}: cut short: expected ${bytes} bytes, got ${data.length}. ${advice(folder)}`);
  }
  if (data.length > bytes || createHash('sha256').update(data).digest('hex') !== sha256) {
    throw new UserError(
      `${file}: contents altered: SHA-256 is not ${sha256.slice(0, 12)}…, as model.json says. ${advice(folder)}`,
    );
  }
  return data.byteOffset === 0 && data.byteLength === data.buffer.byteLength ? data : Uint8Array.from(data);
}

/** What to do about a damaged checkpoint, where its neighbour could take its place. */
function advice(folder: string): string {
  const [here, other] = basename(folder) === 'best' ? ['best', 'last'] : ['last', 'best'];
  const run = dirname(folder);
  if (basename(folder) !== here || !hasCheckpoint(join(run, other))) {
    return 'There is no other checkpoint next to it: restore the folder from a copy, or start the run from scratch';
  }
  return (
    `${join(run, other)} holds another checkpoint: to go on with that, remove ${folder}, ` +
    `copy ${join(run, other)} to ${folder} and repeat the command; evaluate and export also take --checkpoint ${other}`
  );
}

function split(data: Uint8Array, specs: WeightSpec[]): Map<string, Float32Array> {
  let offset = 0;
  return new Map(
    specs.map(({ name, shape }) => {
      const length = shape.reduce((a, b) => a * b, 1);
      const values = new Float32Array(data.buffer, data.byteOffset + offset, length);
      offset += 4 * length;
      return [name, values];
    }),
  );
}
