import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { before, test } from 'node:test';
import sharp from 'sharp';
import { UserError } from '../../../base/errors.js';
import { random } from '../../../base/random.js';
import type { Dataset } from '../../../train/data/dataset.js';
import { decodeImage } from '../../../train/data/decode.js';
import { heldOutPng } from '../../../train/data/emoji/emoji.js';
import { EMOJI_CLASSES, HELD_OUT_VENDOR, TRAINING_VENDORS } from '../../../train/data/emoji/emoji-classes.js';
import { alphaBounds, renderDrawing, vendorSvgs } from '../../../train/data/emoji/emoji-drawings.js';
import { openDataset } from '../../../train/data/open-dataset.js';

const imagePx = 32;
let dataset: Dataset;
before(async () => {
  dataset = await openDataset('emoji', { imagePx });
});

const at = (pixels: Uint8Array, y: number, x: number) => [
  ...pixels.subarray((y * imagePx + x) * 3, (y * imagePx + x) * 3 + 3),
];
const fraction = (values: boolean[]) => values.filter(Boolean).length / values.length;

test('has one hundred classes that every vendor draws', () => {
  assert.equal(new Set(EMOJI_CLASSES).size, 100);
  for (const vendor of [...TRAINING_VENDORS, HELD_OUT_VENDOR]) {
    const svgs = vendorSvgs(vendor);
    assert.equal(new Set(svgs).size, 100, `${vendor.name}: one drawing a class`);
  }
});

test('joins drawings of the same code point if vendors publish code points', () => {
  const require = createRequire(import.meta.url);
  const byVendor = ['noto', 'openmoji', 'fluent-emoji-flat', 'twemoji'].map((vendor) => {
    const chars: Record<string, string> = require(`@iconify-json/${vendor}/chars.json`);
    const points = new Map(Object.entries(chars).map(([point, name]) => [name, point.replace(/-fe0f/g, '')]));
    return EMOJI_CLASSES.map((label) => points.get(label));
  });
  assert.ok(byVendor[0].every((point) => point !== undefined));
  for (const points of byVendor) assert.deepEqual(points, byVendor[0]);
});

test('names the licence each package states', () => {
  const require = createRequire(import.meta.url);
  for (const { name, licence } of [...TRAINING_VENDORS, HELD_OUT_VENDOR]) {
    assert.equal(require(`@iconify-json/${name}/info.json`).license.spdx, licence, name);
  }
});

test('has the splits described, each drawing labelled with its class', () => {
  const { splits, labels, notes, skipped } = dataset;
  assert.deepEqual(labels, [...EMOJI_CLASSES]);
  assert.deepEqual([notes, skipped], [[], []]);
  const lengths = Object.fromEntries(Object.entries(splits).map(([name, split]) => [name, split.length]));
  assert.deepEqual(lengths, {
    train: 6000,
    'train-centred': 600,
    val: 600,
    test: 500,
    'test-random': 500,
    'test-centred': 100,
  });
  assert.equal(splits.test, splits['test-random']);
  for (const [name, split] of Object.entries(splits)) {
    for (const index of [0, 57, split.length - 1]) {
      const [vendor, label] = split.name(index).replace(/#\d+$/, '').split('/');
      assert.equal(labels[split.labels[index]], label);
      assert.equal(vendor === 'twemoji', name.startsWith('test'), `${name}: ${split.name(index)}`);
    }
  }
});

test('draws different training images for each stream, and the same by the same stream', () => {
  const { train } = dataset.splits;
  assert.deepEqual(train.pixels(123, random(1, 2)), train.pixels(123, random(1, 2)));
  assert.notDeepEqual(train.pixels(123, random(1, 2)), train.pixels(123, random(1, 3)));
  assert.equal(train.name(723), `${train.name(123).replace('#0', '')}#1`);
});

test('trains on white for half of the draws, brightness 0.85 to 1.15, any colour else', () => {
  // The moon leaves the upper left corner free in every size and shift.
  const moon = EMOJI_CLASSES.indexOf('crescent-moon');
  const corners = Array.from({ length: 400 }, (_, draw) =>
    at(dataset.splits.train.pixels(moon, random('corner', draw)), 0, 0),
  );
  const greys = corners.filter(([r, g, b]) => r === g && g === b);
  // 400 draws, standard deviation 0.025: four of them either side.
  assert.ok(Math.abs(greys.length / 400 - 0.5) < 0.1, `${greys.length} of 400 grey`);
  assert.ok(
    greys.every(([grey]) => grey >= Math.floor(0.85 * 255)),
    'white, darkened to 0.85 at most',
  );
  // A gain above 1 is cut off at 255, one below leaves it darker: half each.
  assert.ok(Math.abs(fraction(greys.map(([grey]) => grey === 255)) - 0.5) < 0.15);
});

test('keeps test images fixed between two openings and whatever stream is given', async () => {
  const again = await openDataset('emoji', { imagePx, splits: ['test'] });
  for (const split of ['test-random', 'test-centred']) {
    for (const index of [0, 41, 99]) {
      const first = dataset.splits[split].pixels(index, random('one'));
      assert.deepEqual(again.splits[split].pixels(index, random('two')), first, `${split} ${index}`);
    }
  }
  const test = dataset.splits['test-random'];
  assert.notDeepEqual(test.pixels(0, random(0)), test.pixels(100, random(0)), 'the draws of one drawing differ');
});

test('fits what is drawn to the image: centred drawings touch two opposite edges', () => {
  const split = dataset.splits['test-centred'];
  for (let index = 0; index < split.length; index++) {
    const pixels = split.pixels(index, random(0));
    const coloured = (y: number, x: number) => at(pixels, y, x).some((value) => value < 250);
    const line = Array.from({ length: imagePx }, (_, i) => i);
    const touches = [
      line.some((i) => coloured(0, i)) && line.some((i) => coloured(31, i)),
      line.some((i) => coloured(i, 0)) && line.some((i) => coloured(i, 31)),
    ];
    assert.ok(touches.includes(true), split.name(index));
  }
});

test('finds the box of what is drawn, and renders it at the size asked for', async () => {
  const rgba = new Uint8Array(5 * 4 * 4);
  for (const [x, y] of [
    [1, 2],
    [3, 1],
  ]) {
    rgba[(y * 5 + x) * 4 + 3] = 200;
  }
  rgba[3] = 7; // all but transparent
  assert.deepEqual(alphaBounds(rgba, 5, 4), { left: 1, top: 1, width: 3, height: 2 });

  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><rect x="30" y="60" width="40" height="20" fill="#c81e0a"/></svg>';
  const [small, large] = await renderDrawing(svg, [10, 30]);
  assert.deepEqual([small.width, small.height, large.width, large.height], [10, 5, 30, 15]);
  assert.deepEqual([...large.rgba.subarray((7 * 30 + 15) * 4, (7 * 30 + 15) * 4 + 4)], [200, 30, 10, 255]);
});

test('offers a held-out drawing as a PNG that decodes to nearly its centred test image', async () => {
  const png = await heldOutPng('rocket');
  const { format, width, height } = await sharp(png).metadata();
  assert.deepEqual([format, width, height], ['png', 256, 256]);
  const decoded = await decodeImage(png, imagePx);
  const test = dataset.splits['test-centred'].pixels(EMOJI_CLASSES.indexOf('rocket'), random(0));
  const difference = decoded.reduce((sum, value, i) => sum + Math.abs(value - test[i]), 0) / decoded.length;
  // Scaled down once against twice: edges differ. Another drawing differs by 40 and more.
  assert.ok(difference < 8, `mean difference ${difference}`);
  await assert.rejects(heldOutPng('unicorn'), (error: Error) => {
    assert.ok(error instanceof UserError);
    assert.match(error.message, /no class "unicorn"; the classes are airplane, ambulance/);
    return true;
  });
});

test('tells what to install if a package is missing', () => {
  assert.throws(
    () => vendorSvgs({ name: 'no-such-vendor', licence: '' }),
    (error: Error) => {
      assert.ok(error instanceof UserError);
      assert.match(
        error.message,
        /@iconify-json\/no-such-vendor is not installed; run: npm install @iconify-json\/noto /,
      );
      return true;
    },
  );
});

test('sizes drawings to larger images', async () => {
  const large = await openDataset('emoji', { imagePx: 64, splits: ['test-centred'] });
  assert.deepEqual(Object.keys(large.splits).sort(), ['test', 'test-centred', 'test-random']);
  const pixels = large.splits['test-centred'].pixels(EMOJI_CLASSES.indexOf('tomato'), random(0));
  assert.equal(pixels.length, 64 * 64 * 3);
  assert.ok(pixels[(32 * 64 + 32) * 3] > 150 && pixels[(32 * 64 + 32) * 3 + 2] < 120, 'red in the middle');
});
