import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { random } from '../../../base/random.js';
import { prepare } from '../../../cli/prepare.js';
import { openDataset } from '../../../train/data/open-dataset.js';
import { loadImages } from '../../../train/data/stream/read-ahead.js';
import { alexnet } from '../../real/shared-process.js';

const root = mkdtempSync(join(tmpdir(), 'alexnet-pack-'));
after(() => rmSync(root, { recursive: true }));
const PX = 12;
const RECORD = PX * PX * 3;
const silent = { note: () => undefined, work: () => undefined };

/** Three classes, splits of 11 and 5 images, noise of different sizes. */
async function images(name: string): Promise<string> {
  const folder = join(root, name);
  let n = 0;
  for (const [split, counts] of Object.entries({ train: [4, 5, 2], val: [1, 1, 3] })) {
    for (const [i, label] of ['ant', 'bee', 'cat'].entries()) {
      mkdirSync(join(folder, split, label), { recursive: true });
      for (let k = 0; k < counts[i]; k++, n++) {
        const [width, height] = [13 + n, 20];
        const pixels = Uint8Array.from({ length: width * height * 3 }, (_, at) => (at * 31 + n * 77) % 256);
        await sharp(pixels, { raw: { width, height, channels: 3 } })
          .png()
          .toFile(join(folder, split, label, `${k}.png`));
      }
    }
  }
  return folder;
}

const folder = await images('pictures');
/** Five images a shard, so that there are four shards. */
const make = (out: string, data = folder, more: object = {}) =>
  prepare({ data, out, imagePx: PX, force: false, shardBytes: 5 * RECORD, ...more }, silent);
const stream = random('unused');

test('a prepared set is the same as the folder, image by image, with its mean', async () => {
  const out = join(root, 'pack');
  const made = await make(out);
  assert.deepEqual([made.splits, made.shards, made.decoded], [{ train: 11, val: 5 }, 4, 16]);
  const [pack, plain] = [await openDataset(out, { imagePx: PX }), await openDataset(folder, { imagePx: PX })];
  assert.deepEqual(pack.labels, ['ant', 'bee', 'cat']);
  assert.deepEqual(Object.keys(pack.splits).sort(), Object.keys(plain.splits).sort());
  for (const name of ['train', 'val', 'test']) {
    const [a, b] = [pack.splits[name], plain.splits[name]];
    assert.deepEqual([a.length, [...a.labels]], [b.length, [...b.labels]]);
    const loaded = await loadImages(
      a,
      Uint32Array.from({ length: a.length }, (_, i) => (i + 3) % a.length),
    );
    for (let i = 0; i < a.length; i++) {
      assert.equal(a.name(i), b.name(i));
      for (const split of [a, loaded]) {
        assert.deepEqual(Buffer.from(split.pixels(i, stream)), Buffer.from(b.pixels(i, stream)));
      }
    }
  }
  const mean = new Float64Array(RECORD);
  for (let i = 0; i < 11; i++)
    plain.splits.train.pixels(i, stream).forEach((value, at) => {
      mean[at] += value;
    });
  assert.deepEqual([...pack.mean!], [...Float32Array.from(mean, (sum) => sum / 11)]);
  assert.equal(pack.colours!.eigenvalues.length, 3);
});

test('continues after an earlier try, shard by shard, and gives the same', async () => {
  const out = join(root, 'again');
  await make(out);
  const whole = readdirSync(out).map((file) => [file, readFileSync(join(out, file))] as const);
  rmSync(join(out, 'pack.json'));
  rmSync(join(out, 'pictures-00002.bin')); // its record is written first
  writeFileSync(join(out, 'pictures-00002.bin.alexnet-tmp'), 'of a try that was killed');
  const made = await make(out);
  assert.equal(made.decoded, 6); // the last two shards
  for (const [file, bytes] of whole) assert.deepEqual(readFileSync(join(out, file)), bytes, file);
});

test('refuses to continue with other images, and to replace a set unless told', async () => {
  const other = await images('other');
  const out = join(root, 'mixed');
  await make(out, other);
  await assert.rejects(make(out, other), /holds a prepared set already; --force replaces it/);
  rmSync(join(out, 'pack.json'));
  rmSync(join(other, 'train', 'ant', '0.png'));
  await assert.rejects(
    make(out, other),
    /was begun with other images: image 0 was train\/ant\/0\.png, now train\/ant\/1\.png/,
  );
  await make(out, folder);
  await assert.rejects(make(out, join(root, 'nowhere'), { force: true }), /no such file or folder/);
  await openDataset(out, { imagePx: PX }); // still there
  const made = await make(out, other, { force: true });
  assert.deepEqual([made.splits, made.decoded], [{ train: 10, val: 5 }, 15]);
});

test('refuses to continue with images of the same names and other contents', async () => {
  const other = await images('repainted');
  const out = join(root, 'repainted pack');
  await make(out, other);
  rmSync(join(out, 'pack.json'));
  const image = join(other, 'train', 'ant', '0.png');
  writeFileSync(image, readFileSync(join(other, 'train', 'bee', '0.png')));
  await assert.rejects(make(out, other), /was begun with other images: train\/ant\/0\.png has other pixels now/);
});

test('restores what was deleted from a finished set, and adds images that have become readable', async () => {
  const other = await images('restored');
  const out = join(root, 'restored pack');
  const image = join(other, 'train', 'ant', '2.png');
  const bytes = readFileSync(image);
  writeFileSync(image, 'no image');
  const strict = { maxBad: { images: 0 } };
  await assert.rejects(make(out, other, strict), /1 of 16 images are unreadable/);
  writeFileSync(image, bytes);
  assert.equal((await make(out, other)).decoded, 2); // and the last shard, of one image
  const whole = readdirSync(out).map((file) => [file, readFileSync(join(out, file))] as const);
  for (const kind of ['bin', 'json']) rmSync(join(out, `pictures-00001.${kind}`));
  assert.equal((await make(out, other)).decoded, 6);
  for (const [file, contents] of whole) assert.deepEqual(readFileSync(join(out, file)), contents, file);
  const plain = await openDataset(other, { imagePx: PX });
  const { splits } = await openDataset(out, { imagePx: PX });
  assert.deepEqual(Buffer.from(splits.train.pixels(2, stream)), Buffer.from(plain.splits.train.pixels(2, stream)));
});

test('leaves out what cannot be read, names it, and finds damage when an image is used', async () => {
  const many = join(root, 'many');
  for (const label of ['a', 'b']) {
    mkdirSync(join(many, 'train', label), { recursive: true });
    const png = await sharp({
      create: { width: 14, height: 15, channels: 3, background: label === 'a' ? 'red' : 'blue' },
    })
      .png()
      .toBuffer();
    for (let i = 0; i < 60; i++) writeFileSync(join(many, 'train', label, `${String(i).padStart(2, '0')}.png`), png);
  }
  writeFileSync(join(many, 'train', 'a', '07.png'), 'no image');
  const out = join(root, 'damaged');
  const made = await make(out, many, { holdOut: { fraction: 0 } });
  assert.deepEqual(
    made.skipped.map(({ name }) => name),
    ['train/a/07.png'],
  );
  const whole = { imagePx: PX, holdOut: { fraction: 0 } };
  const { splits } = await openDataset(out, whole);
  assert.equal(splits.train.length, 119);
  assert.equal(splits.train.name(7), 'train/a/08.png');
  const file = join(out, 'pictures-00003.bin');
  const bytes = readFileSync(file);
  bytes[2 * RECORD + 5] ^= 1;
  writeFileSync(file, bytes);
  // Fresh descriptors, as a later run has them.
  const later = (await openDataset(out, whole)).splits.train;
  const at = Array.from({ length: 119 }, (_, i) => i).find((i) => later.name(i) === 'train/a/17.png')!;
  const damaged = /pictures-00003\.bin: image 2, train\/a\/17\.png, is damaged; delete this file/;
  assert.throws(() => later.pixels(at, stream), damaged);
  await assert.rejects(loadImages(later, Uint32Array.of(at + 1, at)), damaged);
  later.pixels(at + 1, stream);
  truncateSync(file, 3 * RECORD + 1);
  const cut = /is cut short after 1 of its 432 bytes/;
  assert.throws(() => later.pixels(at + 1, stream), cut);
  await assert.rejects(loadImages(later, Uint32Array.of(at + 1)), cut);
  rmSync(file);
  const again = (await openDataset(out, whole)).splits.train;
  await assert.rejects(loadImages(again, Uint32Array.of(at)), /pictures-00003\.bin: cannot be read: ENOENT/);
});

test('says what is wrong with a prepared set', async () => {
  const out = join(root, 'wrong');
  await make(out);
  await assert.rejects(
    openDataset(out, { imagePx: 13 }),
    /holds images of 12 pixels, the network takes them from 13; prepare it again with --size 13/,
  );
  for (const name of ['val.bin', 'mean.bin']) {
    const whole = readFileSync(join(out, name));
    writeFileSync(join(out, name), Buffer.from(whole.map((byte, at) => (at === 9 ? byte ^ 1 : byte))));
    await assert.rejects(openDataset(out, { imagePx: PX }), new RegExp(`${name}: damaged: its SHA-256 is not that in`));
    writeFileSync(join(out, name), whole);
  }
  const pack = JSON.parse(readFileSync(join(out, 'pack.json'), 'utf8'));
  writeFileSync(join(out, 'pack.json'), JSON.stringify({ ...pack, sha256: undefined })); // as an older version wrote it
  assert.equal((await openDataset(out, { imagePx: PX })).splits.val.length, 5);
  writeFileSync(join(out, 'train.bin'), 'x');
  await assert.rejects(openDataset(out, { imagePx: PX }), /train\.bin: expected 66 bytes, got 1/);
  rmSync(join(out, 'pictures-00001.json'));
  await assert.rejects(openDataset(out, { imagePx: PX }), /pictures-00001\.json: cannot be read/);
});

test('trains from a prepared set to the same weights as from the folder', async () => {
  const out = join(root, 'pack32');
  const prepared = await alexnet('prepare', '--data', folder, '--out', out, '--size', '32', '--json');
  assert.equal(prepared.code, 0, prepared.stderr);
  const { pictures_per_second: rate, ...summary } = JSON.parse(prepared.stdout);
  assert.ok(rate > 0);
  assert.deepEqual(summary, {
    pack: out,
    splits: { train: 11, val: 5 },
    classes: 3,
    image_px: 32,
    skipped: 0,
    decoded: 16,
  });
  const words = ['--model', 'cifar10-quick', '--epochs', '1', '--batch', '4', '--colour-noise', '0.1', '--json'];
  const results = [];
  for (const data of [folder, out]) {
    const run = join(root, `run-${results.length}`);
    const { code, stdout, stderr } = await alexnet('train', '--data', data, '--out', run, ...words);
    assert.equal(code, 0, stderr);
    const { train_loss: loss, val } = JSON.parse(stdout.trim().split('\n').at(-1)!);
    const { weightsManifest } = JSON.parse(readFileSync(join(run, 'last', 'model.json'), 'utf8'));
    results.push({ loss, val, weights: weightsManifest[0].paths });
  }
  assert.deepEqual(results[1], results[0]); // files of weights are named by their hash
});

test('ends with 2 if a flag is missing', async () => {
  const { code, stderr } = await alexnet('prepare', '--data', folder);
  assert.equal(code, 2);
  assert.match(stderr, /expected --data DATA and --out PACK/);
});
