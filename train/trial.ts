/** A network in training whose result is thrown away: to measure speed, and to try learning rates. */
import type * as tfl from '@tensorflow/tfjs-layers';
import { reseedDropout } from '../model/dropout.js';
import { permutation, random } from '../model/random.js';
import { findNetwork } from '../model/registry.js';
import type { TrainConfig } from './config.js';
import { trainingBatch } from './data/augment.js';
import { type ColourStatistics, colourStatistics } from './data/colour.js';
import type { Dataset } from './data/dataset.js';
import { meanImage } from './data/mean.js';
import { Sgd } from './sgd.js';
import { initialModel } from './start.js';
import { type StepResult, TrainingStep } from './step.js';
import { modelWeights } from './weights.js';

export class Trial {
  private readonly model: tfl.LayersModel;
  private readonly sgd: Sgd;
  private readonly training: TrainingStep;
  private readonly order: Uint32Array;
  private readonly inputPx: number;
  private readonly mean: Float32Array;
  private readonly colours?: ColourStatistics;
  private steps = 0;

  /** @param config  as for a run; draws its batches from the first epoch, over and over */
  constructor(
    private readonly dataset: Dataset,
    private readonly config: TrainConfig,
  ) {
    const { train } = dataset.splits;
    this.mean = dataset.mean ?? meanImage(train, config.seed);
    if (config.colourNoise > 0) this.colours = dataset.colours ?? colourStatistics(train, config.seed);
    this.inputPx = findNetwork(config.model).inputPx;
    this.order = permutation(train.length, random(config.seed, 'shuffle', 0));
    this.model = initialModel(config, dataset.labels);
    this.sgd = new Sgd(modelWeights(this.model, 'trainable'), config);
    this.training = new TrainingStep(this.model, this.sgd, config);
  }

  /** One step. @returns the batch's loss before it; not finite where the rate was too high */
  step(learningRate: number): StepResult {
    const { config, dataset, order } = this;
    const batch = Math.min(config.batch, order.length);
    const start = (this.steps * batch) % (order.length - batch + 1);
    reseedDropout(this.model, config.seed, this.steps);
    this.steps += 1;
    const options = { ...config, inputPx: this.inputPx, colours: this.colours, epoch: 0 };
    const pictures = order.subarray(start, start + batch);
    return this.training.run(
      trainingBatch(dataset.splits.train, dataset.imagePx, this.mean, pictures, options),
      learningRate,
    );
  }

  dispose(): void {
    this.training.dispose();
    this.sgd.dispose();
    this.model.dispose();
  }
}

/** Steps that compile and map memory, and those that count. */
const WARM_UP_STEPS = 3;
const TIMED_STEPS = 5;

/** Pictures a second that a network trains at, by the median of a few steps. */
export function trainingRate(dataset: Dataset, config: TrainConfig): number {
  const trial = new Trial(dataset, config);
  try {
    const seconds: number[] = [];
    for (let step = 0; step < WARM_UP_STEPS + TIMED_STEPS; step++) {
      const started = performance.now();
      trial.step(config.learningRate);
      seconds.push((performance.now() - started) / 1000);
    }
    const timed = seconds.slice(WARM_UP_STEPS).sort((a, b) => a - b);
    return Math.min(config.batch, dataset.splits.train.length) / timed[TIMED_STEPS >> 1];
  } finally {
    trial.dispose();
  }
}
