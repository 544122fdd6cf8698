/** Starts a run with the weights of another: `alexnet train --from RUN`. */
import type * as tfl from '@tensorflow/tfjs-layers';
import { UsageError, UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import '../../model/index.js'; // registers the layers that a checkpoint's topology names
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { hasCheckpoint, type LoadedCheckpoint, loadCheckpoint } from '../run/load-checkpoint.js';
import { openRun, type Run } from '../run/run-folder.js';
import { layerOfWeight, modelWeights } from '../run/weights.js';
import type { TrainConfig } from '../settings/config.js';

/** The run to start from and its checkpoint: the best, else the last. The caller disposes `checkpoint.model`. */
export interface Origin {
  run: Run;
  checkpoint: LoadedCheckpoint;
}

/**
 * @throws {UserError} when `path` holds no run, or one without a whole checkpoint
 */
export async function openOrigin(path: string): Promise<Origin> {
  const run = await openRun(path);
  const folder = [run.best, run.last].find(hasCheckpoint);
  if (folder) return { run, checkpoint: await loadCheckpoint(folder) };
  throw new UserError(`${path}: has no checkpoint yet; finish an epoch with "alexnet train --resume --out ${path}"`);
}

/**
 * The network to train: `model` if given must be the one of the run.
 * @throws {UsageError} when they differ
 */
export function networkOfOrigin({ run }: Origin, model: string | undefined): string {
  if (model === undefined || model === run.config.model) return run.config.model;
  throw new UsageError(`--model ${model}: ${run.path} is of the network ${run.config.model}; leave --model out`);
}

/**
 * A new network with the run's weights. If the labels differ the last layer is initialised from scratch, as the
 * network's table says.
 * @param labels  of the data set to train on
 * @throws {UserError} when a weight of the run has another shape than the network's
 */
export function modelFromOrigin({ run, checkpoint }: Origin, config: TrainConfig, labels: string[]): tfl.LayersModel {
  const spec = findNetwork(config.model);
  const last = spec.rows.filter((row) => 'stddev' in row).at(-1)!.name;
  const keepsLast = JSON.stringify(labels) === JSON.stringify(run.labels);
  const drawn = keepsLast ? [] : [last];
  const model = buildNetwork(spec, { classes: labels.length, seed: config.seed, lrn: config.lrn ?? undefined, drawn });
  const learnt = new Map(modelWeights(checkpoint.model, 'all').map(({ name, variable }) => [name, variable]));
  for (const { name, variable } of modelWeights(model, 'all')) {
    if (layerOfWeight(name) === last && !keepsLast) continue;
    const from = learnt.get(name);
    if (String(from?.shape) !== String(variable.shape)) {
      model.dispose();
      throw new UserError(`${run.path}: ${name}: expected [${variable.shape}] for ${spec.name}, got [${from?.shape}]`);
    }
    tf.tidy(() => variable.assign(tf.tensor(from!.dataSync(), variable.shape)));
  }
  return model;
}
