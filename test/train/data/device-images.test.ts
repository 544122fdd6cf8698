import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import { random } from '../../../base/random.js';
import '../../../onnx/backend/index.js';
import { trainingBatch } from '../../../train/data/batches/augment.js';
import { colourStatistics } from '../../../train/data/batches/colour.js';
import { DeviceImages } from '../../../train/data/batches/device-images.js';
import type { Split } from '../../../train/data/dataset.js';

const [imagePx, inputPx, LENGTH] = [9, 6, 11];

const split: Split = {
  length: LENGTH,
  labels: Uint16Array.from({ length: LENGTH }, (_, n) => (n * 5) % 7),
  name: (n) => `image ${n}`,
  pixels: (n) => {
    const stream = random('device', n);
    return Uint8Array.from({ length: imagePx * imagePx * 3 }, () => stream.integer(256));
  },
  places: Uint32Array.from({ length: LENGTH }, (_, n) => n),
};
const mean = Float32Array.from({ length: imagePx * imagePx * 3 }, (_, i) => (i * 7.3) % 200);
const geometry = { imagePx, inputPx, mean };

/** On the cpu provider, whose tensors are on the host, as if they were on a device. */
before(async () => {
  await tf.setBackend('onnxruntime');
  Object.defineProperties(tf.backend(), { keepsTensors: { value: true }, keepOnDevice: { value: () => undefined } });
});

test('cuts on the device what is cut on the host: place, mirror image, mean and colour shift of each image', () => {
  const onDevice = DeviceImages.of(split, geometry)!;
  const order = Uint32Array.of(3, 10, 0, 7, 5);
  const colours = colourStatistics(split, 0);
  for (const changes of [{}, { colourNoise: 0.1, colours }, { randomCrop: false, mirror: false }])
    for (const epoch of [0, 1]) {
      const options = { mirror: true, randomCrop: true, seed: 4, epoch, ...changes };
      const expected = trainingBatch(split, geometry, order, options);
      const batch = onDevice.batch(order, options);
      assert.deepEqual(batch.labels, expected.labels);
      const image = inputPx ** 2 * 3;
      for (const [start, end] of [
        [0, 5],
        [1, 4],
      ]) {
        const images = tf.tidy(() => batch.cut(start, end));
        assert.deepEqual(images.shape, [end - start, inputPx, inputPx, 3]);
        const values = images.dataSync();
        const worst = expected.images
          .subarray(start * image, end * image)
          .reduce((most, value, i) => Math.max(most, Math.abs(value - values[i])), 0);
        assert.ok(worst < 1e-4, `differs by ${worst}`);
        images.dispose();
      }
    }
  onDevice.dispose();
});

test('leaves on the host what is streamed, drawn at each use, or too large', () => {
  assert.equal(DeviceImages.of({ ...split, load: async () => split }, geometry), undefined);
  assert.equal(DeviceImages.of({ ...split, places: undefined }, geometry), undefined);
  assert.equal(DeviceImages.of({ ...split, length: 2 ** 22 }, geometry), undefined);
});
