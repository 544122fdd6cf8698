import assert from 'node:assert/strict';
import { rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { UserError } from '../../../base/errors.js';
import { random } from '../../../base/random.js';
import { prepare } from '../../../cli/prepare.js';
import { openDataset } from '../../../train/data/open-dataset.js';
import { type Files, plainPng, tarBytes, temporaryFolder, writeFiles } from './tiny-images.js';

const imagePx = 5;
let red: Buffer;
let green: Buffer;
let blue: Buffer;
before(async () => {
  [red, green, blue] = await Promise.all([plainPng(250, 10, 20), plainPng(30, 240, 40), plainPng(50, 60, 230)]);
});

const open = (folder: string, more: object = {}) => openDataset(`webdataset:${folder}`, { imagePx, ...more });

/** Name, label and first pixel of every image. */
async function contents(folder: string, split: string) {
  const dataset = await open(folder);
  const { length, labels, name, pixels } = dataset.splits[split];
  return Array.from({ length }, (_, i) => [
    name(i),
    dataset.labels[labels[i]],
    [...pixels(i, random(0)).subarray(0, 3)],
  ]);
}

const shardsOf = async (shards: Record<string, Files>): Promise<Files> =>
  Object.fromEntries(
    await Promise.all(Object.entries(shards).map(async ([name, files]) => [name, await tarBytes(files)])),
  );

test('reads shards in folders of splits: numbers as classes, in the order of numbers', async (t) => {
  const shards = await shardsOf({
    'train/b-000001.tar': {
      '0003.cls': '10',
      '0003.png': blue,
      'deep/v1.2/0004.png': red,
      'deep/v1.2/0004.cls': '9\n',
    },
    'train/b-000000.tar': { '0001.png': green, '0001.cls': '2', '0001.txt': 'a caption', '0001.seg.png': red },
    'val/b-000000.tar': {
      '1.json': '{"label":10,"width":9}',
      '1.png': green,
      '2.json': '{"cls":"2"}',
      '2.PNG': red,
      'index.json': '{"samples":3}',
      '3.png': blue,
      '3.json': '{"label":5}',
      '3.cls': '09',
    },
  });
  const folder = await writeFiles(t, shards);
  assert.deepEqual((await open(folder)).labels, ['2', '9', '10']);
  assert.deepEqual(await contents(folder, 'train'), [
    ['train/10/b-000001/0003.png', '10', [50, 60, 230]],
    ['train/2/b-000000/0001.png', '2', [30, 240, 40]],
    ['train/9/b-000001/deep/v1.2/0004.png', '9', [250, 10, 20]],
  ]);
  assert.deepEqual(await contents(folder, 'val'), [
    ['val/10/b-000000/1.png', '10', [30, 240, 40]],
    ['val/2/b-000000/2.png', '2', [250, 10, 20]],
    ['val/9/b-000000/3.png', '9', [50, 60, 230]],
  ]);
});

test('takes classes by the lines of classes.txt, in its order, and splits by words of the shards’ names', async (t) => {
  const shards = await shardsOf({
    'pets-train-0.tar': { 'a.cls': '3', 'a.png': red, 'b.cls': '0', 'b.png': green },
    'pets-Validation-0.tar': { 'c.cls': 'ant', 'c.png': red, 'd.json': '{"label":"yak/ox"}', 'd.png': blue },
    'pets-7.tar': { 'e.cls': '3', 'e.png': red },
    'notes.txt': {},
  });
  const folder = await writeFiles(t, { ...shards, 'classes.txt': 'yak/ox\r\ncat\r\nemu\r\nant\r\n' });
  const { labels, splits, notes } = await open(folder);
  assert.deepEqual(labels, ['yak or ox', 'ant']);
  assert.deepEqual(notes, ['classes without an image, left out: cat, emu']);
  assert.deepEqual(Object.keys(splits).sort(), ['test', 'train', 'val']);
  assert.deepEqual(
    [[...splits.train.labels], [...splits.val.labels]],
    [
      [1, 1, 0],
      [1, 0],
    ],
  );
});

test('reads classes.txt in Latin-1 or with a byte order mark', async (t) => {
  const shards = await shardsOf({ 'train-0.tar': { 'a.cls': '0', 'a.png': red, 'b.cls': '1', 'b.png': green } });
  for (const bytes of [Buffer.from('\ufeffcafé\nthé\n'), Buffer.from('café\nthé\n', 'latin1')]) {
    const { labels } = await open(await writeFiles(t, { ...shards, 'classes.txt': bytes }));
    assert.deepEqual(labels, ['café', 'thé']);
  }
});

test('takes names as classes, and the training images as val if no shard says otherwise', async (t) => {
  const files = { '1.cls': 'dog', '1.png': red, '2.cls': 'cat', '2.png': green };
  const { labels, splits, notes } = await open(await writeFiles(t, await shardsOf({ 'a.tar': files })));
  assert.deepEqual([labels, splits.val === splits.train], [['cat', 'dog'], true]);
  assert.match(notes.join(), /images trained on also serve as val and test/);
});

test('opens no training shard if only val is wanted', async (t) => {
  const val = await shardsOf({ 'val/0.tar': { '1.cls': '0', '1.png': red, '2.cls': '1', '2.png': green } });
  const folder = await writeFiles(t, { ...val, 'train/0.tar': 'no archive' });
  const { splits, labels } = await open(folder, { splits: ['val'] });
  assert.deepEqual([Object.keys(splits).sort(), splits.val.length, labels], [['test', 'val'], 2, ['0', '1']]);
});

test('prepares shards to the images that they hold', async (t) => {
  const files = { '1.cls': '11', '1.png': red, '2.cls': '2', '2.png': green, '3.cls': '11', '3.png': blue };
  const folder = await writeFiles(t, await shardsOf({ 'train/0.tar': files, 'test/0.tar': files }));
  const out = join(await temporaryFolder(t), 'pack');
  const silent = { note: () => undefined, work: () => undefined };
  await prepare({ data: `webdataset:${folder}`, out, imagePx, force: false }, silent);
  const [pack, shards] = [await openDataset(out, { imagePx }), await open(folder)];
  assert.deepEqual([pack.labels, pack.splits.train.labels], [shards.labels, shards.splits.train.labels]);
  for (let i = 0; i < 3; i++) {
    const [a, b] = [pack, shards].map(({ splits }) => Buffer.from(splits.train.pixels(i, random(0))));
    assert.deepEqual(a, b);
  }
});

/** Opening must fail with a UserError that names shard and sample. */
async function refuses(folder: string, pattern: RegExp): Promise<void> {
  await assert.rejects(open(folder), (error: Error) => {
    assert.ok(error instanceof UserError, error.stack);
    assert.ok(error.message.startsWith(folder), error.message);
    assert.match(error.message, pattern);
    return true;
  });
}

test('names shard and sample of what is missing, twice or out of range', async (t) => {
  const good = { '1.cls': '0', '1.png': red };
  const inShard = async (files: Files, classes?: string) =>
    writeFiles(t, {
      ...(await shardsOf({ 's-1.tar': { ...good, ...files } })),
      ...(classes && { 'classes.txt': classes }),
    });
  const where = String.raw`s-1\.tar: sample k/2: `;
  for (const [files, classes, says] of [
    [{ 'k/2.png': red }, undefined, 'has no class \\(\\.cls, or \\.json with "label" or "cls"\\); the files'],
    [{ 'k/2.png': red, 'k/2.json': '{"size":3}' }, undefined, 'has no class'],
    [{ 'k/2.png': red, '3.cls': '1', '3.png': red, 'k/2.cls': '1' }, undefined, 'has no class'],
    [{ 'k/2.cls': '1', 'k/2.bmp': red }, undefined, 'has no image'],
    [{ 'k/2.png': red, 'k/2.jpg': red, 'k/2.cls': '1' }, undefined, 'has two images, \\.png and \\.jpg; expected one'],
    [{ 'k/2.png': red, 'k/2.PNG': red, 'k/2.cls': '1' }, undefined, 'has two files \\.png'],
    [{ 'k/2.png': red, 'k/2.cls': '-1' }, undefined, 'its class is "-1"; expected a whole number from 0, or a name'],
    [{ 'k/2.png': red, 'k/2.cls': '1.5' }, undefined, 'its class is "1\\.5"; expected a whole number'],
    [{ 'k/2.png': red, 'k/2.cls': '\n' }, undefined, 'its class is ""; expected a whole number'],
    [{ 'k/2.png': red, 'k/2.cls': 'NaN' }, undefined, 'its class is "NaN"; expected a number, as samples before have'],
    [{ 'k/2.png': red, 'k/2.json': '{"label":' }, undefined, 'its \\.json cannot be read: '],
    [
      { 'k/2.png': red, 'k/2.json': '{"label":[1]}' },
      undefined,
      'the class in its \\.json is \\[1\\]; expected a number or a name',
    ],
    [
      { 'k/2.png': red, 'k/2.cls': '3' },
      'cat\ndog\n3\n',
      'its class is "3"; expected 0 to 2, as classes\\.txt has lines',
    ],
    [
      { 'k/2.png': red, 'k/2.cls': 'yak' },
      'cat\ndog\n',
      'its class is "yak"; expected a number, or a name in classes\\.txt',
    ],
  ] as [Files, string | undefined, string][]) {
    await refuses(await inShard(files, classes), new RegExp(where + says));
  }
});

test('refuses one class, a class that train lacks, names that are equal, and folders without shards', async (t) => {
  const one = { '1.cls': '7', '1.png': red };
  const two = { ...one, '2.cls': '12', '2.png': red };
  await assert.rejects(open(await writeFiles(t, await shardsOf({ '0.tar': one }))), /only one class, 7\//);
  const lacking = await writeFiles(t, await shardsOf({ 'train/0.tar': one, 'val/0.tar': two }));
  await assert.rejects(open(lacking), /train\/ lacks 12, which val\/ has/);
  const shards = await shardsOf({ '0.tar': two });
  await refuses(
    await writeFiles(t, { ...shards, 'classes.txt': 'crane\ncat\ncrane\n' }),
    /lines 1 and 3 are both "crane"/,
  );
  await refuses(await writeFiles(t, { ...shards, 'classes.txt': 'crane\n\ncat\n' }), /line 2 is empty/);
  await refuses(await writeFiles(t, { 'pictures.zip': 'x' }), /no \.tar shards here, nor folders/);
  await refuses(await writeFiles(t, { ...shards, 'val/': null }), /val: no \.tar shards here/);
  await refuses(join(await temporaryFolder(t), 'nowhere'), /nowhere: cannot be read \(ENOENT\)/);
});

test('refuses a shard that is cut short or has a flipped byte in a header, and lists an image that is damaged', async (t) => {
  const files: Files = {};
  for (let i = 0; i < 120; i++) {
    files[`${i}.cls`] = String(i % 2);
    files[`${i}.png`] = i === 77 ? green.subarray(0, 40) : red;
  }
  const folder = await writeFiles(t, await shardsOf({ 's-1.tar': files, 's-2.tar': { 'x.cls': '1', 'x.png': red } }));
  const { skipped, splits } = await open(folder);
  assert.deepEqual([skipped.map(({ name }) => name), splits.train.length], [['train/1/s-1/77.png'], 120]);
  const bytes = await tarBytes(files);
  const shard = join(folder, 's-1.tar');
  await truncate(shard, 20 * 512 + 40);
  await refuses(folder, /s-1\.tar: the archive is cut short or damaged after \d+ members/);
  await writeFile(shard, bytes.subarray(0, 50 * 1024 + 512 + 40)); // inside an image
  await refuses(folder, /s-1\.tar: the archive is cut short or damaged after \d+ members .*Unexpected end of data/);
  await truncate(shard, 20 * 512);
  await refuses(folder, /s-1\.tar: the archive is cut short or damaged after \d+ members .*closing blocks/);
  bytes[40 * 512 + 5] ^= 4; // of the header of some member
  await writeFile(shard, bytes);
  await refuses(folder, /s-1\.tar: the archive is cut short or damaged after \d+ members .*Invalid tar header/);
  await rm(shard);
  await assert.rejects(open(folder), /only one class/);
});
