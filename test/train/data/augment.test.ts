import assert from 'node:assert/strict';
import { test } from 'node:test';
import { random } from '../../../base/random.js';
import { croppedBatch, trainingBatch } from '../../../train/data/batches/augment.js';
import type { Split } from '../../../train/data/dataset.js';

const imagePx = 6;
const inputPx = 4;
const LENGTH = 24;

/** Image n, pixel (y, x), channel c holds n + 36·y + 6·x + c: every value of one image is told apart by place. */
const value = (n: number, y: number, x: number, c: number) => n + 36 * y + 6 * x + c;
const split: Split = {
  length: LENGTH,
  labels: Uint16Array.from({ length: LENGTH }, (_, n) => (n * 5) % 7),
  name: (n) => `image ${n}`,
  pixels: (n) => {
    const pixels = new Uint8Array(imagePx * imagePx * 3);
    for (let i = 0; i < pixels.length; i++) {
      pixels[i] = value(n, Math.floor(i / 18), Math.floor(i / 3) % 6, i % 3);
    }
    return pixels;
  },
};
/** Different at every place, so that a mean cut elsewhere than its image shows. */
const mean = Float32Array.from({ length: imagePx * imagePx * 3 }, (_, i) => i * i * 0.25);
const geometry = { imagePx, inputPx, mean };
const options = { mirror: true, randomCrop: true, seed: 3, epoch: 2 };

/** The crop written out pixel by pixel. */
function expectedCrop(n: number, top: number, left: number, mirror: boolean): number[] {
  const out: number[] = [];
  for (let y = 0; y < inputPx; y++) {
    for (let x = 0; x < inputPx; x++) {
      const from = mirror ? left + inputPx - 1 - x : left + x;
      for (let c = 0; c < 3; c++) {
        out.push(value(n, top + y, from, c) - mean[((top + y) * imagePx + from) * 3 + c]);
      }
    }
  }
  return out;
}

const image = (images: Float32Array, n: number) => [...images.subarray(n * 48, (n + 1) * 48)];

/** Which of the 18 possible crops an image of a batch is. */
function findCrop(n: number, pixels: number[]): string {
  for (const top of [0, 1, 2]) {
    for (const left of [0, 1, 2]) {
      for (const mirror of [false, true]) {
        const expected = expectedCrop(n, top, left, mirror);
        if (expected.every((value, i) => value === pixels[i])) return `${top} ${left} ${mirror}`;
      }
    }
  }
  throw new Error(`image ${n} is none of its crops`);
}

test('cuts, mirrors and subtracts the mean at the same place', () => {
  const crops = [
    { top: 0, left: 0, mirror: false },
    { top: 2, left: 1, mirror: false },
    { top: 1, left: 2, mirror: true },
  ];
  for (const crop of crops) {
    const { images, labels } = croppedBatch(split, geometry, [4, 11, 0], crop, 1);
    assert.equal(images.length, 3 * inputPx * inputPx * 3);
    assert.deepEqual([...labels], [6, 6, 0]);
    for (const [row, n] of [4, 11, 0].entries()) {
      assert.deepEqual(image(images, row), expectedCrop(n, crop.top, crop.left, crop.mirror));
    }
  }
});

test('draws every offset from 0 to the margin, mirrored and not, and each about equally often', () => {
  const counts = new Map<string, number>();
  const order = Uint32Array.from({ length: LENGTH }, (_, n) => n);
  for (let epoch = 0; epoch < 100; epoch++) {
    const { images } = trainingBatch(split, geometry, order, { ...options, epoch });
    for (const n of order) {
      const crop = findCrop(n, image(images, n));
      counts.set(crop, (counts.get(crop) ?? 0) + 1);
    }
  }
  assert.equal(counts.size, 18);
  // 2,400 draws over 18 crops: 133 each, standard deviation 11.2; five of them either side.
  for (const [crop, count] of counts) assert.ok(Math.abs(count - 2400 / 18) < 56, `${crop}: ${count}`);
});

test('draws the same for an image whatever else is in the batch, and other draws in another epoch or seed', () => {
  const together = trainingBatch(split, geometry, Uint32Array.of(3, 9, 20, 14), options);
  const alone = trainingBatch(split, geometry, Uint32Array.of(20), options);
  assert.deepEqual(image(together.images, 2), image(alone.images, 0));
  assert.deepEqual([...together.labels], [1, 3, 2, 0]);
  const all = Uint32Array.from({ length: LENGTH }, (_, n) => n);
  const batch = (changes: object) => trainingBatch(split, geometry, all, { ...options, ...changes }).images;
  assert.deepEqual(batch({}), batch({}));
  assert.notDeepEqual(batch({}), batch({ epoch: 3 }));
  assert.notDeepEqual(batch({}), batch({ seed: 4 }));
});

test('makes batches of any length in one memory', () => {
  const memory = {};
  for (const order of [[3, 9], [20, 14, 1], [5]].map((indices) => Uint32Array.from(indices))) {
    const { images } = trainingBatch(split, geometry, order, options, memory);
    assert.deepEqual(images, trainingBatch(split, geometry, order, options).images);
  }
});

test('takes the centre unmirrored if neither is asked for', () => {
  const plain = { ...options, mirror: false, randomCrop: false };
  const { images } = trainingBatch(split, geometry, Uint32Array.of(7, 2), plain);
  assert.deepEqual(image(images, 1), expectedCrop(2, 1, 1, false));
});

test('hands generated images the stream that names the image', () => {
  const drawn: number[] = [];
  const generated: Split = {
    ...split,
    pixels: (n, stream) => {
      drawn.push(stream.bits());
      return split.pixels(n, stream);
    },
  };
  trainingBatch(generated, geometry, Uint32Array.of(5), options);
  croppedBatch(generated, geometry, [5], { top: 0, left: 0, mirror: false }, 8);
  assert.deepEqual(drawn, [random(3, 'augment', 2, 5).bits(), random(8, 'evaluate', 5).bits()]);
});
