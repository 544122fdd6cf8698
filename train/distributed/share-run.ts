/**
 * A run on several processes: rank 0 has its folder, the others get from it what they need, and bring the data set
 * alone.
 */
import { createHash } from 'node:crypto';
import type { Progress } from '../../base/progress.js';
import { isReadByShards } from '../data/batches/epoch-batches.js';
import type { Dataset } from '../data/dataset.js';
import type { RunState } from '../run/checkpoint.js';
import { checkpointsOf, type Run, type RunLabels, type RunRecord } from '../run/run-folder.js';
import type { Changes } from '../settings/changed-settings.js';
import { initialModel, sampleImages } from '../start/new-run.js';
import type { PreparedRun } from '../start/prepared-run.js';
import { choiceOf, dataOf, imageNames, openForTraining } from '../start/training-data.js';
import { checkParts } from '../trainer.js';
import { broadcastJson, bytesOf, type Communicator, checkEqual } from './communicator.js';

/** Of a resumed run. */
interface Progressed {
  state?: RunState;
  changes?: Changes;
}

type Shared = RunRecord & RunLabels;

/**
 * To be called by rank 0, before anything of the run is written.
 * @throws {UserError} if another process found other data
 */
export async function shareRun(
  group: Communicator,
  run: Shared & Pick<Run, 'mean'>,
  dataset: Dataset,
  progressed: Progressed = {},
): Promise<void> {
  if (group.size === 1) return;
  checkParts(run.config.batch, dataset.splits.train.length, group.size);
  const { config, paths, imagePx, inputPx, pictures: images, byShards, versions, colours, labels, mean } = run;
  const { holdOut, maxBad, resampling } = run;
  const described = { config, paths, imagePx, inputPx, pictures: images, byShards, versions, colours, labels };
  const shared: Shared = { ...described, holdOut, maxBad, resampling };
  await broadcastJson<[Shared, Progressed]>(group, [shared, progressed]);
  await group.broadcast(bytesOf(mean));
  await checkEqual(group, await fingerprint(dataset));
}

/**
 * To be called by the other processes. Weights and velocities are rank 0's once the loop starts.
 * @throws {UserError} if this process cannot open the data set
 */
export async function receiveRun(
  group: Communicator,
  { out, data, stream }: { out: string; data?: string; stream?: boolean },
  progress: Progress,
): Promise<PreparedRun> {
  const [shared, { state, changes }] = await broadcastJson<[Shared, Progressed]>(group, undefined);
  const { config, imagePx, byShards, labels } = shared;
  const mean = new Float32Array(imagePx ** 2 * 3);
  await group.broadcast(bytesOf(mean));
  const options = { stream, byShards, ...choiceOf(shared) };
  const dataset = await openForTraining(data ?? dataOf(shared), imagePx, options, progress);
  await checkEqual(group, await fingerprint(dataset));
  return {
    run: { ...shared, ...checkpointsOf(out), path: out, mean, samples: new Uint8Array() },
    dataset,
    model: initialModel(config, labels),
    from: state && { state, readVelocities: async () => new Map() },
    changes,
  };
}

/** Tells data sets apart: classes, names and numbers of images, and some of their pixels. */
async function fingerprint(dataset: Dataset): Promise<Record<string, unknown>> {
  const { labels, splits } = dataset;
  const pixels = createHash('sha256').update(await sampleImages(dataset));
  return {
    classes: labels,
    'train images': splits.train.length,
    'val images': splits.val.length,
    'names and classes of images (SHA-256)': imageNames(dataset),
    'some images (SHA-256)': pixels.digest('hex'),
    'images read shard by shard (with --stream everywhere)': isReadByShards(splits.train),
  };
}
