/**
 * One training step: loss and gradients of a batch, then one update. Written for a backend that computes lazily: the step
 * is queued whole and run by the one read of its report at the end. With micro-batches each one is run before the next is
 * queued, so that memory holds the activations of one only.
 */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { clipByGlobalNorm } from './clip.js';
import type { Settings } from './config.js';
import type { Batch } from './data/augment.js';
import { countRight, softmaxCrossEntropy } from './loss.js';
import type { Sgd } from './sgd.js';

/** Mean loss of the batch, weighted where classes are, before the update, and how many of its pictures were right. */
export interface StepResult {
  loss: number;
  right: number;
}

export class TrainingStep {
  private readonly pictureShape: number[];
  /** Sums of the micro-batches' gradients, by variable name; made at the first step that needs them. */
  private sums: Record<string, tf.Variable> = {};

  constructor(
    private readonly model: tfl.LayersModel,
    private readonly sgd: Sgd,
    private readonly options: Partial<Pick<Settings, 'microBatch' | 'clipNorm' | 'classWeights'>> = {},
  ) {
    this.pictureShape = model.inputs[0].shape.slice(1) as number[];
  }

  /** Updates the weights that `sgd` has from one batch; gradients of others are not computed. */
  run(batch: Batch, learningRate: number): StepResult {
    const pictures = batch.labels.length;
    const microBatch = this.options.microBatch ?? pictures;
    return tf.tidy(() => {
      const report =
        microBatch >= pictures ? this.whole(batch, learningRate) : this.inParts(batch, microBatch, learningRate);
      const [loss, right] = report.dataSync();
      return { loss, right };
    });
  }

  dispose(): void {
    tf.dispose(this.sums);
  }

  private whole(batch: Batch, learningRate: number): tf.Tensor1D {
    const { gradients, report } = this.gradients(batch, 1);
    this.update(gradients, learningRate);
    return report;
  }

  private inParts(batch: Batch, microBatch: number, learningRate: number): tf.Tensor1D {
    const pictures = batch.labels.length;
    const pictureSize = this.pictureShape.reduce((a, b) => a * b, 1);
    const reports: tf.Tensor1D[] = [];
    for (let start = 0; start < pictures; start += microBatch) {
      const end = Math.min(start + microBatch, pictures);
      const part = {
        images: batch.images.subarray(start * pictureSize, end * pictureSize),
        labels: batch.labels.subarray(start, end),
      };
      const report = tf.tidy(() => {
        const { gradients, report } = this.gradients(part, (end - start) / pictures);
        this.accumulate(gradients, start === 0);
        return report;
      });
      report.dataSync(); // runs this micro-batch before the next is queued
      reports.push(report);
    }
    this.update(this.sums, learningRate);
    return tf.addN(reports);
  }

  /** sums ← sums + gradients; at the first micro-batch sums · 0 + gradients, fed as data so that every micro-batch is the same graph. */
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

  /**
   * Gradients of `share` · mean loss.
   * @returns gradients by variable name, and `report`: [share · loss, number right]
   */
  private gradients(batch: Batch, share: number): { gradients: tf.NamedTensorMap; report: tf.Tensor1D } {
    const images = tf.tensor(batch.images, [batch.labels.length, ...this.pictureShape]);
    const labels = tf.tensor1d(batch.labels, 'int32');
    const { classWeights } = this.options;
    const weights = classWeights && tf.tensor1d(Float32Array.from(batch.labels, (label) => classWeights[label]));
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
