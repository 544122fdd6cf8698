/**
 * One update after another of a network from the images of a data set: what the loop, `find-lr` and `--dry-run` share.
 */
import type * as tfl from '@tensorflow/tfjs-layers';
import { centreCrop } from '../base/crops.js';
import { UserError } from '../base/errors.js';
import { reseedDropout } from '../model/dropout.js';
import { type Batch, type BatchMemory, trainingBatch } from './data/batches/augment.js';
import { type DeviceBatch, DeviceImages } from './data/batches/device-images.js';
import { epochBatches } from './data/batches/epoch-batches.js';
import type { Dataset, Split } from './data/dataset.js';
import { type LoadedBatch, loadAhead } from './data/stream/read-ahead.js';
import { ALONE, type Communicator, sumNumbers } from './distributed/communicator.js';
import { GradientSum } from './distributed/gradient-sum.js';
import type { ProcessGroup } from './distributed/process-group.js';
import type { Predict } from './evaluate/evaluate.js';
import { checkpointPredictor, featurePredictor } from './evaluate/predict-checkpoint.js';
import { type CutNetwork, cutNetwork, silenceFrozenDropout } from './frozen/cut-network.js';
import { Features, type FeatureWatch } from './frozen/features.js';
import type { Run } from './run/run-folder.js';
import { modelWeights, type NamedVariable, thawed } from './run/weights.js';
import { stepsPerEpoch } from './settings/config.js';
import { Sgd } from './sgd.js';
import { type StepResult, TrainingStep } from './step.js';
import { Throughput } from './throughput.js';

/** What updates need of a run, on disk or not. */
export type TrainerOptions = Pick<Run, 'config' | 'mean' | 'imagePx' | 'inputPx' | 'colours'>;

/** Which update: both name the random numbers it draws. */
export interface UpdateNumber {
  /** From 0, over the whole run. */
  step: number;
  epoch: number;
}

/** This process's parts of the batches of an epoch that are still to come. */
export interface Batches {
  parts: AsyncIterator<LoadedBatch>;
  /** Of the next one, from 0. */
  position: number;
}

/** How an update went, and from how many images. */
export interface Update extends StepResult {
  images: number;
}

export class Trainer {
  /** Images per update. */
  readonly batch: number;
  readonly stepsPerEpoch: number;
  /** Of those, with `batch` images. */
  readonly wholeBatches: number;
  /** Images of one validation batch. */
  readonly validationBatch: number;
  readonly throughput = new Throughput();
  /** The weights that are trained. */
  readonly weights: NamedVariable[];
  private readonly images: Split;
  private readonly validationImages: Split;
  private readonly sgd: Sgd;
  private readonly step: TrainingStep;
  private readonly group: Communicator;
  private readonly memory: BatchMemory = {};
  /** Found out at the first update. */
  private onDevice?: DeviceImages | 'unfit';
  /** Present if what the frozen layers compute is kept. */
  private readonly cut?: CutNetwork;
  private features?: Features;
  /** Absent in a process alone. */
  readonly gradientSum?: GradientSum;

  /** @param model  the caller disposes it */
  constructor(
    private readonly model: tfl.LayersModel,
    private readonly dataset: Pick<Dataset, 'splits'>,
    private readonly options: TrainerOptions,
    processes?: ProcessGroup,
  ) {
    const { config } = options;
    const { splits } = dataset;
    silenceFrozenDropout(model, config.freeze);
    this.cut = config.views ? cutNetwork(model, config.freeze) : undefined;
    // With features kept, images are not loaded again.
    [this.images, this.validationImages] = [splits.train, splits.val].map((split) =>
      this.cut ? { ...split, load: undefined } : split,
    );
    this.batch = Math.min(config.batch, this.images.length);
    this.wholeBatches = Math.floor(this.images.length / this.batch);
    this.stepsPerEpoch = stepsPerEpoch(this.images.length, config.batch);
    this.weights = thawed(modelWeights(model, 'trainable'), config.freeze);
    this.sgd = new Sgd(this.weights, config);
    this.step = new TrainingStep(this.cut?.head ?? model, this.sgd, config);
    this.group = processes?.group ?? ALONE;
    this.validationBatch = Math.min(config.microBatch ?? Math.ceil(this.batch / this.group.size), splits.val.length);
    checkParts(config.batch, this.images.length, this.group.size);
    if (this.group.size > 1) this.gradientSum = new GradientSum(this.group, this.sgd.weights, processes!.gradientType);
  }

  /** Velocities by the name of their weight. */
  get velocities(): NamedVariable[] {
    return this.sgd.velocities;
  }

  /** Whether frozen layers are computed by `prepare` alone. */
  get keepsFeatures(): boolean {
    return this.cut !== undefined;
  }

  /**
   * To be called before the first update, with the weights in place: computes what is kept of frozen layers.
   * @returns  the seconds that it takes, estimated if `watch` ends it early; 0 if nothing is kept
   * @throws {UserError} if there is no room for it, or an image cannot be loaded
   */
  async prepare(watch: FeatureWatch): Promise<number> {
    if (!this.cut) return 0;
    this.features = await Features.open(this.cut.frozen, this.dataset.splits, this.options);
    await this.features.compute(watch);
    return this.features.count / this.features.perSecond;
  }

  /** The batches of an epoch in its order, each loaded before it is its turn. @param position  of the first, from 0 */
  batches(epoch: number, position = 0): Batches {
    const { rank, size } = this.group;
    const options = { seed: this.options.config.seed, epoch, batch: this.batch, rank, size };
    return { parts: loadAhead(this.images, epochBatches(this.images, options, position)), position };
  }

  /**
   * Updates the weights from the next of the batches.
   * @throws {ImagesError} when an image of it cannot be loaded; the weights are as they were
   */
  async update(batches: Batches, { step, epoch }: UpdateNumber, learningRate: number): Promise<Update> {
    const { config } = this.options;
    this.throughput.start();
    const { indices, images } = (await batches.parts.next()).value as LoadedBatch;
    const count = Math.min(this.batch, this.images.length - this.batch * batches.position++);
    // Every process draws masks of its own; alone by the names that they had before.
    reseedDropout(this.model, config.seed, step, ...(this.gradientSum ? [this.group.rank] : []));
    const batch = this.features?.trainingBatch(indices, epoch) ?? this.imageBatch(indices, images, epoch);
    const result = this.gradientSum
      ? await this.step.runShared(batch, learningRate, count, this.gradientSum)
      : this.step.run(batch, learningRate);
    const [loss, right] = await sumNumbers(this.group, [result.loss, result.right]);
    this.throughput.stop(count);
    return { loss, right, images: count };
  }

  private imageBatch(indices: Uint32Array, images: Split, epoch: number): Batch | DeviceBatch {
    const options = { ...this.options.config, colours: this.options.colours, epoch };
    this.onDevice ??= DeviceImages.of(this.images, this.options) ?? 'unfit';
    return this.onDevice === 'unfit'
      ? trainingBatch(images, this.options, indices, options, this.memory)
      : this.onDevice.batch(indices, options);
  }

  /** Validation images, and their probabilities, `validationBatch` at once, one centre crop each. */
  validation(): { split: Split; predict: Predict } {
    const { config, mean, imagePx, inputPx } = this.options;
    const options = { imagePx, mean, batch: this.validationBatch, seed: config.seed };
    const { features, cut } = this;
    const predict = features
      ? featurePredictor(cut!.head, (indices) => features.validationBatch(indices), options)
      : checkpointPredictor(this.model, { ...options, crops: [centreCrop(imagePx, inputPx)] });
    return { split: this.validationImages, predict };
  }

  /** Frees all but the model. */
  dispose(): void {
    this.step.dispose();
    this.features?.dispose();
    this.cut?.head.dispose();
    if (this.onDevice instanceof DeviceImages) this.onDevice.dispose();
    this.sgd.dispose();
  }
}

/** @throws {UserError} if a process would have no image of any batch */
export function checkParts(batch: number, images: number, processes: number): void {
  const largest = Math.min(batch, images);
  if (processes <= largest) return;
  throw new UserError(
    `a batch of ${largest} images for ${processes} processes: some would have none; take a larger --batch or fewer processes`,
  );
}
