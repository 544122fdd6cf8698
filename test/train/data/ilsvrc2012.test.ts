import assert from 'node:assert/strict';
import {
  copyFileSync,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { pack } from 'tar-stream';
import { random } from '../../../base/random.js';
import { openDataset } from '../../../train/data/open-dataset.js';
import { readStructs } from '../../../train/data/sources/mat-file.js';
import { loadImages } from '../../../train/data/stream/read-ahead.js';

// made by meta_mat.py with scipy
const META = fileURLToPath(new URL('../../../../test/fixtures/meta.mat', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'alexnet-ilsvrc-'));
after(() => rmSync(root, { recursive: true }));
const PX = 16;

test('reads the development kit’s struct array as scipy wrote it', () => {
  const synsets = readStructs(readFileSync(META), 'synsets');
  assert.equal(synsets.length, 5);
  assert.deepEqual(synsets[0], {
    ILSVRC2012_ID: [2],
    WNID: 'n02123045',
    words: 'tabby, tabby cat',
    gloss: 'a cat with a grey or tawny coat',
    num_children: [0],
    wordnet_height: [0],
    num_train_images: [1300],
    ...(synsets[0].children !== undefined && { children: [] }),
  });
  assert.equal(synsets[3].gloss, 'a place for public worship; a façade');
  assert.deepEqual(synsets[4].children, [2]);
  assert.throws(() => readStructs(readFileSync(META), 'other'), /no struct array other/);
  assert.throws(
    () => readStructs(readFileSync(META).subarray(0, 400), 'synsets'),
    /cut short|no struct array|unexpected end/,
  );
  assert.throws(() => readStructs(Buffer.from('no such file'), 'synsets'), /no MAT file, version 5/);
});

async function tarOf(files: [string, Buffer][]): Promise<Buffer> {
  const archive = pack();
  for (const [name, bytes] of files) archive.entry({ name }, bytes);
  archive.finalize();
  return buffer(archive);
}

const SYNSETS = ['n02119789', 'n02123045', 'n03028079', 'n04380533'];
const COLOURS = [
  [200, 30, 40],
  [20, 180, 60],
  [10, 40, 220],
  [150, 150, 20],
];
const jpeg = ([r, g, b]: number[]) =>
  sharp({ create: { width: 30, height: 20, channels: 3, background: { r, g, b } } })
    .jpeg({ quality: 100 })
    .toBuffer();

/** Three training images a class and five validation images, whose classes are 3, 1, 4, 2, 3. */
async function challenge(name: string): Promise<string> {
  const folder = join(root, name);
  mkdirSync(join(folder, 'ILSVRC2012_devkit_t12', 'data'), { recursive: true });
  copyFileSync(META, join(folder, 'ILSVRC2012_devkit_t12/data/meta.mat'));
  writeFileSync(join(folder, 'ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt'), '3\n1\n4\n2\n3\n');
  const outer: [string, Buffer][] = [];
  for (const [i, synset] of SYNSETS.entries()) {
    const bytes = await jpeg(COLOURS[i]);
    const inner = [7, 12, 3].map((number): [string, Buffer] => [`${synset}_${number}.JPEG`, bytes]);
    outer.push([`${synset}.tar`, await tarOf(inner)]);
  }
  writeFileSync(join(folder, 'ILSVRC2012_img_train.tar'), await tarOf(outer));
  const byId = [0, 1, 2, 3]; // numbers 1 to 4 are SYNSETS in order, see meta_mat.py
  const val = await Promise.all(
    [3, 1, 4, 2, 3].map(
      async (id, i): Promise<[string, Buffer]> => [
        `ILSVRC2012_val_0000000${i + 1}.JPEG`,
        await jpeg(COLOURS[byId[id - 1]]),
      ],
    ),
  );
  writeFileSync(join(folder, 'ILSVRC2012_img_val.tar'), await tarOf(val));
  return folder;
}

test('reads the challenge’s archives: tars inside a tar, and classes of the validation images from the kit', async () => {
  const folder = await challenge('whole');
  const { labels, synsets, splits } = await openDataset(`ilsvrc2012:${folder}`, { imagePx: PX });
  assert.deepEqual(synsets, SYNSETS);
  assert.deepEqual(labels, ['kit fox, Vulpes macrotis', 'tabby, tabby cat', 'church, church or chapel', 'table lamp']);
  assert.deepEqual([splits.train.length, splits.val.length], [12, 5]);
  for (const { length, labels: classes, pixels } of [splits.train, splits.val]) {
    for (let i = 0; i < length; i++) {
      const first = pixels(i, random('unused')).subarray(0, 3);
      COLOURS[classes[i]].forEach((level, c) => {
        assert.ok(Math.abs(first[c] - level) <= 4, `${i}: ${first}`);
      });
    }
  }
  assert.match(splits.val.name(0), /^val\/n02119789_kit_fox,_Vulpes_macrotis\/ILSVRC2012_val_00000002\.JPEG$/);
});

test('decodes images inside the inner archives again', async () => {
  const source = `ilsvrc2012:${await challenge('streamed')}`;
  const held = (await openDataset(source, { imagePx: PX })).splits;
  const streamed = (await openDataset(source, { imagePx: PX, stream: 'always' })).splits;
  for (const split of ['train', 'val']) {
    const order = Uint32Array.from({ length: held[split].length }, (_, i) => i);
    const images = await loadImages(streamed[split], order);
    for (const i of order) {
      const [a, b] = [images, held[split]].map(({ pixels }) => Buffer.from(pixels(i, random('unused'))));
      assert.deepEqual(a, b, held[split].name(i));
    }
  }
});

test('reads the kit from its archive too', async () => {
  const folder = await challenge('packed');
  const kit = join(folder, 'ILSVRC2012_devkit_t12');
  const files = ['data/meta.mat', 'data/ILSVRC2012_validation_ground_truth.txt'].map((name): [string, Buffer] => [
    `ILSVRC2012_devkit_t12/${name}`,
    readFileSync(join(kit, name)),
  ]);
  const stream = createWriteStream(`${kit}.tar.gz`);
  stream.end(await tarOf(files)); // whether it is compressed is told by its bytes
  await finished(stream);
  rmSync(kit, { recursive: true });
  assert.equal((await openDataset(`ilsvrc2012:${folder}`, { imagePx: PX })).splits.val.length, 5);
});

test('finds damage in the training archive and in those inside it', async () => {
  const folder = await challenge('damaged');
  const file = join(folder, 'ILSVRC2012_img_train.tar');
  const whole = readFileSync(file);
  const open = () => openDataset(`ilsvrc2012:${folder}`, { imagePx: PX });
  const rewritten = async (change: (inner: Buffer) => Buffer, name = 'n02119789.tar') => {
    const inner = await tarOf([['n02119789_7.JPEG', await jpeg(COLOURS[0])]]);
    writeFileSync(file, await tarOf([[name, change(inner)]]));
  };
  await rewritten((inner) => inner, 'n09999999.tar');
  await assert.rejects(open(), /img_train\.tar: n09999999\.tar is not a synset of the development kit/);
  await rewritten((inner) => inner.subarray(0, 700));
  await assert.rejects(open(), /img_train\.tar: n02119789\.tar: the archive inside is damaged: Unexpected end of data/);
  await rewritten((inner) => inner.subarray(0, -1024));
  await assert.rejects(
    open(),
    /n02119789\.tar: the archive inside is damaged: its closing blocks of zeros are missing/,
  );
  await rewritten((inner) => Buffer.from(inner.map((byte, at) => (at === 3 ? byte ^ 8 : byte))));
  await assert.rejects(open(), /n02119789\.tar: the archive inside is damaged: Invalid tar header/);
  writeFileSync(file, whole.subarray(0, whole.length - 2048));
  await assert.rejects(open(), /img_train\.tar: the archive is cut short or damaged after 3 members/);
});

test('says what is missing or damaged', async () => {
  const folder = await challenge('broken');
  const open = () => openDataset(`ilsvrc2012:${folder}`, { imagePx: PX });
  const truth = join(folder, 'ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt');
  writeFileSync(truth, '3\n1\n4\n2\n');
  await assert.rejects(open(), /ILSVRC2012_val_00000005\.JPEG has no line of .*, which has 4 images/);
  writeFileSync(truth, '3\n1\n1001\n2\n3\n');
  await assert.rejects(open(), /line 3 is "1001", not a class of data\/meta\.mat/);
  for (const wrong of ['-1', 'cat', '2.5']) {
    writeFileSync(truth, `3\n1\n4\n2\n${wrong}\n`);
    await assert.rejects(open(), new RegExp(`line 5 is "${wrong}", not a class of data/meta\\.mat`));
  }
  writeFileSync(truth, '3\n1\n4\n2\n3\n1\n');
  await assert.rejects(open(), /ILSVRC2012_img_val\.tar: holds 5 images, and .*ground_truth\.txt has 6/);
  writeFileSync(truth, '3\n1\n4\n2\n3\n');
  truncateSync(join(folder, 'ILSVRC2012_devkit_t12/data/meta.mat'), 300);
  await assert.rejects(open(), /data\/meta\.mat: cannot be read: /);
  const val = await openDataset(`ilsvrc2012:${await challenge('val')}`, { imagePx: PX, splits: ['val'] });
  assert.deepEqual([val.splits.train, val.splits.val.length, val.labels.length], [undefined, 5, 4]);
  rmSync(join(folder, 'ILSVRC2012_img_train.tar'));
  copyFileSync(META, join(folder, 'ILSVRC2012_devkit_t12/data/meta.mat'));
  await assert.rejects(open(), /ILSVRC2012_img_train\.tar: no such file; ilsvrc2012:DIR takes a folder with/);
});
