/** A network in training whose result is thrown away: to measure speed, and to try learning rates. */
import type * as tfl from '@tensorflow/tfjs-layers';
import { findNetwork } from '../../model/registry.js';
import { colourStatistics } from '../data/batches/colour.js';
import { meanImage } from '../data/batches/mean.js';
import type { Dataset } from '../data/dataset.js';
import type { TrainConfig } from '../settings/config.js';
import { initialModel } from '../start/new-run.js';
import type { StepResult } from '../step.js';
import { type Batches, Trainer } from '../trainer.js';

export class ThrowawayTrainer {
  private readonly model: tfl.LayersModel;
  readonly trainer: Trainer;
  private batches: Batches;
  private steps = 0;

  /** @param config  as for a run; images come in the order of its first epoch, over and over */
  constructor(dataset: Dataset, config: TrainConfig) {
    const { train } = dataset.splits;
    const { imagePx, inputPx } = findNetwork(config.model);
    const mean = dataset.mean ?? meanImage(train, config.seed);
    const colours = config.colourNoise > 0 ? (dataset.colours ?? colourStatistics(train, config.seed)) : undefined;
    this.model = initialModel(config, dataset.labels);
    this.trainer = new Trainer(this.model, dataset, { config, mean, imagePx, inputPx, colours });
    this.batches = this.trainer.batches(0);
  }

  /** One step. @returns the batch's loss before it; not finite if the rate was too high */
  step(learningRate: number): Promise<StepResult> {
    const step = this.steps++;
    if (step > 0 && step % this.trainer.stepsPerEpoch === 0) this.batches = this.trainer.batches(0);
    return this.trainer.update(this.batches, { step, epoch: 0 }, learningRate);
  }

  dispose(): void {
    this.trainer.dispose();
    this.model.dispose();
  }
}

/** Of a new network of these settings. @returns images per second, see `trainingRate` */
export async function newTrainingRate(dataset: Dataset, config: TrainConfig): Promise<number> {
  const trial = new ThrowawayTrainer(dataset, config);
  try {
    return await trainingRate(trial.trainer);
  } finally {
    trial.dispose();
  }
}

/** The first two compile and map memory, see `throughput.ts`. */
const STEPS = 5;

/**
 * Images a second, from a few steps of whole batches at a learning rate of 0, so that what is measured stays finite
 * under any settings.
 */
export async function trainingRate(trainer: Trainer, onStep?: (done: number, total: number) => void): Promise<number> {
  let batches = trainer.batches(0);
  for (let step = 0; step < STEPS; step++) {
    onStep?.(step, STEPS);
    if (step > 0 && step % trainer.wholeBatches === 0) batches = trainer.batches(0);
    await trainer.update(batches, { step, epoch: 0 }, 0);
  }
  return trainer.throughput.imagesPerSecond();
}
