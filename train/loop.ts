/**
 * The training loop, read top to bottom: steps of an epoch, validation, schedule, checkpoints. It goes on from any step of an
 * earlier run bit for bit, since order, crops and dropout are drawn from streams named by seed, epoch and step.
 */

import { setImmediate } from 'node:timers/promises';
import type * as tfl from '@tensorflow/tfjs-layers';
import { DiskFullError } from '../base/disk-full.js';
import { UserError } from '../base/errors.js';
import { percent } from '../base/format.js';
import { isOutOfMemory, withMemory } from '../base/out-of-memory.js';
import type { Interrupt } from '../base/process/interrupt.js';
import type { Progress } from '../base/progress.js';
import { partOf } from './data/batches/epoch-batches.js';
import type { Dataset } from './data/dataset.js';
import { PicturesError } from './data/stream/read-ahead.js';
import { ALONE, type Communicator, sumNumbers } from './distributed/communicator.js';
import { broadcastValues, evaluationOfAll } from './distributed/exchange.js';
import { inProcess } from './distributed/launched.js';
import { DivergedError, DivergenceWatch } from './divergence.js';
import { endedEarly } from './early-end.js';
import { type Evaluation, evaluate } from './evaluate/evaluate.js';
import { MetricsLog } from './metrics/metrics-log.js';
import { NotFiniteError, type RunState, restoreValues, saveCheckpoint, startState } from './run/checkpoint.js';
import { hasCheckpoint, type LoadedCheckpoint } from './run/load-checkpoint.js';
import type { Run } from './run/run-folder.js';
import { afterEpoch, learningRateAt } from './schedule.js';
import type { Changes } from './settings/changed-settings.js';
import { adviceAtChance, lossOfGuessing } from './start/few-images.js';
import { type Batches, type Together, Trainer } from './trainer.js';

/** `metrics.jsonl` gets a line every so many steps, and one an epoch. */
const STEPS_PER_LINE = 10;

/** So long after a signal a process tells that it waits for others; Open MPI kills it after a second. */
const WAITING_MS = 400;

/** Everything a run needs; `start.ts` brings it together. */
export interface Training {
  run: Run;
  dataset: Dataset;
  /** With initial weights, or those of `from`; the caller disposes it. */
  model: tfl.LayersModel;
  /** The checkpoint to go on from, if any. */
  from?: Pick<LoadedCheckpoint, 'state' | 'readVelocities'>;
  /** Settings that are others than before it. */
  changes?: Changes;
  progress: Progress;
  interrupt: Interrupt;
  /** The processes that train together, of which rank 0 alone writes; default: this one alone. */
  together?: Together;
  /** Minutes between checkpoints inside an epoch; one is saved at the end of each epoch besides. */
  checkpointMinutes: number;
  /** Asked at the end of every epoch; true ends the run. */
  stopWhen?(state: RunState): boolean;
}

/** How a run stands when the loop ends: after its last epoch, or interrupted and saved. */
export interface TrainResult {
  state: RunState;
  imagesPerSecond: number;
  interruptedBy?: Interrupt['signal'];
}

/**
 * Trains to the end of the run, or until interrupted.
 * @throws {DivergedError} when the loss or a weight is no longer finite, or the loss beyond hope (`divergence.ts`); names step, learning rate and the last good checkpoint
 * @throws {UserError} when the disk is full, or a picture cannot be loaded: then the steps before it are saved
 */
export async function train(training: Training): Promise<TrainResult> {
  const loop = new Loop(training);
  try {
    await loop.run();
    return { state: loop.state, imagesPerSecond: loop.imagesPerSecond, interruptedBy: loop.interruptedBy };
  } catch (error) {
    throw inProcess(loop.group, await loop.failed(error), loop.state.step + 1);
  } finally {
    training.progress.stop();
    loop.dispose();
  }
}

class Loop {
  readonly state: RunState;
  private readonly trainer: Trainer;
  private readonly divergence: DivergenceWatch;
  readonly group: Communicator;
  /** Open while the loop runs, in the process that writes. */
  private metrics?: MetricsLog;
  /** The signal that ends the loop, in whichever process it came. */
  interruptedBy?: Interrupt['signal'];
  private watch?: NodeJS.Timeout;
  private savedAt = Date.now();
  /** Whether the last epoch's loss was that of guessing, or above. */
  private wasAtChance = false;
  /** Epoch from within which `last/` was saved; undefined where it is of an epoch's end. */
  private epochOfLast?: number;
  /** Of the last one; 0 before. */
  private validationSeconds = 0;

  constructor(private readonly training: Training) {
    const { run, dataset, model, from, together } = training;
    this.group = together?.group ?? ALONE;
    this.state = from ? structuredClone(from.state) : startState();
    this.trainer = new Trainer(model, dataset, run, together);
    this.state.recentLosses ??= [];
    if (this.state.position > 0) this.epochOfLast = this.state.epoch;
    // An earlier version took errors of an epoch that diverged for its best; JSON has null for the loss.
    if (this.state.bestValidation?.loss === null && this.state.bestValidation.epoch > 0) {
      this.state.bestValidation = null;
      this.state.schedule.best = null;
    }
    this.divergence = new DivergenceWatch(run.labels.length, this.state.recentLosses);
  }

  async run(): Promise<void> {
    const { run, from, changes, progress } = this.training;
    const { state, trainer } = this;
    this.watch = this.watchForLosses();
    if (from) restoreValues(trainer.velocities, await from.readVelocities());
    if (this.writes) this.metrics = await MetricsLog.open(run.path, state);
    if (changes) await this.metrics?.appendChanges(state, changes);

    await this.listen();
    while (state.epoch < run.config.epochs && !this.endedEarly() && !this.interruptedBy) {
      await broadcastValues(this.group, this.training.model, trainer.velocities);
      const batches = trainer.batches(state.epoch, state.position);
      trainer.throughput.startEpoch();
      while (state.position < trainer.stepsPerEpoch && !this.interruptedBy) {
        await this.oneStep(batches);
        await setImmediate(); // lets signals in
        await this.listen();
        if (Date.now() - this.savedAt > this.training.checkpointMinutes * 60_000) await this.saveWithinEpoch();
      }
      const validation = this.interruptedBy ? null : await this.validate();
      if (validation) await this.endEpoch(validation);
    }
    if (this.interruptedBy) await this.save(run.last);
    else if (state.epoch < run.config.epochs) progress.note(`ended after epoch ${state.epoch}: ${this.endedEarly()}`);
  }

  /** All processes of a job agree on the step after which they stop. */
  private async listen(): Promise<void> {
    const { signal } = this.training.interrupt;
    const [signalled] = await sumNumbers(this.group, [signal ? 1 : 0]);
    if (signalled === 0) return;
    this.interruptedBy = signal ?? 'SIGTERM';
    clearInterval(this.watch);
  }

  private get writes(): boolean {
    return this.group.rank === 0;
  }

  /** Why the run is over before its last epoch; undefined while it is not. */
  private endedEarly(): string | undefined {
    const { run, stopWhen } = this.training;
    const why = endedEarly(run.config, this.state);
    return why ?? (this.state.position === 0 && stopWhen?.(this.state) ? 'as asked' : undefined);
  }

  get imagesPerSecond(): number {
    return this.trainer.throughput.imagesPerSecond();
  }

  dispose(): void {
    clearInterval(this.watch);
    this.trainer.dispose();
  }

  private async oneStep(batches: Batches): Promise<void> {
    const { run, progress } = this.training;
    const { state, trainer } = this;
    const learningRate = this.learningRate(this.scheduledStep());
    const { loss, right, pictures } = await trainer.update(batches, state, learningRate);
    const wrong = this.writes && this.divergence.observe(loss);
    if (wrong) throw this.diverged(wrong, state.step + 1, learningRate);

    state.step += 1;
    state.position += 1;
    state.lossSum += loss * pictures;
    state.rightSum += right;
    const place = { epoch: state.epoch + 1, loss };
    const { imagesPerSecond } = this;
    progress.step({ ...place, ...this.remaining(), epochs: run.config.epochs, imagesPerSecond });
    if (state.step % STEPS_PER_LINE === 0) {
      const speed = trainer.throughput.ofEpoch();
      await this.metrics?.append({ step: state.step, ...place, lr: learningRate, images_per_second: speed });
    }
  }

  /** A launcher that lost a process of the job signals the others, whose sums will never end, and kills them a little later. */
  private watchForLosses(): NodeJS.Timeout | undefined {
    if (this.group.size === 1) return undefined;
    const { run, progress, interrupt } = this.training;
    let signalledAt = Number.POSITIVE_INFINITY;
    const timer = setInterval(() => {
      if (interrupt.signal) signalledAt = Math.min(signalledAt, Date.now());
      if (Date.now() - signalledAt < WAITING_MS) return;
      clearInterval(timer);
      progress.note(
        `step ${this.state.step + 1}: signalled, and waiting for the other processes. If one has died, the launcher says which and ends the job: ` +
          `${this.lastGood()}; go on with --resume --out ${run.path}, with as many processes as you like`,
      );
    }, WAITING_MS / 2);
    return timer;
  }

  /** Steps as this number of steps an epoch counts them, and seconds to the last epoch's end; validation counts once it was timed. */
  private remaining(): { step: number; steps: number; etaSeconds: number } {
    const { state, trainer } = this;
    const epochs = this.training.run.config.epochs;
    const [step, steps] = [this.scheduledStep(), epochs * trainer.stepsPerEpoch];
    const training = ((steps - step) * trainer.batch) / this.imagesPerSecond;
    return { step, steps, etaSeconds: training + (epochs - state.epoch) * this.validationSeconds };
  }

  /** Errors on the validation pictures, one centre crop each, every process of a job its part of them; null when interrupted. */
  private async validate(): Promise<Evaluation | null> {
    const { dataset, progress, interrupt } = this.training;
    const started = performance.now();
    const own = await evaluate(this.trainer.predictor(), dataset.splits.val, {
      batch: this.trainer.validationBatch,
      part: partOf(dataset.splits.val.length, this.group),
      onProgress: (done, total) => progress.work('validation', done, total),
      stopped: () => interrupt.signal !== undefined,
    });
    await this.listen();
    this.validationSeconds = (performance.now() - started) / 1000;
    return own && !this.interruptedBy ? evaluationOfAll(this.group, own) : null;
  }

  private async endEpoch({ loss, top1Error, top5Error }: Evaluation): Promise<void> {
    const { run, progress } = this.training;
    const { state } = this;
    const lr = this.learningRate(this.scheduledStep() - 1);
    const trained = this.training.dataset.splits.train.length;
    if (!Number.isFinite(loss))
      throw this.diverged('the validation loss is not finite', state.step, lr, this.goodBefore(state.epoch));
    const validation = { epoch: state.epoch + 1, loss, top1Error, top5Error };
    const improved = state.bestValidation === null || top1Error < state.bestValidation.top1Error;
    const trainLoss = state.lossSum / trained;
    const trainTop1Error = 1 - state.rightSum / trained;

    Object.assign(state, { epoch: state.epoch + 1, position: 0, lossSum: 0, rightSum: 0, trainLoss, trainTop1Error });
    state.schedule = afterEpoch(run.config, state.schedule, top1Error);
    state.lastValidation = validation;
    if (improved) state.bestValidation = validation;

    progress.note(
      `epoch ${state.epoch}/${run.config.epochs}: loss ${trainLoss.toFixed(4)}, train top-1 error ${percent(trainTop1Error, 1)}, ` +
        `val loss ${loss.toFixed(4)}, top-1 ${percent(top1Error, 1)}, top-5 ${percent(top5Error, 1)}, learning rate ${lr.toPrecision(3)}${improved ? ', best so far' : ''}`,
    );
    this.tellOfChance(trainLoss);
    await this.metrics?.append({
      step: state.step,
      epoch: state.epoch,
      loss: trainLoss,
      train_top1_error: trainTop1Error,
      val_loss: loss,
      val_top1_error: top1Error,
      val_top5_error: top5Error,
      lr,
      images_per_second: this.trainer.throughput.ofEpoch(),
    });
    if (improved) await this.save(run.best);
    await this.save(run.last);
  }

  /** Once for epochs that follow each other. */
  private tellOfChance(loss: number): void {
    const { run, model, progress } = this.training;
    const { learningRate, from } = run.config;
    const classes = run.labels.length;
    const isAtChance = loss >= lossOfGuessing(classes);
    if (isAtChance && !this.wasAtChance) {
      const start = { images: run.pictures.train, weights: model.countParams(), from };
      progress.note(adviceAtChance(loss, classes, learningRate, start));
    }
    this.wasAtChance = isAtChance;
  }

  /** @param step  as `scheduledStep` counts them */
  private learningRate(step: number): number {
    return learningRateAt(this.training.run.config, this.state.schedule, step, this.trainer.stepsPerEpoch);
  }

  /** Updates made so far, had every epoch had as many as it has now: `state.step`, where the batch never changed. */
  private scheduledStep(): number {
    return this.state.epoch * this.trainer.stepsPerEpoch + this.state.position;
  }

  private async save(folder: string): Promise<void> {
    if (!this.writes) return;
    try {
      await saveCheckpoint(folder, this.training.model, this.trainer.velocities, this.state);
    } catch (error) {
      const lastRate = this.learningRate(this.scheduledStep() - 1);
      throw error instanceof NotFiniteError ? this.diverged(error.message, this.state.step, lastRate) : error;
    }
    this.savedAt = Date.now();
  }

  private async saveWithinEpoch(): Promise<void> {
    await this.save(this.training.run.last);
    this.epochOfLast = this.state.epoch;
  }

  private diverged(what: string, step: number, learningRate: number, good = this.lastGood()): DivergedError {
    return new DivergedError(
      `training diverged at step ${step}, learning rate ${learningRate.toPrecision(3)}: ${what}; ` +
        `${good}. Try a lower --lr, a --warmup-epochs or a --clip-norm`,
    );
  }

  /** An error that ends the run as the person at it should read it. */
  async failed(error: unknown): Promise<unknown> {
    const { run } = this.training;
    const stops = `training stops after step ${this.state.step}`;
    const resume = `alexnet train --resume --out ${run.path}`;
    if (error instanceof DiskFullError) {
      const { path, reason } = error;
      return new UserError(
        `${stops}: ${path} cannot be written: ${reason}; ${this.lastGood()}. Make room, then go on with: ${resume}`,
      );
    }
    if (isOutOfMemory(error)) {
      const { message } = withMemory(error);
      const smaller = `${resume} --force --micro-batch ${this.smallerMicroBatch()}`;
      return new UserError(
        `${stops}: ${message}; ${this.lastGood()}. Compute fewer images at once, for the same updates: ${smaller}`,
        { cause: error },
      );
    }
    if (!(error instanceof PicturesError) || !this.writes) return error;
    try {
      await this.save(run.last);
    } catch (unsaved) {
      return this.failed(unsaved);
    }
    return new UserError(`${stops}, saved in ${run.last}: ${error.message}. Go on with: ${resume}`, { cause: error });
  }

  /** A quarter of what is computed at once takes little more than a quarter of the memory. */
  private smallerMicroBatch(): number {
    return Math.ceil((this.training.run.config.microBatch ?? this.trainer.batch / this.group.size) / 4);
  }

  /** The last good checkpoint where an epoch turned out to be bad, nobody knows from which step on. */
  private goodBefore(epoch: number): string {
    const { last, best } = this.training.run;
    if (this.epochOfLast !== epoch) return this.lastGood();
    const earlier = hasCheckpoint(best) ? `the last good checkpoint is ${best}` : 'no good checkpoint was saved';
    return `${earlier}, since ${last} is from within this epoch`;
  }

  private lastGood(): string {
    const { last } = this.training.run;
    return hasCheckpoint(last) ? `the last good checkpoint is ${last}` : 'no checkpoint was saved before';
  }
}
