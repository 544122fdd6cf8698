/**
 * What frozen layers make of the images of a data set, computed once per image and view, so that steps and validation
 * run the layers after them alone. Made from the run's own weights, images and settings, and kept by this process
 * alone: a resumed run computes them again.
 */
import { setImmediate } from 'node:timers/promises';
import type * as tfl from '@tensorflow/tfjs-layers';
import { type CropGeometry, centreCrop } from '../../base/crops.js';
import { UserError } from '../../base/errors.js';
import { random } from '../../base/random.js';
import { tf } from '../../base/tfjs/core.js';
import { type Batch, type BatchMemory, type Cut, evaluationPixels, makeBatch } from '../data/batches/augment.js';
import type { ColourStatistics, Dataset, Split } from '../data/dataset.js';
import { batchesOf, loadAhead } from '../data/stream/read-ahead.js';
import type { Settings } from '../settings/config.js';
import { RowStore, roomFor } from './row-store.js';
import { countViews, viewOf } from './views.js';

/** Images computed at once, at most. */
const BATCH = 32;

export interface FeatureOptions extends CropGeometry {
  config: Settings;
  colours?: ColourStatistics;
}

/** How the computation is watched and ended. */
export interface FeatureWatch {
  onProgress?(done: number, total: number): void;
  /** Asked between batches; true ends it early. */
  stopped?(): boolean;
  /** Views to compute, for a measurement; default: all. */
  atMost?: number;
}

type Splits = Dataset['splits'];

/** Bytes that the features of these images take. */
export function featureBytes(frozen: tfl.LayersModel, { train, val }: Splits, options: FeatureOptions): number {
  return 4 * widthOf(frozen) * (train.length * countViews(options.config, options) + val.length);
}

const shapeOf = (frozen: tfl.LayersModel) => frozen.outputs[0].shape.slice(1) as number[];
const widthOf = (frozen: tfl.LayersModel) => tf.util.sizeFromShape(shapeOf(frozen));

export class Features {
  /** Rows to compute: views of training images, then validation images. */
  readonly count: number;
  private readonly views: number;
  private readonly memory: BatchMemory = {};
  /** Time for all that were computed. */
  private milliseconds = 0;
  private computed = 0;

  /** @throws {UserError} if there is no room for them */
  static async open(frozen: tfl.LayersModel, splits: Splits, options: FeatureOptions): Promise<Features> {
    const bytes = featureBytes(frozen, splits, options);
    const room = await roomFor(bytes);
    if (room) return new Features(frozen, splits, options, new RowStore(room, widthOf(frozen)));
    throw new UserError(
      `--views ${options.config.views}: what the frozen layers make of ${splits.train.length} train and ${splits.val.length} val ` +
        `images fills ${(bytes / 1e9).toFixed(1)} GB, more than may be used here; take fewer views, or 0 to compute it at every use`,
    );
  }

  private constructor(
    private readonly frozen: tfl.LayersModel,
    private readonly splits: Splits,
    private readonly options: FeatureOptions,
    private readonly rows: RowStore,
  ) {
    this.views = countViews(options.config, options);
    this.count = splits.train.length * this.views + splits.val.length;
  }

  /** @throws {ImagesError} when an image cannot be loaded */
  async compute(watch: FeatureWatch): Promise<void> {
    const { train, val } = this.splits;
    const { seed } = this.options.config;
    const options = { ...this.options.config, colours: this.options.colours };
    const crop = centreCrop(this.options.imagePx, this.options.inputPx);
    await this.computeSplit(train, watch, this.views, (loaded, index, view) => ({
      row: index * this.views + view,
      cut: viewOf(loaded, index, view, this.options, options),
    }));
    await this.computeSplit(val, watch, 1, (loaded, index) => ({
      row: train.length * this.views + index,
      cut: { pixels: evaluationPixels(loaded, index, seed), crop },
    }));
  }

  /** Of all views, as they were computed so far. */
  get perSecond(): number {
    return (1000 * this.computed) / this.milliseconds;
  }

  /** A training batch of the features of these images, each in a view drawn from seed and epoch. */
  trainingBatch(indices: Uint32Array, epoch: number): Batch {
    const { seed } = this.options.config;
    const rows = Array.from(
      indices,
      (index) => index * this.views + (this.views > 1 ? random(seed, 'view', epoch, index).integer(this.views) : 0),
    );
    return this.batch(
      rows,
      Int32Array.from(indices, (index) => this.splits.train.labels[index]),
    );
  }

  /** The features of validation images, [n, …]. */
  validationBatch(indices: Uint32Array): tf.Tensor {
    const first = this.splits.train.length * this.views;
    const rows = Array.from(indices, (index) => first + index);
    return tf.tensor(this.batch(rows, new Int32Array()).images, [indices.length, ...shapeOf(this.frozen)]);
  }

  dispose(): void {
    this.rows.dispose();
  }

  private async computeSplit(
    split: Split,
    { onProgress, stopped, atMost = Number.POSITIVE_INFINITY }: FeatureWatch,
    views: number,
    of: (loaded: Split, index: number, view: number) => { row: number; cut: Cut },
  ): Promise<void> {
    const { batch: trained, microBatch } = this.options.config;
    const batch = Math.min(BATCH, microBatch ?? trained);
    const order = Uint32Array.from({ length: split.length }, (_, index) => index);
    for await (const { indices, images } of loadAhead(split, batchesOf(order, batch))) {
      for (let view = 0; view < views; view++) {
        if (stopped?.() || this.computed >= atMost) return;
        const started = performance.now();
        const cuts = Array.from(indices, (index) => of(images, index, view));
        this.store(cuts, batch);
        this.computed += indices.length;
        this.milliseconds += performance.now() - started;
        onProgress?.(this.computed, this.count);
        await setImmediate(); // lets signals in
      }
    }
  }

  /** Computes a batch, filled up to `batch` so that a compiling backend compiles once. */
  private store(cuts: { row: number; cut: Cut }[], batch: number): void {
    const { inputPx } = this.options;
    const positions = Uint32Array.from({ length: batch }, (_, i) => Math.min(i, cuts.length - 1));
    const { images } = makeBatch(this.splits.train, this.options, positions, (i) => cuts[i].cut, this.memory);
    const features = tf.tidy(() => {
      const input = tf.tensor(images, [batch, inputPx, inputPx, 3]);
      return (this.frozen.apply(input, { training: false }) as tf.Tensor).dataSync() as Float32Array;
    });
    const { width } = this.rows;
    for (const [i, { row }] of cuts.entries()) this.rows.set(row, features.subarray(i * width, (i + 1) * width));
  }

  private batch(rows: number[], labels: Int32Array): Batch {
    const { width } = this.rows;
    const images = new Float32Array(rows.length * width);
    for (const [i, row] of rows.entries()) this.rows.read(row, images.subarray(i * width, (i + 1) * width));
    return { images, labels };
  }
}
