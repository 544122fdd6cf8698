/**
 * A data set's training images in the device's memory: batches are cut there, and a step is sent where and not what.
 * For sets that are in memory anyway, on a backend that keeps tensors on a device.
 */
import type { CropGeometry } from '../../../base/crops.js';
import { random } from '../../../base/random.js';
import { tf } from '../../../base/tfjs/core.js';
import type { Split } from '../dataset.js';
import { type BatchOptions, drawCut } from './augment.js';

/** Larger sets are cut on the host: not every device has larger buffers. At 4 bytes a pixel, 4096 images of 256 × 256. */
const MOST_BYTES = 2 ** 30;

/** A batch whose images are cut when they are needed. */
export interface DeviceBatch {
  labels: Int32Array;
  /** Images `start` … `end` − 1 of it, [n, inputPx, inputPx, 3]; the caller disposes them. */
  cut(start: number, end: number): tf.Tensor;
}

/** What this needs of a backend, see onnx/backend/onnxruntime-backend.ts. */
interface Keeper {
  readonly keepsTensors: boolean;
  keepOnDevice(tensor: tf.TensorInfo): void;
}

export class DeviceImages {
  /** r + 256 g + 65536 b of every pixel. */
  private readonly pixels: tf.Tensor;
  /** [3, pixels of an image]. */
  private readonly mean: tf.Tensor;

  /** Copies the images to the device if they are in memory and fit; undefined if not. */
  static of(split: Split, geometry: CropGeometry): DeviceImages | undefined {
    const backend = tf.backend() as Partial<Keeper>;
    const isKept = split.load === undefined && split.places !== undefined;
    if (!backend.keepsTensors || !isKept || 4 * split.length * geometry.imagePx ** 2 > MOST_BYTES) return undefined;
    return new DeviceImages(split, geometry, backend as Keeper);
  }

  private constructor(
    private readonly split: Split,
    private readonly geometry: CropGeometry,
    backend: Keeper,
  ) {
    const area = geometry.imagePx ** 2;
    const packed = new Int32Array(split.length * area);
    const stream = random('stored'); // photographs draw nothing
    for (let index = 0; index < split.length; index++) {
      const pixels = split.pixels(index, stream);
      const start = index * area;
      for (let i = 0; i < area; i++)
        packed[start + i] = pixels[3 * i] + 256 * pixels[3 * i + 1] + 65536 * pixels[3 * i + 2];
    }
    const mean = Float32Array.from(
      { length: 3 * area },
      (_, i) => geometry.mean[3 * (i % area) + Math.floor(i / area)],
    );
    this.pixels = tf.keep(tf.tensor1d(packed, 'int32'));
    this.mean = tf.keep(tf.tensor2d(mean, [3, area]));
    for (const tensor of [this.pixels, this.mean]) backend.keepOnDevice(tensor);
  }

  /** The batch that `trainingBatch` makes of the same arguments. */
  batch(order: Uint32Array, options: BatchOptions): DeviceBatch {
    const { imagePx, inputPx } = this.geometry;
    const count = order.length;
    const [starts, offsets, mirrored] = [new Int32Array(count), new Int32Array(count), new Int32Array(count)];
    const shifts = new Float32Array(3 * count);
    order.forEach((index, n) => {
      const { crop, shift = [0, 0, 0] } = drawCut(
        random(options.seed, 'augment', options.epoch, index),
        this.geometry,
        options,
      );
      offsets[n] = crop.top * imagePx + crop.left;
      starts[n] = index * imagePx ** 2 + offsets[n];
      mirrored[n] = crop.mirror ? 1 : 0;
      shifts.set(shift, 3 * n);
    });
    const cut = (start: number, end: number) =>
      tf.tidy(() => {
        const part = (values: Int32Array) => tf.tensor1d(values.subarray(start, end), 'int32');
        const inputs = {
          pixels: this.pixels,
          mean: this.mean,
          starts: part(starts),
          offsets: part(offsets),
          mirrored: part(mirrored),
          shifts: tf.tensor2d(shifts.subarray(3 * start, 3 * end), [end - start, 3]),
        };
        return tf.engine().runKernel('CutImages', inputs, { imagePx, inputPx }) as tf.Tensor;
      });
    return { labels: Int32Array.from(order, (index) => this.split.labels[index]), cut };
  }

  dispose(): void {
    tf.dispose([this.pixels, this.mean]);
  }
}
