/**
 * The training loop, read top to bottom: steps of an epoch, validation, schedule, checkpoints. It continues from any
 * step of an earlier run bit for bit, since order, crops and dropout are drawn from streams named by seed, epoch and
 * step.
 */

import { setImmediate } from 'node:timers/promises';
import { hasTop5 } from '../base/format.js';
import type { Interrupt } from '../base/process/interrupt.js';
import type { Progress } from '../base/progress.js';
import { partOf } from './data/batches/epoch-batches.js';
import { ImagesError } from './data/stream/read-ahead.js';
import { describeEpoch } from './describe-epoch.js';
import { ALONE, type Communicator, sumNumbers } from './distributed/communicator.js';
import { broadcastValues, evaluationOfAll } from './distributed/exchange.js';
import { withRank } from './distributed/launched.js';
import { watchForLostProcesses } from './distributed/lost-processes.js';
import type { ProcessGroup } from './distributed/process-group.js';
import { DivergenceWatch } from './divergence.js';
import { endedEarly } from './early-end.js';
import { type Evaluation, evaluate } from './evaluate/evaluate.js';
import { describeFailure, diverged, goodBeforeEpoch, lastGood, savedBefore, waitingForOthers } from './failures.js';
import { MetricsLog } from './metrics/metrics-log.js';
import {
  betterOf,
  NotFiniteError,
  type RunState,
  restoreValues,
  saveCheckpoint,
  startState,
} from './run/checkpoint.js';
import { HeldCheckpoint } from './run/held-checkpoint.js';
import { afterEpoch, learningRateAt } from './schedule.js';
import { adviceAtChance, lossOfGuessing } from './start/few-images.js';
import type { PreparedRun } from './start/prepared-run.js';
import { type Batches, Trainer } from './trainer.js';

/** Steps between two lines of `metrics.jsonl`, which also gets one per epoch. */
const STEPS_PER_LINE = 10;

/** Everything the loop needs; `start.ts` brings it together. */
export interface Training extends PreparedRun {
  progress: Progress;
  interrupt: Interrupt;
  /** The processes that train together, of which rank 0 alone writes; default: this one alone. */
  processes?: ProcessGroup;
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
 * @throws {DivergedError} when the loss or a weight is no longer finite, or the loss beyond hope (`divergence.ts`);
 *   names step, learning rate and the last good checkpoint
 * @throws {UserError} when the disk is full, or an image cannot be loaded: then the steps before it are saved
 */
export async function train(training: Training): Promise<TrainResult> {
  const loop = new Loop(training);
  try {
    await loop.run();
    return { state: loop.state, imagesPerSecond: loop.imagesPerSecond, interruptedBy: loop.interruptedBy };
  } catch (error) {
    throw withRank(loop.group, await loop.failed(error), loop.state.step + 1);
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
  private endWatch = () => {};
  private savedAt = Date.now();
  /** That the last checkpoint took. */
  private savingMs = 0;
  /** The best epoch's, if it is not saved yet. */
  private heldBest?: HeldCheckpoint;
  /** Whether the last epoch's loss was that of guessing, or above. */
  private wasAtChance = false;
  /** Epoch from within which `last/` was saved; undefined if it is of an epoch's end. */
  private epochOfLast?: number;
  /** Of the last one; 0 before. */
  private validationSeconds = 0;

  constructor(private readonly training: Training) {
    const { run, dataset, model, from, processes } = training;
    this.group = processes?.group ?? ALONE;
    this.state = from ? structuredClone(from.state) : startState();
    this.trainer = new Trainer(model, dataset, run, processes);
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
    const { run, from, changes, progress, interrupt } = this.training;
    const { state, trainer } = this;
    const tellOfWait = () => progress.note(waitingForOthers(run, state.step + 1));
    this.endWatch = watchForLostProcesses(this.group, interrupt, tellOfWait);
    if (from) restoreValues(trainer.velocities, await from.readVelocities());
    if (this.writes) this.metrics = await MetricsLog.open(run.path, state);
    if (changes) await this.metrics?.appendChanges(state, changes);

    await this.listen();
    await this.computeFrozen();
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
    await this.saveHeld();
    if (this.interruptedBy) await this.save(run.last);
    else if (state.epoch < run.config.epochs) progress.note(`ended after epoch ${state.epoch}: ${this.endedEarly()}`);
  }

  /** What the frozen layers make of all images, if it is kept. */
  private async computeFrozen(): Promise<void> {
    const { model, progress, interrupt } = this.training;
    const { trainer, group } = this;
    const isDone = this.state.epoch >= this.training.run.config.epochs;
    if (!trainer.keepsFeatures || isDone || this.interruptedBy) return;
    await broadcastValues(group, model, trainer.velocities);
    const stopped = () => interrupt.signal !== undefined;
    const onProgress = (done: number, total: number) => progress.work('frozen layers', done, total);
    const seconds = await trainer.prepare({ onProgress, stopped });
    await this.listen();
    if (!this.interruptedBy)
      progress.note(`computed the frozen layers in ${seconds.toFixed(1)} s; now training the rest`);
  }

  private async oneStep(batches: Batches): Promise<void> {
    const { run, progress } = this.training;
    const { state, trainer } = this;
    const learningRate = this.learningRate(this.scheduledStep());
    const { loss, right, images } = await trainer.update(batches, state, learningRate);
    const wrong = this.writes && this.divergence.observe(loss);
    if (wrong) throw diverged(wrong, state.step + 1, learningRate, lastGood(run));

    state.step += 1;
    state.position += 1;
    state.lossSum += loss * images;
    state.rightSum += right;
    const place = { epoch: state.epoch + 1, loss };
    const { imagesPerSecond } = this;
    progress.step({ ...place, ...this.remaining(), epochs: run.config.epochs, imagesPerSecond });
    if (state.step % STEPS_PER_LINE === 0) {
      const speed = trainer.throughput.ofEpoch();
      await this.metrics?.append({ step: state.step, ...place, lr: learningRate, images_per_second: speed });
    }
  }

  /** All processes of a job agree on the step after which they stop. */
  private async listen(): Promise<void> {
    const { signal } = this.training.interrupt;
    const [signalled] = await sumNumbers(this.group, [signal ? 1 : 0]);
    if (signalled === 0) return;
    this.interruptedBy = signal ?? 'SIGTERM';
    this.endWatch();
  }

  private async saveWithinEpoch(): Promise<void> {
    await this.save(this.training.run.last);
    this.epochOfLast = this.state.epoch;
  }

  /**
   * Errors on the validation images, one centre crop each, every process of a job its part of them; null when
   * interrupted.
   */
  private async validate(): Promise<Evaluation | null> {
    const { progress, interrupt } = this.training;
    const started = performance.now();
    const { split, predict } = this.trainer.validation();
    const own = await evaluate(predict, split, {
      batch: this.trainer.validationBatch,
      part: partOf(split.length, this.group),
      onProgress: (done, total) => progress.work('validation', done, total),
      stopped: () => interrupt.signal !== undefined,
    });
    await this.listen();
    this.validationSeconds = (performance.now() - started) / 1000;
    return own && !this.interruptedBy ? evaluationOfAll(this.group, own) : null;
  }

  /** Why the run is over before its last epoch; undefined while it is not. */
  private endedEarly(): string | undefined {
    const { run, stopWhen } = this.training;
    const why = endedEarly(run.config, this.state);
    return why ?? (this.state.position === 0 && stopWhen?.(this.state) ? 'as asked' : undefined);
  }

  private async endEpoch({ loss, top1Error, top5Error }: Evaluation): Promise<void> {
    const { run, progress } = this.training;
    const { state } = this;
    const lr = this.learningRate(this.scheduledStep() - 1);
    const trained = this.training.dataset.splits.train.length;
    if (!Number.isFinite(loss)) {
      const good = this.epochOfLast === state.epoch ? goodBeforeEpoch(run) : lastGood(run);
      throw diverged('the validation loss is not finite', state.step, lr, good);
    }
    const validation = { epoch: state.epoch + 1, loss, top1Error, top5Error };
    const best = betterOf(state.bestValidation, validation);
    const improved = best !== state.bestValidation;
    const trainLoss = state.lossSum / trained;
    const trainTop1Error = 1 - state.rightSum / trained;

    Object.assign(state, { epoch: state.epoch + 1, position: 0, lossSum: 0, rightSum: 0, trainLoss, trainTop1Error });
    state.schedule = afterEpoch(run.config, state.schedule, top1Error);
    state.lastValidation = improved ? best : validation;
    state.bestValidation = best;

    const { config, labels } = run;
    const told = { state, epochs: config.epochs, classes: labels.length, learningRate: lr, improved };
    progress.note(describeEpoch({ ...told, validation: { loss, top1Error, top5Error } }));
    this.tellOfChance(trainLoss);
    await this.metrics?.append({
      step: state.step,
      epoch: state.epoch,
      loss: trainLoss,
      train_top1_error: trainTop1Error,
      val_loss: loss,
      val_top1_error: top1Error,
      ...(hasTop5(labels.length) && { val_top5_error: top5Error }),
      lr,
      images_per_second: this.trainer.throughput.ofEpoch(),
    });
    await this.saveEpoch(improved);
  }

  /** After every epoch; if epochs take no longer than saving does, so that it takes a tenth of the time. */
  private async saveEpoch(improved: boolean): Promise<void> {
    const { run } = this.training;
    const { state, trainer } = this;
    const isLast = state.epoch === run.config.epochs || this.endedEarly() !== undefined;
    if (!trainer.keepsFeatures || isLast || Date.now() - this.savedAt >= 10 * this.savingMs) {
      if (improved) await this.save(run.best);
      else await this.saveHeld();
      this.heldBest = undefined;
      await this.save(run.last);
    } else if (improved && this.writes) {
      this.heldBest = new HeldCheckpoint([trainer.weights, trainer.velocities], state);
    }
  }

  private async saveHeld(): Promise<void> {
    const { heldBest } = this;
    this.heldBest = undefined;
    await heldBest?.save((state) => this.save(this.training.run.best, state));
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

  private async save(folder: string, state = this.state): Promise<void> {
    if (!this.writes) return;
    const { run, model } = this.training;
    const started = Date.now();
    try {
      await saveCheckpoint(folder, model, this.trainer.velocities, state);
    } catch (error) {
      if (!(error instanceof NotFiniteError)) throw error;
      throw diverged(error.message, state.step, this.learningRate(this.scheduledStep() - 1), lastGood(run));
    }
    this.savedAt = Date.now();
    this.savingMs = this.savedAt - started;
  }

  /**
   * An error that ends the run as the person at it should read it; what was computed before an image that cannot be
   * loaded is saved.
   */
  async failed(error: unknown): Promise<unknown> {
    const { run } = this.training;
    const { trainer, group } = this;
    const microBatch = run.config.microBatch ?? trainer.batch / group.size;
    const stop = { run, step: this.state.step, microBatch };
    await this.saveHeld().catch(() => undefined);
    if (!(error instanceof ImagesError) || !this.writes) return describeFailure(error, stop);
    try {
      await this.save(run.last);
    } catch (unsaved) {
      return describeFailure(unsaved, stop);
    }
    return savedBefore(error, stop);
  }

  dispose(): void {
    this.endWatch();
    this.trainer.dispose();
  }

  private get writes(): boolean {
    return this.group.rank === 0;
  }

  get imagesPerSecond(): number {
    return this.trainer.throughput.imagesPerSecond();
  }

  /** @param step  as `scheduledStep` counts them */
  private learningRate(step: number): number {
    return learningRateAt(this.training.run.config, this.state.schedule, step, this.trainer.stepsPerEpoch);
  }

  /** Updates made so far, had every epoch had as many as it has now: `state.step`, if the batch never changed. */
  private scheduledStep(): number {
    return this.state.epoch * this.trainer.stepsPerEpoch + this.state.position;
  }

  /**
   * Steps as this number of steps an epoch counts them, and seconds to the last epoch's end; validation counts once it
   * was timed.
   */
  private remaining(): { step: number; steps: number; etaSeconds: number } {
    const { state, trainer } = this;
    const epochs = this.training.run.config.epochs;
    const [step, steps] = [this.scheduledStep(), epochs * trainer.stepsPerEpoch];
    const training = ((steps - step) * trainer.batch) / this.imagesPerSecond;
    return { step, steps, etaSeconds: training + (epochs - state.epoch) * this.validationSeconds };
  }
}
