/** `alexnet train --dry-run`: what a run would take, measured on a few steps. Nothing is written. */

import type { Progress } from '../../base/progress.js';
import { type ComputeChoice, startBackend } from '../../onnx/backend/select-backend.js';
import { loadImages } from '../data/stream/read-ahead.js';
import { Rehearsal, type StepCost, stepCost } from '../distributed/cost-model.js';
import type { GradientType } from '../distributed/gradient-sum.js';
import { checkpointBytes } from '../run/checkpoint.js';
import { layerOfWeight, modelWeights, type NamedVariable, thawed } from '../run/weights.js';
import { checkNewRun, type NewRunRequest, prepareNewRun } from '../start/new-run.js';
import { Trainer } from '../trainer.js';
import { trainingRate } from './throwaway-trainer.js';

export interface DryRun {
  model: string;
  data: string;
  backend: string;
  classes: number;
  parameters: number;
  pictures: Record<string, number>;
  batch: number;
  microBatch: number | null;
  stepsPerEpoch: number;
  epochs: number;
  imagesPerSecond: number;
  validationImagesPerSecond: number;
  /** For all epochs, with validation, and frozen layers whose features are kept. */
  hours: number;
  /** Largest resident memory of the process: data set, steps, validation and the reading of a checkpoint's values. */
  peakBytes: number;
  checkpointBytes: number;
  /** As one of several processes; absent if the run is of one. */
  distributed?: DistributedCost;
}

/** Seconds and bytes of a step. */
export interface DistributedCost extends StepCost {
  ranks: number;
  /** Of gradients. */
  bytes: number;
  /** Share of them in fully connected layers. */
  denseShare: number;
  /** Without the network. */
  computing: number;
}

export interface DryRunRequest extends NewRunRequest, ComputeChoice {
  /** Processes that the run is for, on a machine each. */
  ranks: number;
  /** Bytes a second of a machine's link. */
  network: number;
  gradientType: GradientType;
}

/** Views of images from which the time for all is estimated. */
const FROZEN_SAMPLE = 128;

/**
 * With several ranks one is measured, with its part of every batch, and the network is estimated, see
 * `distributed/cost-model.ts`.
 * @throws {UserError} for anything about request or data set that does not fit
 */
export async function dryRun(request: DryRunRequest, progress: Progress): Promise<DryRun> {
  checkNewRun(request, '--dry-run');
  const { ranks, gradientType } = request;
  const backend = await startBackend(request, progress.note);
  const { run, dataset, model } = await prepareNewRun(request, progress);
  const { config, pictures: images, labels } = run;
  const rehearsal = new Rehearsal(ranks);
  const trainer = new Trainer(model, dataset, run, { group: rehearsal, gradientType });
  try {
    const frozenSeconds = await trainer.prepare({
      onProgress: (done, total) => progress.work('frozen layers', done, total),
      atMost: FROZEN_SAMPLE,
    });
    const computed = await trainingRate(trainer, (done, total) => {
      progress.work('measuring steps', done, total);
      rehearsal.startStep();
    });
    const distributed =
      ranks > 1
        ? distributedCost(
            rehearsal,
            thawed(modelWeights(model, 'trainable'), config.freeze),
            trainer.batch / computed,
            request,
          )
        : undefined;
    const imagesPerSecond = distributed ? trainer.batch / (distributed.computing + distributed.exposed) : computed;
    const validationImagesPerSecond = ranks * (await validationRate(trainer));
    const seconds = images.train / imagesPerSecond + images.val / validationImagesPerSecond;
    return {
      model: config.model,
      data: config.data,
      backend: backend.name,
      classes: labels.length,
      parameters: modelWeights(model, 'all').reduce((sum, { variable }) => sum + variable.size, 0),
      pictures: images,
      batch: trainer.batch,
      microBatch: config.microBatch,
      stepsPerEpoch: trainer.stepsPerEpoch,
      epochs: config.epochs,
      imagesPerSecond,
      validationImagesPerSecond,
      hours: (frozenSeconds + config.epochs * seconds) / 3600,
      checkpointBytes: await checkpointBytes(model, trainer.velocities),
      distributed,
      peakBytes: process.resourceUsage().maxRSS * 1024, // last: all the above counts
    };
  } finally {
    trainer.dispose();
    model.dispose();
  }
}

function distributedCost(
  { buckets, size: ranks }: Rehearsal,
  weights: NamedVariable[],
  computing: number,
  { network }: DryRunRequest,
): DistributedCost {
  const dense = new Set(weights.filter(({ variable }) => variable.rank === 2).map(({ name }) => layerOfWeight(name)));
  const count = (all: NamedVariable[]) => all.reduce((sum, { variable }) => sum + variable.size, 0);
  const denseShare = count(weights.filter(({ name }) => dense.has(layerOfWeight(name)))) / count(weights);
  const bytes = buckets.reduce((sum, bucket) => sum + bucket.bytes, 0);
  return { ranks, bytes, denseShare, computing, ...stepCost(buckets, ranks, network) };
}

async function validationRate(trainer: Trainer): Promise<number> {
  const { split, predict } = trainer.validation();
  const indices = Uint32Array.from({ length: trainer.validationBatch }, (_, i) => i);
  const images = await loadImages(split, indices);
  await predict(indices, images); // compiles
  const started = performance.now();
  await predict(indices, images);
  return (1000 * indices.length) / (performance.now() - started);
}
