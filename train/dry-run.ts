/** `alexnet train --dry-run`: what a run would take, measured on a few steps. Nothing is written. */
import { type BackendName, selectBackend } from './backend.js';
import { checkpointBytes } from './checkpoint.js';
import type { Split } from './data/dataset.js';
import { loadPictures } from './data/read-ahead.js';
import { checkNewRun, type NewRunRequest, prepareNewRun } from './new-run.js';
import type { Progress } from './progress.js';
import { Trainer } from './trainer.js';
import { trainingRate } from './trial.js';
import { modelWeights } from './weights.js';

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
  /** For all epochs, with validation. */
  hours: number;
  /** Largest resident memory of the process: data set, steps, validation and the reading of a checkpoint's values. */
  peakBytes: number;
  checkpointBytes: number;
}

/** @throws {UserError} for anything about request or data set that does not fit */
export async function dryRun(request: NewRunRequest & { backend: BackendName }, progress: Progress): Promise<DryRun> {
  checkNewRun(request);
  const backend = await selectBackend(request.backend);
  progress.note(`backend ${backend.name}: ${backend.why}`);
  const { record, labels, pictures: mean, dataset, model } = await prepareNewRun(request, progress);
  const { config, pictures } = record;
  const trainer = new Trainer(model, dataset, { ...record, ...mean });
  try {
    const imagesPerSecond = await trainingRate(trainer, (done, total) => progress.work('measuring steps', done, total));
    const validationImagesPerSecond = await validationRate(trainer, dataset.splits.val);
    const seconds = pictures.train / imagesPerSecond + pictures.val / validationImagesPerSecond;
    return {
      model: config.model,
      data: config.data,
      backend: backend.name,
      classes: labels.labels.length,
      parameters: modelWeights(model, 'all').reduce((sum, { variable }) => sum + variable.size, 0),
      pictures,
      batch: trainer.batch,
      microBatch: config.microBatch,
      stepsPerEpoch: trainer.stepsPerEpoch,
      epochs: config.epochs,
      imagesPerSecond,
      validationImagesPerSecond,
      hours: (config.epochs * seconds) / 3600,
      checkpointBytes: await checkpointBytes(model, trainer.velocities),
      peakBytes: process.resourceUsage().maxRSS * 1024, // last: all the above counts
    };
  } finally {
    trainer.dispose();
    model.dispose();
  }
}

async function validationRate(trainer: Trainer, split: Split): Promise<number> {
  const indices = Uint32Array.from({ length: trainer.validationBatch }, (_, i) => i);
  const predict = trainer.predictor();
  const pictures = await loadPictures(split, indices);
  await predict(indices, pictures); // compiles
  const started = performance.now();
  await predict(indices, pictures);
  return (1000 * indices.length) / (performance.now() - started);
}
