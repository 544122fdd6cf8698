/** An imported network as a run's folder, as `alexnet train` would leave it before its first step. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { random } from '../../model/random.js';
import type { NetworkSpec } from '../../model/spec.js';
import { type RunState, saveCheckpoint, startState } from '../../train/checkpoint.js';
import { resolveSettings } from '../../train/config.js';
import { createRun, type Run, UNKNOWN_DATA } from '../../train/run-folder.js';
import { Sgd } from '../../train/sgd.js';
import { packageVersions } from '../../train/versions.js';
import { modelWeights } from '../../train/weights.js';
import type { ImportedNetwork } from './import-network.js';

/** Pictures kept for checking exports, and the squares of one colour along a side of each. */
const SAMPLES = 8;
const SQUARES = 8;

/** Writes the folder, in place of a run that is there: `best/` and `last/` hold the same weights, velocities are 0. */
export async function writeRun(
  out: string,
  file: string,
  spec: NetworkSpec,
  { model, labels, synsets, mean, lrn, own }: ImportedNetwork,
): Promise<Run> {
  const config = {
    data: own?.dataset ?? UNKNOWN_DATA,
    model: spec.name,
    ...resolveSettings(spec.recipe, { lrn }),
  };
  const { imagePx, inputPx } = spec;
  const imported = { file: basename(file), sha256: await sha256Of(file) };
  const record = { config, imagePx, inputPx, pictures: { train: 0, val: 0 }, versions: packageVersions(), imported };
  const run = await createRun(out, record, { labels, synsets }, { mean, samples: samplePictures(imagePx) });
  const sgd = new Sgd(modelWeights(model, 'trainable'), config);
  try {
    for (const folder of [run.best, run.last]) await saveCheckpoint(folder, model, sgd.velocities, stateOf(own));
  } finally {
    sgd.dispose();
  }
  return run;
}

/** Before the first step; with the errors that the file says it has. */
function stateOf(own: ImportedNetwork['own']): RunState {
  const state = startState();
  const { top1Error, top5Error } = own ?? {};
  if (top1Error === undefined || top5Error === undefined) return state;
  const validation = { epoch: 0, loss: null, top1Error, top5Error };
  return { ...state, lastValidation: validation, bestValidation: validation };
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** Squares of random colours, since there are no pictures to take: uint8 [8, imagePx, imagePx, 3]. */
function samplePictures(imagePx: number): Uint8Array {
  const pictures = new Uint8Array(SAMPLES * imagePx ** 2 * 3);
  const square = Math.ceil(imagePx / SQUARES);
  let at = 0;
  for (let picture = 0; picture < SAMPLES; picture++) {
    const stream = random(0, 'sample', picture);
    const colours = Uint8Array.from({ length: SQUARES ** 2 * 3 }, () => stream.integer(256));
    for (let y = 0; y < imagePx; y++) {
      for (let x = 0; x < imagePx; x++) {
        const place = Math.floor(y / square) * SQUARES + Math.floor(x / square);
        for (let channel = 0; channel < 3; channel++) pictures[at++] = colours[place * 3 + channel];
      }
    }
  }
  return pictures;
}
