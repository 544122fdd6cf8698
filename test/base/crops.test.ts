import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CropCount, centreCrop, cropsOf, tenCrops } from '../../base/crops.js';
import { ShapeError } from '../../base/errors.js';

test('cuts ten crops: corners row by row, centre, then the same mirrored', () => {
  // 256 − 227 = 29; the centre starts at 14.5, rounded down as Caffe does
  const upright = [
    [0, 0],
    [0, 29],
    [29, 0],
    [29, 29],
    [14, 14],
  ];
  assert.deepEqual(
    tenCrops(256, 227),
    [false, true].flatMap((mirror) => upright.map(([top, left]) => ({ top, left, mirror }))),
  );
});

test('cuts the centre of an image with an even margin', () => {
  assert.deepEqual(centreCrop(32, 24), { top: 4, left: 4, mirror: false });
});

test('gives the image and its mirror image if the input is the whole image', () => {
  assert.deepEqual(tenCrops(32, 32), [
    { top: 0, left: 0, mirror: false },
    { top: 0, left: 0, mirror: true },
  ]);
});

test('cuts one, two or five crops in the order of the ten', () => {
  const ten = tenCrops(32, 24);
  assert.deepEqual(cropsOf(1, 32, 24), [ten[4]]);
  assert.deepEqual(cropsOf(2, 32, 24), [ten[4], ten[9]]);
  assert.deepEqual(cropsOf(5, 32, 24), ten.slice(0, 5));
  assert.deepEqual(cropsOf(10, 32, 24), ten);
  const [whole, mirrored] = tenCrops(32, 32);
  const ofWhole = ([1, 2, 5, 10] as CropCount[]).map((count) => cropsOf(count, 32, 32));
  assert.deepEqual(ofWhole, [[whole], [whole, mirrored], [whole], [whole, mirrored]]);
});

test('refuses an image smaller than the input', () => {
  for (const crops of [tenCrops, centreCrop]) {
    assert.throws(
      () => crops(224, 227),
      (error: Error) =>
        error instanceof ShapeError &&
        error.message === "crops: expected an image of at least the network's 227 pixels, got 224",
    );
  }
});
