/** A network, a data set and a run small enough to train in milliseconds on plain JavaScript. */
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import { ALEXNET } from '../../model/alexnet.js';
import '../../base/tfjs/backend-cpu.js';
import { random } from '../../base/random.js';
import { SeededDropout } from '../../model/dropout.js';
import { meanImage } from '../../train/data/batches/mean.js';
import type { Dataset, Split } from '../../train/data/dataset.js';
import { createRun, type Run } from '../../train/run/run-folder.js';
import { resolveSettings, type Settings } from '../../train/settings/config.js';

export const IMAGE_PX = 7;
export const INPUT_PX = 6;
export const CLASSES = 4;

/** conv 3×3 to 5 channels, dropout, fully connected to 4 classes: 6×6 RGB in, logits out; weights drawn from `seed`. */
export function tinyModel(seed = 1): tfl.LayersModel {
  const model = tfl.sequential({
    layers: [
      tfl.layers.conv2d({
        name: 'conv1',
        filters: 5,
        kernelSize: 3,
        activation: 'relu',
        inputShape: [INPUT_PX, INPUT_PX, 3],
      }),
      tfl.layers.flatten({ name: 'flatten' }),
      new SeededDropout({ name: 'drop', rate: 0.25 }),
      tfl.layers.dense({ name: 'fc2', units: CLASSES }),
    ],
  });
  for (const weight of model.weights) {
    const stream = random(seed, weight.originalName);
    const values = Float32Array.from(
      { length: weight.shape.reduce<number>((a, b) => a * b!, 1) },
      () => 0.05 * stream.normal(),
    );
    tf.tidy(() => void weight.write(tf.tensor(values, weight.shape as number[])));
  }
  return model;
}

/** Images of noise whose brightest quarter tells the class. */
export function tinySplit(length: number, name: string): Split {
  const labels = Uint16Array.from({ length }, (_, index) => index % CLASSES);
  return {
    length,
    labels,
    name: (index) => `${name}/${index}.png`,
    pixels: (index) => {
      const stream = random(name, index);
      const noise = Uint8Array.from({ length: IMAGE_PX * IMAGE_PX * 3 }, () => stream.integer(100));
      const start = Math.floor((noise.length * labels[index]) / CLASSES);
      for (let i = start; i < start + 20; i++) noise[i] += 120;
      return noise;
    },
  };
}

export function tinyDataset(): Dataset {
  const splits = { train: tinySplit(26, 'train'), val: tinySplit(11, 'val') };
  return { source: 'tiny', imagePx: IMAGE_PX, labels: ['ant', 'bee', 'cat', 'dog'], splits, skipped: [], notes: [] };
}

/** A run of the tiny network on `dataset` that has no checkpoint yet. */
export function tinyRun(path: string, { source, labels, splits }: Dataset, settings: Partial<Settings>): Promise<Run> {
  const { train, val } = splits;
  const config = { data: source, model: 'tiny', ...resolveSettings(ALEXNET.recipe, settings) };
  const images = { train: train.length, val: val.length };
  const record = { config, imagePx: IMAGE_PX, inputPx: INPUT_PX, pictures: images, versions: {} };
  const stored = { mean: meanImage(train, config.seed), samples: val.pixels(0, random(0)) };
  return createRun(path, { ...record, ...stored, labels });
}

/** All weights as one array, in order. */
export function flatWeights(model: tfl.LayersModel): Float32Array {
  const parts = model.weights.map((weight) => weight.read().dataSync() as Float32Array);
  const flat = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    flat.set(part, offset);
    offset += part.length;
  }
  return flat;
}
