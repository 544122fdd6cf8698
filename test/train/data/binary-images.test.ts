import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { random } from '../../../base/random.js';
import { openDataset } from '../../../train/data/open-dataset.js';
import { loadImages } from '../../../train/data/stream/read-ahead.js';

const root = mkdtempSync(join(tmpdir(), 'alexnet-binary-'));
after(() => rmSync(root, { recursive: true }));
const stream = random('unused');

const CLASSES = ['plane', 'car', 'bird'];
const PLANE = 32 * 32;

/** Three records a file; plane c of record n in file f holds f · 40 + n · 20 + c in its first row, and 0 below. */
function cifar(name: string): string {
  const folder = join(root, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'batches.meta.txt'), `${CLASSES.join('\n')}\n\n`);
  const files = [1, 2, 3, 4, 5].map((n) => `data_batch_${n}.bin`);
  for (const [f, file] of [...files, 'test_batch.bin'].entries()) {
    const bytes = Buffer.alloc(3 * (1 + 3 * PLANE));
    for (let n = 0; n < 3; n++) {
      const start = n * (1 + 3 * PLANE);
      bytes[start] = (f + n) % 3;
      for (let c = 0; c < 3; c++) bytes.fill(f * 40 + n * 20 + c, start + 1 + c * PLANE, start + 1 + c * PLANE + 32);
    }
    writeFileSync(join(folder, file), bytes);
  }
  return folder;
}

test('reads CIFAR-10’s binary version: classes, splits, planes to pixels', async () => {
  const { labels, splits } = await openDataset(`cifar10:${cifar('cifar')}`, { imagePx: 32 });
  assert.deepEqual(labels, ['bird', 'car', 'plane']);
  assert.deepEqual([splits.train.length, splits.test.length], [15, 3]);
  const at = Array.from({ length: 15 }, (_, i) => i).find((i) =>
    splits.train.name(i).endsWith('data_batch_2-00001.png'),
  )!;
  assert.equal(splits.train.name(at), 'train/bird/data_batch_2-00001.png'); // file 1, record 1: class 2
  assert.equal(splits.train.labels[at], 0);
  const pixels = splits.train.pixels(at, stream);
  assert.deepEqual([...pixels.subarray(0, 6)], [60, 61, 62, 60, 61, 62]);
  assert.deepEqual([...pixels.subarray(32 * 3, 32 * 3 + 3)], [0, 0, 0]);
  const streamed = await openDataset(`cifar10:${join(root, 'cifar')}`, { imagePx: 32, stream: 'always' });
  const loaded = await loadImages(streamed.splits.train, Uint32Array.of(at));
  assert.deepEqual([...loaded.pixels(at, stream)], [...pixels]);
});

test('says what is wrong with CIFAR-10 files', async () => {
  const folder = cifar('broken');
  const open = () => openDataset(`cifar10:${folder}`, { imagePx: 32 });
  writeFileSync(join(folder, 'data_batch_3.bin'), Buffer.alloc(5000));
  await assert.rejects(open(), /data_batch_3\.bin: expected records of 3073 bytes, got 5000 bytes/);
  writeFileSync(join(folder, 'data_batch_3.bin'), Buffer.alloc(3073, 9));
  await assert.rejects(open(), /data_batch_3\.bin: image 0 has the class 9; expected 0 to 2/);
  writeFileSync(join(folder, 'data_batch_3.bin'), Buffer.alloc(0));
  await assert.rejects(open(), /data_batch_3\.bin: expected records of 3073 bytes, got 0 bytes/);
  writeFileSync(join(folder, 'batches.meta.txt'), 'plane\ncar\nplane\n');
  await assert.rejects(open(), /batches\.meta\.txt: two classes are named plane/);
  writeFileSync(join(folder, 'batches.meta.txt'), `${CLASSES.join('\n')}\n`);
  rmSync(join(folder, 'test_batch.bin'));
  writeFileSync(join(folder, 'data_batch_3.bin'), Buffer.alloc(3073));
  await assert.rejects(open(), /test_batch\.bin: cannot be read \(ENOENT\)/);
});

const idx = (magic: number, lengths: number[], values: number[]) => {
  const head = Buffer.alloc(4 + 4 * lengths.length);
  head.writeUInt32BE(magic, 0);
  for (const [axis, length] of lengths.entries()) head.writeUInt32BE(length, 4 + 4 * axis);
  return Buffer.concat([head, Buffer.from(values)]);
};

test('reads IDX files, grey, packed or not', async () => {
  const folder = join(root, 'idx');
  mkdirSync(folder);
  const [height, width] = [6, 6];
  const images = (count: number) =>
    idx(
      0x803,
      [count, height, width],
      Array.from({ length: count * 36 }, (_, i) => Math.floor(i / 36) * 50 + 7),
    );
  writeFileSync(join(folder, 'train-images-idx3-ubyte'), images(4));
  writeFileSync(join(folder, 'train-labels-idx1-ubyte.gz'), gzipSync(idx(0x801, [4], [7, 0, 3, 0])));
  writeFileSync(join(folder, 't10k-images-idx3-ubyte.gz'), gzipSync(images(3)));
  writeFileSync(join(folder, 't10k-labels-idx1-ubyte'), idx(0x801, [3], [0, 7, 3]));
  const { labels, splits } = await openDataset(`idx:${folder}`, { imagePx: 6 });
  assert.deepEqual(labels, ['00', '03', '07']);
  assert.deepEqual([...splits.train.labels], [0, 0, 1, 2]);
  assert.deepEqual([...splits.train.pixels(2, stream).subarray(0, 3)], [107, 107, 107]); // image 2, of class 3
  writeFileSync(join(folder, 't10k-labels-idx1-ubyte'), idx(0x801, [3], [0, 7, 9]));
  await assert.rejects(openDataset(`idx:${folder}`, { imagePx: 6 }), /train\/ lacks 09, which test\/ has/);
  writeFileSync(join(folder, 't10k-labels-idx1-ubyte'), idx(0x801, [2], [0, 7]));
  await assert.rejects(openDataset(`idx:${folder}`, { imagePx: 6 }), /t10k has 3 images and 2 labels/);
  writeFileSync(join(folder, 't10k-labels-idx1-ubyte'), idx(0x801, [3], [0]));
  await assert.rejects(openDataset(`idx:${folder}`, { imagePx: 6 }), /expected 3 values for \[3\], got 1/);
  rmSync(join(folder, 't10k-images-idx3-ubyte.gz'));
  writeFileSync(join(folder, 't10k-images-idx3-ubyte'), images(0));
  writeFileSync(join(folder, 't10k-labels-idx1-ubyte'), idx(0x801, [0], []));
  await assert.rejects(openDataset(`idx:${folder}`, { imagePx: 6 }), /t10k has no images/);
  writeFileSync(join(folder, 't10k-images-idx3-ubyte'), images(3).subarray(0, 70));
  await assert.rejects(openDataset(`idx:${folder}`, { imagePx: 6 }), /expected 108 values for \[3,6,6\], got 54/);
});
