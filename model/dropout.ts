/**
 * Dropout (Krizhevsky et al. 2012, §4.2) with masks drawn from named streams, so that a resumed run sees the same ones.
 * tfjs's own layer with a seed repeats one mask at every step. Inverted: what is kept is divided by 1 − rate in
 * training, where the paper multiplies by it at test time.
 */
import { random } from '../base/random.js';
import { tf } from '../base/tfjs/core.js';
import { tfl } from '../base/tfjs/layers.js';
import { single } from './single-input.js';

export interface SeededDropoutArgs {
  name?: string;
  /** Probability that a value is dropped, at least 0 and below 1. */
  rate: number;
}

export class SeededDropout extends tfl.layers.Layer {
  static className = 'SeededDropout';
  private stream: (string | number)[] = [];
  /** Masks drawn since the last reseeding. */
  private draws = 0;
  /** Drops nothing, in training either: the layers before it are frozen. */
  silent = false;

  constructor(private readonly args: SeededDropoutArgs) {
    super(args);
  }

  /** Starts the masks named by `parts` and this layer's name. */
  reseed(parts: (string | number)[]): void {
    this.stream = parts;
    this.draws = 0;
  }

  /** Any shape to the same shape; with `training` a new mask at each call unless silent, else the input. */
  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean } = {}): tf.Tensor {
    const x = single(inputs);
    if (!kwargs.training || this.silent) return x;
    return tf.tidy(() => {
      const kept = tf.cast(tf.tensor(this.mask(x.size), x.shape, 'bool'), 'float32');
      return tf.mul(tf.mul(x, kept), 1 / (1 - this.args.rate));
    });
  }

  /** 1 if a value is kept. */
  private mask(size: number): Uint8Array {
    const { bits } = random(...this.stream, 'dropout', this.name, this.draws++);
    const mask = new Uint8Array(size);
    if (this.args.rate === 0.5) {
      let word = 0;
      // A draw decides 32 values: a step of 128 images has 1.7 million, and a GPU waits for them.
      for (let i = 0; i < size; i++) {
        word = i % 32 === 0 ? bits() : word >>> 1;
        mask[i] = word & 1;
      }
      return mask;
    }
    const dropped = this.args.rate * 2 ** 32;
    for (let i = 0; i < size; i++) mask[i] = bits() >= dropped ? 1 : 0;
    return mask;
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), rate: this.args.rate };
  }
}

tf.serialization.registerClass(SeededDropout);

/**
 * Names the masks of the next step: equal parts give equal masks, call by call. To be called before each training step,
 * e.g. with the run's seed and the step's number.
 */
export function reseedDropout(model: tfl.LayersModel, ...parts: (string | number)[]): void {
  for (const layer of model.layers) {
    if (layer instanceof SeededDropout) layer.reseed(parts);
  }
}
