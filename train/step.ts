/**
 * One training step: loss and gradients of a batch, then one update. Written for a backend that computes lazily: the
 * step is queued whole and run by the one read of its report at the end. With micro-batches each one is run before the
 * next is queued, so that memory holds the activations of one only.
 */
import type * as tfl from '@tensorflow/tfjs-layers';
import { tf } from '../base/tfjs/core.js';
import { clipByGlobalNorm } from './clip.js';
import type { Batch } from './data/batches/augment.js';
import type { DeviceBatch } from './data/batches/device-images.js';
import type { GradientSum } from './distributed/gradient-sum.js';
import { countRight, softmaxCrossEntropy } from './loss.js';
import type { Settings } from './settings/config.js';
import type { Sgd } from './sgd.js';

/** Mean loss of the batch, weighted where classes are, before the update, and how many of its images were right. */
export interface StepResult {
  loss: number;
  right: number;
}

type Gradients = { gradients: tf.NamedTensorMap; report: tf.Tensor1D };

export class TrainingStep {
  private readonly imageShape: number[];
  /** Sums of the micro-batches' gradients, by variable name; made at the first step that needs them. */
  private sums: Record<string, tf.Variable> = {};

  constructor(
    private readonly model: tfl.LayersModel,
    private readonly sgd: Sgd,
    private readonly options: Partial<Pick<Settings, 'microBatch' | 'clipNorm' | 'classWeights'>> = {},
  ) {
    this.imageShape = model.inputs[0].shape.slice(1) as number[];
  }

  /** Updates the weights that `sgd` has from one batch; gradients of others are not computed. */
  run(batch: Batch | DeviceBatch, learningRate: number): StepResult {
    return tf.tidy(() => {
      const { gradients, report } = this.gradientsOf(batch, batch.labels.length);
      this.update(gradients, learningRate);
      return { ...read(report) };
    });
  }

  /**
   * The same as one of several processes that update together.
   * @param batch     this process's part of the batch; it may be empty
   * @param images  of the whole batch
   * @param sum       adds gradients over the processes
   * @returns         this process's share of the loss, and how many of its images were right
   */
  async runShared(
    batch: Batch | DeviceBatch,
    learningRate: number,
    images: number,
    sum: GradientSum,
  ): Promise<StepResult> {
    const { gradients, report } = tf.tidy(() => this.gradientsOf(batch, images));
    const sums = await sum.sum(gradients);
    tf.tidy(() => this.update(sums, learningRate));
    const result = read(report);
    tf.dispose([report, sums, ...Object.values(gradients).filter((gradient) => !(gradient instanceof tf.Variable))]);
    return result;
  }

  dispose(): void {
    tf.dispose(this.sums);
  }

  /**
   * Of this batch's share in a batch of `images`: gradients by variable name, some the variables `sums`, and [share ·
   * loss, number right].
   */
  private gradientsOf(batch: Batch | DeviceBatch, images: number): Gradients {
    const own = batch.labels.length;
    if (own === 0) return this.none();
    const { microBatch } = this.options;
    return microBatch && microBatch < own
      ? this.inParts(batch, microBatch, images)
      : this.gradients(batch, own / images);
  }

  private none(): Gradients {
    const gradients = this.sgd.weights.map(({ name, shape }) => [name, tf.zeros(shape)] as const);
    return { gradients: Object.fromEntries(gradients), report: tf.zeros([2]) };
  }

  private inParts(batch: Batch | DeviceBatch, microBatch: number, images: number): Gradients {
    const own = batch.labels.length;
    const reports: tf.Tensor1D[] = [];
    for (let start = 0; start < own; start += microBatch) {
      const end = Math.min(start + microBatch, own);
      const report = tf.tidy(() => {
        const { gradients, report } = this.gradients(batch, (end - start) / images, start, end);
        this.accumulate(gradients, start === 0);
        return report;
      });
      report.dataSync(); // runs this micro-batch before the next is queued
      reports.push(report);
    }
    return { gradients: this.sums, report: tf.addN(reports) };
  }

  /**
   * sums ← sums + gradients; at the first micro-batch sums · 0 + gradients, fed as data so that every micro-batch is
   * the same graph.
   */
  private accumulate(gradients: tf.NamedTensorMap, first: boolean): void {
    const keep = tf.scalar(first ? 0 : 1);
    for (const [name, gradient] of Object.entries(gradients)) {
      this.sums[name] ??= tf.variable(tf.zeros(gradient.shape), false);
      this.sums[name].assign(tf.add(tf.mul(this.sums[name], keep), gradient));
    }
  }

  private update(gradients: tf.NamedTensorMap, learningRate: number): void {
    const { clipNorm } = this.options;
    this.sgd.apply(clipNorm ? clipByGlobalNorm(gradients, clipNorm) : gradients, learningRate);
  }

  private images(batch: Batch | DeviceBatch, start: number, end: number): tf.Tensor {
    if ('cut' in batch) return batch.cut(start, end);
    const size = tf.util.sizeFromShape(this.imageShape);
    return tf.tensor(batch.images.subarray(start * size, end * size), [end - start, ...this.imageShape]);
  }

  /**
   * Gradients of `share` · mean loss of the images `start` … `end` − 1.
   * @returns gradients by variable name, and `report`: [share · loss, number right]
   */
  private gradients(batch: Batch | DeviceBatch, share: number, start = 0, end = batch.labels.length): Gradients {
    const images = this.images(batch, start, end);
    const classes = batch.labels.subarray(start, end);
    const labels = tf.tensor1d(classes, 'int32');
    const { classWeights } = this.options;
    const weights = classWeights && tf.tensor1d(Float32Array.from(classes, (label) => classWeights[label]));
    let right: tf.Scalar | undefined;
    const { value, grads } = tf.variableGrads(() => {
      const logits = this.model.apply(images, { training: true }) as tf.Tensor2D;
      right = tf.keep(countRight(logits, labels)); // outlives the gradient's own tidy
      const loss = softmaxCrossEntropy(logits, labels, weights ?? undefined);
      return share === 1 ? loss : tf.mul(loss, tf.scalar(share));
    }, this.sgd.weights);
    const report = tf.concat([tf.reshape(value, [1]), tf.reshape(right!, [1])]) as tf.Tensor1D;
    right!.dispose();
    return { gradients: grads, report };
  }
}

/** Runs what is queued. */
function read(report: tf.Tensor1D): StepResult {
  const [loss, right] = report.dataSync();
  return { loss, right };
}
