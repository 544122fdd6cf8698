/**
 * The training loop, read top to bottom: steps of an epoch, validation, schedule, checkpoints. It goes on from any step of an
 * earlier run bit for bit, since order, crops and dropout are drawn from streams named by seed, epoch and step.
 */
import { setImmediate } from 'node:timers/promises';
import type * as tfl from '@tensorflow/tfjs-layers';
import { centreCrop } from '../model/crops.js';
import { reseedDropout } from '../model/dropout.js';
import { UserError } from '../model/errors.js';
import { permutation, random } from '../model/random.js';
import { type RunState, restoreValues, saveCheckpoint, startState } from './checkpoint.js';
import { stepsPerEpoch } from './config.js';
import { trainingBatch } from './data/augment.js';
import type { Dataset, Split } from './data/dataset.js';
import { type Evaluation, evaluate } from './evaluate.js';
import type { Interrupt } from './interrupt.js';
import { hasCheckpoint, type LoadedCheckpoint } from './load-checkpoint.js';
import { checkpointPredictor } from './predict-checkpoint.js';
import type { Progress } from './progress.js';
import { appendMetrics, type Run, truncateMetrics } from './run-folder.js';
import { afterEpoch, learningRateAt } from './schedule.js';
import { Sgd } from './sgd.js';
import { TrainingStep } from './step.js';
import { Throughput } from './throughput.js';
import { modelWeights, thawed } from './weights.js';

/** `metrics.jsonl` gets a line every so many steps, and one an epoch. */
const STEPS_PER_LINE = 10;

/** Everything a run needs; `start.ts` brings it together. */
export interface Training {
  run: Run;
  dataset: Dataset;
  /** With initial weights, or those of `from`; the caller disposes it. */
  model: tfl.LayersModel;
  /** The checkpoint to go on from, if any. */
  from?: LoadedCheckpoint;
  progress: Progress;
  interrupt: Interrupt;
  /** Minutes between checkpoints inside an epoch; one is saved at the end of each epoch besides. */
  checkpointMinutes: number;
}

/** How a run stands when the loop ends: after its last epoch, or interrupted and saved. */
export interface TrainResult {
  state: RunState;
  imagesPerSecond: number;
  interruptedBy?: Interrupt['signal'];
}

/**
 * Trains to the end of the run, or until interrupted.
 * @throws {UserError} when the loss or a weight is no longer finite; names step, learning rate and the last good checkpoint
 */
export async function train(training: Training): Promise<TrainResult> {
  const loop = new Loop(training);
  try {
    await loop.run();
    return { state: loop.state, imagesPerSecond: loop.imagesPerSecond, interruptedBy: training.interrupt.signal };
  } finally {
    training.progress.stop();
    loop.dispose();
  }
}

class Loop {
  readonly state: RunState;
  private readonly pictures: Split;
  private readonly batch: number;
  private readonly stepsPerEpoch: number;
  private readonly sgd: Sgd;
  private readonly step: TrainingStep;
  private readonly throughput = new Throughput();
  private savedAt = Date.now();

  constructor(private readonly training: Training) {
    const { run, dataset, model, from } = training;
    this.state = from ? structuredClone(from.state) : startState();
    this.pictures = dataset.splits.train;
    this.batch = Math.min(run.config.batch, this.pictures.length);
    this.stepsPerEpoch = stepsPerEpoch(this.pictures.length, run.config.batch);
    this.sgd = new Sgd(thawed(modelWeights(model, 'trainable'), run.config.freeze), run.config);
    this.step = new TrainingStep(model, this.sgd, run.config);
  }

  async run(): Promise<void> {
    const { run, from, interrupt } = this.training;
    const { state } = this;
    if (from) restoreValues(this.sgd.velocities, await from.readVelocities());
    await truncateMetrics(run, state);

    while (state.epoch < run.config.epochs && !state.schedule.ended && !interrupt.signal) {
      const order = permutation(this.pictures.length, random(run.config.seed, 'shuffle', state.epoch));
      while (state.position < this.stepsPerEpoch && !interrupt.signal) {
        await this.oneStep(order.subarray(state.position * this.batch, (state.position + 1) * this.batch));
        await setImmediate(); // lets signals in
        if (Date.now() - this.savedAt > this.training.checkpointMinutes * 60_000) await this.save(run.last);
      }
      const validation = interrupt.signal ? null : await this.validate();
      if (validation) await this.endEpoch(validation);
    }
    if (interrupt.signal) await this.save(run.last);
  }

  get imagesPerSecond(): number {
    return this.throughput.imagesPerSecond();
  }

  dispose(): void {
    this.step.dispose();
    this.sgd.dispose();
  }

  private async oneStep(indices: Uint32Array): Promise<void> {
    const { run, model, progress } = this.training;
    const { state } = this;
    const { config, mean, imagePx, inputPx, colours } = run;
    const learningRate = this.learningRate();

    this.throughput.start();
    reseedDropout(model, config.seed, state.step);
    const batch = trainingBatch(this.pictures, imagePx, mean, indices, {
      ...config,
      inputPx,
      colours,
      epoch: state.epoch,
    });
    const { loss, right } = this.step.run(batch, learningRate);
    this.throughput.stop(indices.length);
    if (!Number.isFinite(loss)) throw this.diverged(`loss is ${loss}`, state.step + 1);

    state.step += 1;
    state.position += 1;
    state.lossSum += loss * indices.length;
    state.rightSum += right;
    const steps = config.epochs * this.stepsPerEpoch;
    const etaSeconds = ((steps - state.step) * this.batch) / this.imagesPerSecond; // validation left out
    const place = { step: state.step, epoch: state.epoch + 1, loss };
    progress.step({ ...place, epochs: config.epochs, steps, imagesPerSecond: this.imagesPerSecond, etaSeconds });
    if (state.step % STEPS_PER_LINE === 0) {
      await appendMetrics(run, { ...place, lr: learningRate, images_per_second: this.imagesPerSecond });
    }
  }

  /** Errors on the validation pictures, one centre crop each; null when interrupted. */
  private async validate(): Promise<Evaluation | null> {
    const { run, dataset, model, progress, interrupt } = this.training;
    const { val: split } = dataset.splits;
    const { config, mean, imagePx, inputPx } = run;
    const batch = Math.min(config.microBatch ?? this.batch, split.length);
    const crops = [centreCrop(imagePx, inputPx)];
    return evaluate(checkpointPredictor(model, { split, imagePx, mean, crops, batch, seed: config.seed }), split, {
      batch,
      onProgress: (done, total) => progress.work('validation', done, total),
      stopped: () => interrupt.signal !== undefined,
    });
  }

  private async endEpoch({ loss, top1Error, top5Error }: Evaluation): Promise<void> {
    const { run, progress } = this.training;
    const { state } = this;
    const lr = this.learningRate();
    const trained = this.pictures.length;
    const validation = { epoch: state.epoch + 1, loss, top1Error, top5Error };
    const improved = state.bestValidation === null || top1Error < state.bestValidation.top1Error;
    const trainLoss = state.lossSum / trained;
    const trainTop1Error = 1 - state.rightSum / trained;

    Object.assign(state, { epoch: state.epoch + 1, position: 0, lossSum: 0, rightSum: 0, trainLoss });
    state.schedule = afterEpoch(run.config, state.schedule, top1Error);
    state.lastValidation = validation;
    if (improved) state.bestValidation = validation;

    progress.note(
      `epoch ${state.epoch}/${run.config.epochs}: loss ${trainLoss.toFixed(4)}, train top-1 error ${percent(trainTop1Error)}, ` +
        `val loss ${loss.toFixed(4)}, top-1 ${percent(top1Error)}, top-5 ${percent(top5Error)}, learning rate ${lr.toPrecision(3)}${improved ? ', best so far' : ''}`,
    );
    await appendMetrics(run, {
      step: state.step,
      epoch: state.epoch,
      loss: trainLoss,
      train_top1_error: trainTop1Error,
      val_loss: loss,
      val_top1_error: top1Error,
      val_top5_error: top5Error,
      lr,
      images_per_second: this.imagesPerSecond,
    });
    if (improved) await this.save(run.best);
    await this.save(run.last);
  }

  private learningRate(): number {
    return learningRateAt(this.training.run.config, this.state.schedule, this.state.step, this.stepsPerEpoch);
  }

  private async save(folder: string): Promise<void> {
    try {
      await saveCheckpoint(folder, this.training.model, this.sgd.velocities, this.state);
    } catch (error) {
      throw error instanceof UserError ? this.diverged(error.message, this.state.step) : error;
    }
    this.savedAt = Date.now();
  }

  private diverged(what: string, step: number): UserError {
    const { last } = this.training.run;
    const checkpoint = hasCheckpoint(last) ? `the last good checkpoint is ${last}` : 'no checkpoint was saved before';
    return new UserError(
      `training diverged at step ${step}, learning rate ${this.learningRate().toPrecision(3)}: ${what}; ` +
        `${checkpoint}. Try a lower --lr, a --warmup-epochs or a --clip-norm`,
    );
  }
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`;
}
