/** Nearest and strongest images from an index, against brute force on tfjs's own features. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { CropNetwork } from '../../serve/views/engine/crop-network.js';
import { buildIndex, type Images } from '../../serve/views/index/build-index.js';
import { ImageIndex } from '../../serve/views/index/image-index.js';
import { assertClose } from '../model/close.js';
import { errorOf, post, running } from './running.js';
import { cropOf, LABELS, pixelsOf, pngOf, valuesOf, writeSmallNetwork } from './small-network.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-index-'));
after(() => rmSync(folder, { recursive: true }));
const file = await writeSmallNetwork(join(folder, 'small.onnx'));
const network = await CropNetwork.open({ file, maxPixels: 1e6 });
after(() => network.release());

const COUNT = 61;
const images: Images = {
  data: 'noise',
  split: 'train',
  length: COUNT,
  name: (index) => `train/${index}.png`,
  label: (index) => LABELS[index % LABELS.length],
  pixels: (index) => pixelsOf(100 + index),
};
const indexFile = join(folder, 'small.index');
await buildIndex(network, images, indexFile);
const { url } = await running({ file, index: indexFile });

const crops = Array.from({ length: COUNT }, (_, i) => cropOf(pixelsOf(100 + i)));
const features = valuesOf(crops, 'fc7').data; // [COUNT, 7]
const asked = pixelsOf(7);

/** Positions, nearest first, with distances. */
function bruteForce(pixels: Uint8Array): [number, number][] {
  const { data } = valuesOf([cropOf(pixels)], 'fc7');
  const distance = (i: number) => Math.hypot(...data.map((value, j) => value - features[i * 7 + j]));
  return Array.from({ length: COUNT }, (_, i): [number, number] => [i, distance(i)]).sort((a, b) => a[1] - b[1]);
}

type Neighbours = {
  layer: string;
  method: string;
  neighbours: { name: string; label: string; distance: number; thumbnail: string }[];
};

test('finds the nearest images in the last hidden layer, with their distances and what they look like', async () => {
  const response = await post(url, await pngOf(asked), {}, '/explain/neighbours?k=6');
  const { layer, method, neighbours } = (await response.json()) as Neighbours;
  assert.deepEqual([layer, method], ['fc7', 'exact']);
  const expected = bruteForce(asked).slice(0, 6);
  assert.deepEqual(
    neighbours.map(({ name }) => name),
    expected.map(([i]) => `train/${i}.png`),
  );
  assert.deepEqual(
    neighbours.map(({ label }) => label),
    expected.map(([i]) => LABELS[i % 5]),
  );
  // 1e-4: features up to some tens, from float32 sums in two orders.
  assertClose(
    neighbours.map(({ distance }) => distance),
    expected.map(([, distance]) => distance),
    1e-4,
  );
  const [, jpeg] = neighbours[0].thumbnail.split('data:image/jpeg;base64,');
  const { data } = await sharp(Buffer.from(jpeg, 'base64')).raw().toBuffer({ resolveWithObject: true });
  const original = pixelsOf(100 + expected[0][0]);
  const mean = (values: Uint8Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
  assert.ok(Math.abs(mean(data) - mean(original)) < 3, 'the thumbnail is of another image');
});

test('an image of the index is its own nearest, at no distance', async () => {
  const response = await post(url, await pngOf(pixelsOf(142)), {}, '/explain/neighbours?k=1');
  const { neighbours } = (await response.json()) as Neighbours;
  assert.equal(neighbours[0].name, 'train/42.png');
  assert.ok(neighbours[0].distance < 1e-3);
});

test('approximate search finds nearly what exact search does, and distances are exact', async () => {
  const approximate = join(folder, 'approximate.index');
  const header = await buildIndex(network, images, approximate, { exactUpTo: 10 });
  assert.equal(header.graph?.dimension, 256);
  const index = await ImageIndex.open(approximate);
  after(() => index.close());
  let hits = 0;
  for (let name = 0; name < 10; name++) {
    const { data } = valuesOf([cropOf(pixelsOf(name))], 'fc7');
    const expected = bruteForce(pixelsOf(name)).slice(0, 5);
    const found = await index.nearest(data, 5);
    hits += found.filter(({ image }) => expected.some(([i]) => i === image)).length;
    for (const { image, distance } of found)
      assertClose([distance], [bruteForce(pixelsOf(name)).find(([i]) => i === image)![1]], 1e-4);
  }
  assert.ok(hits >= 48, `${hits} of 50`);
});

test('shows the images that excite a unit most, and where it looked', async () => {
  const maps = valuesOf(crops, 'conv2').data; // [COUNT, 12, 3, 3]
  for (const channel of [0, 5, 11]) {
    const response = await fetch(`${url}/explain/strongest?layer=conv2&channel=${channel}`);
    const { strongest } = (await response.json()) as {
      strongest: { name: string; value: number; y: number; x: number; field: object }[];
    };
    const best = crops.map((_, i) => {
      const map = maps.subarray((i * 12 + channel) * 9, (i * 12 + channel + 1) * 9);
      return { image: i, value: Math.max(...map) };
    });
    const expected = best
      .filter(({ value }) => value > 0)
      .sort((a, b) => b.value - a.value || a.image - b.image)
      .slice(0, 9);
    assert.deepEqual(
      strongest.map(({ name }) => name),
      expected.map(({ image }) => `train/${image}.png`),
    );
    assertClose(
      strongest.map(({ value }) => value),
      expected.map(({ value }) => value),
      1e-3,
    );
    for (const { name, value, y, x, field } of strongest) {
      const image = Number(/\d+/.exec(name)![0]);
      assertClose([maps[(image * 12 + channel) * 9 + y * 3 + x]], [value], 1e-3);
      // Sees 17 pixels, 4 apart, from −4 on, of the crop of 19 that begins at 2; clipped.
      const along = (at: number) => [Math.max(0, 4 * at - 4), Math.min(19, 4 * at + 13)];
      const [[top, bottom], [left, right]] = [along(y), along(x)];
      assert.deepEqual(field, { top: 2 + top, left: 2 + left, height: bottom - top, width: right - left });
    }
  }
  const { message } = await errorOf(fetch(`${url}/explain/strongest?layer=conv2&channel=12`));
  assert.equal(message, 'channel: expected a whole number from 0 to 11, got 12');
});

test('refuses to start with an index that is damaged, cut short, no index, or of another model', async () => {
  const damaged = join(folder, 'damaged.index');
  const bytes = readFileSync(indexFile);
  const starting = (index: string, model = file) => running({ file: model, index });
  for (const at of [20, Math.floor(bytes.length / 2), bytes.length - 100, bytes.length - 5]) {
    const changed = Buffer.from(bytes);
    changed[at] ^= 0x40;
    writeFileSync(damaged, changed);
    await assert.rejects(starting(damaged), { name: 'UserError', message: /damaged\.index: the index is damaged/ });
  }
  for (const length of [0, 11, 40, bytes.length - 1]) {
    writeFileSync(damaged, bytes.subarray(0, length));
    await assert.rejects(starting(damaged), { name: 'UserError', message: /damaged|no index of images/ });
  }
  await assert.rejects(starting(file), { message: /small\.onnx: no index of images; make one with "alexnet index/ });
  await assert.rejects(starting(join(folder, 'absent')), { message: /no such file/ });
  const other = await writeSmallNetwork(join(folder, 'other.onnx'), 'tensor');
  await assert.rejects(starting(indexFile, other), { message: /made with another file of small/ });
});

test('shows of another model of the server all but what needs the index', async () => {
  const other = writeTinyModel(join(folder, 'tiny.onnx'));
  const { url } = await running({ files: [file, other], index: indexFile });
  const views = async (model: string) => {
    const { layers } = (await (await fetch(`${url}/explain/layers?model=${model}`)).json()) as {
      layers: { name: string; views: string[] }[];
    };
    return layers.filter((layer) => layer.views.includes('strongest')).map(({ name }) => name);
  };
  assert.deepEqual(await views('small'), ['conv1', 'conv2', 'fc6', 'fc7', 'fc8']);
  assert.deepEqual(await views('quarters'), []);
  const { status, message } = await errorOf(post(url, await pngOf(asked), {}, '/explain/neighbours?model=quarters'));
  assert.deepEqual([status, message], [404, 'the index was made with another model file']);
});

test('leaves an index that was there as it was when another cannot be made', async () => {
  const kept = join(folder, 'kept.index');
  copyFileSync(indexFile, kept);
  const before = statSync(kept).mtimeMs;
  const failing = {
    ...images,
    pixels: (index: number) => (index < 20 ? pixelsOf(index) : assert.fail('unreadable')),
  };
  await assert.rejects(buildIndex(network, failing, kept), /unreadable/);
  assert.equal(statSync(kept).mtimeMs, before);
  assert.throws(() => statSync(`${kept}.alexnet-tmp`));
});
