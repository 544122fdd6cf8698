import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { random } from '../../../base/random.js';
import type { Dataset } from '../../../train/data/dataset.js';
import { nearestNeighbour } from '../../../train/data/emoji/nearest-neighbour.js';
import { openDataset } from '../../../train/data/open-dataset.js';

const imagePx = 32;
let dataset: Dataset;
before(async () => {
  dataset = await openDataset('emoji', { imagePx });
});

test('keeps val images fixed between two openings and whatever stream is given', async () => {
  const again = await openDataset('emoji', { imagePx, splits: ['val'] });
  for (const index of [0, 41, 99]) {
    const first = dataset.splits.val.pixels(index, random('one'));
    assert.deepEqual(again.splits.val.pixels(index, random('two')), first, `${index}`);
  }
});

test('leaves the nearest neighbour where it was measured: far better centred than on random backgrounds', () => {
  const { train, 'test-centred': centred, 'test-random': test } = dataset.splits;
  const first100 = { ...test, length: 100, labels: test.labels.subarray(0, 100) };
  const onWhite = nearestNeighbour(train, centred, imagePx, { seed: 1 });
  const onColours = nearestNeighbour(train, first100, imagePx, { seed: 1 });
  // Measured: 20 % / 10 % wrong centred, 60 % / 33 % on all 500 random ones; 100 images have a standard error of 4 to 5
  // points.
  assert.ok(Math.abs(onWhite.top1Error - 0.2) < 0.05, `centred ${onWhite.top1Error}`);
  assert.ok(Math.abs(onWhite.top5Error - 0.1) < 0.05, `centred top 5 ${onWhite.top5Error}`);
  assert.ok(Math.abs(onColours.top1Error - 0.6) < 0.15, `random ${onColours.top1Error}`);
});
