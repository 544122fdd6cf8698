/** An imported network as a run's folder, as `alexnet train` would leave it before its first step. */
import { basename } from 'node:path';
import { hasTop5 } from '../../base/format.js';
import { sha256Of } from '../../base/sha256.js';
import { packageVersions } from '../../base/versions.js';
import { type RunState, saveCheckpoint, startState } from '../../train/run/checkpoint.js';
import { createRun, type Run, SAMPLE_IMAGES, UNKNOWN_DATA } from '../../train/run/run-folder.js';
import { modelWeights } from '../../train/run/weights.js';
import { resolveSettings } from '../../train/settings/config.js';
import { Sgd } from '../../train/sgd.js';
import type { ImportedNetwork } from './import-network.js';
import { squareImages } from './square-images.js';

/** Writes the folder, in place of a run that is there: `best/` and `last/` hold the same weights, velocities are 0. */
export async function writeRun(
  out: string,
  file: string,
  { spec, model, labels, synsets, mean, lrn, resampling, own }: ImportedNetwork,
): Promise<Run> {
  const config = {
    data: own?.dataset ?? UNKNOWN_DATA,
    model: spec.name,
    ...resolveSettings(spec.recipe, { lrn }),
  };
  const { imagePx, inputPx } = spec;
  const imported = { file: basename(file), sha256: await sha256Of(file), crops: own?.crops, resampling };
  const record = { config, imagePx, inputPx, pictures: { train: 0, val: 0 }, versions: packageVersions(), imported };
  const run = await createRun(out, { ...record, labels, synsets, mean, samples: squareImages(SAMPLE_IMAGES, imagePx) });
  const sgd = new Sgd(modelWeights(model, 'trainable'), config);
  try {
    for (const folder of [run.best, run.last]) await saveCheckpoint(folder, model, sgd.velocities, stateOf(own));
  } finally {
    sgd.dispose();
  }
  return run;
}

/** Before the first step; with the errors that the file says it has, if they are of one crop as a run's are. */
function stateOf(own: ImportedNetwork['own']): RunState {
  const state = startState();
  const { top1Error, labels = [], measuredOn, crops = 1 } = own ?? {};
  const { top5Error = hasTop5(labels.length) ? undefined : 0 } = own ?? {};
  if (top1Error === undefined || top5Error === undefined || (measuredOn && crops > 1)) return state;
  const validation = { epoch: 0, loss: null, top1Error, top5Error };
  return { ...state, lastValidation: validation, bestValidation: validation };
}
