import assert from 'node:assert/strict';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { UserError } from '../../../base/errors.js';
import { openDataset } from '../../../train/data/open-dataset.js';
import { alexnet } from '../../real/shared-process.js';
import { type Files, plainPng, tarBytes, temporaryFolder, writeArchive, writeFiles } from './tiny-images.js';

const imagePx = 4;
let png: Buffer;
before(async () => {
  png = await plainPng(10, 120, 230);
});

/** Opening must fail with a UserError that begins with the source and matches every pattern. */
async function refuses(source: string, ...patterns: RegExp[]): Promise<void> {
  await assert.rejects(openDataset(source, { imagePx }), (error: Error) => {
    assert.ok(error instanceof UserError, `${error.name}: ${error.stack}`);
    assert.ok(error.message.startsWith(`${source}: `), error.message);
    for (const pattern of patterns) assert.match(error.message, pattern);
    return true;
  });
}

const manyMembers = (): Files =>
  Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`${i % 2 ? 'cat' : 'dog'}/${i}.png`, png]));

test('names a path that does not exist and says what --data takes', () =>
  refuses(
    '/no/such/data.tar',
    /no such file or folder; --data takes a folder, a \.tar, a \.tar\.gz, cifar10:DIR, idx:DIR, ilsvrc2012:DIR, webdataset:DIR or the word emoji/,
  ));

test('refuses a file that is not an archive', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'notes.tar');
  await writeFile(file, 'not an archive, only text '.repeat(100));
  await refuses(file, /this is not a tar archive/);
  await writeFile(file, 'short');
  await refuses(file, /this is not a tar archive/);
  await writeFile(file, '');
  await refuses(file, /this is not a tar archive \(it is empty, 0 bytes\)/);
  await writeFile(file, gzipSync('compressed text, no archive '.repeat(100)));
  await refuses(file, /damaged after 0 members/);
});

for (const { ending, start, says } of [
  {
    ending: 'tar.bz2',
    start: 'BZh9',
    says: /compressed with bzip2; .* with "bzip2 -dc \S+ > \S+my\.tar" and name \S+my\.tar$/,
  },
  { ending: 'tar.xz', start: '\xfd7zXZ\0', says: /compressed with xz; .*"xz -dc / },
  {
    ending: 'tar',
    start: 'BZh91AY',
    says: /with "bzip2 -dc \S+my\.tar > \S+my-decompressed\.tar" and name \S+my-decompressed\.tar$/,
  },
  { ending: 'tzst', start: '\x28\xb5\x2f\xfd', says: /compressed with Zstandard; .*"zstd -dc \S+ > \S+my\.tar"/ },
  { ending: 'zip', start: 'PK\x03\x04', says: /a ZIP archive; unpack it with "unzip \S+my\.zip" and name the folder/ },
  { ending: '7z', start: "7z\xbc\xaf'\x1c", says: /a 7z archive; unpack it with "7z x / },
  { ending: 'rar', start: 'Rar!\x1a\x07', says: /a RAR archive; / },
]) {
  test(`names a .${ending} and the command that unpacks it`, async (t) => {
    const file = join(await temporaryFolder(t), `my.${ending}`);
    await writeFile(file, Buffer.from(`${start} and so on`, 'latin1'));
    await refuses(file, /expected a folder, a \.tar or a \.tar\.gz, got /, says);
  });
}

test('refuses an archive cut short inside a member, between members, and without its end', async (t) => {
  const bytes = await tarBytes(manyMembers());
  const member = 512 + Math.ceil(png.length / 512) * 512;
  const file = await writeArchive(t, 'cut.tar', bytes);
  await truncate(file, 10 * member + 512 + 20);
  await refuses(file, /cut short or damaged after 10 members in 0\.0 MB/, /fetch or pack it again/);
  await truncate(file, 8 * member);
  await refuses(file, /cut short or damaged after 8 members/, /closing blocks/);
  await truncate(file, 200);
  await refuses(file, /this is not a tar archive/);
});

test('refuses a compressed archive that is cut short or damaged', async (t) => {
  const bytes = gzipSync(await tarBytes({ ...manyMembers(), 'cat/noise.txt': Buffer.from(noise(200_000)) }));
  const file = join(await temporaryFolder(t), 'cut.tar.gz');
  await writeFile(file, bytes.subarray(0, bytes.length / 2));
  await refuses(file, /cut short or damaged after \d+ members in 0\.\d MB \(unexpected end of file\)/);
  const flipped = Buffer.from(bytes);
  flipped[flipped.length >> 1] ^= 0xff;
  await writeFile(file, flipped);
  await refuses(file, /cut short or damaged after \d+ members/);
});

/** Bytes that do not compress. */
function noise(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

test('refuses a source without images', async (t) => {
  await refuses(await writeFiles(t, { 'a/1.txt': 'x', 'b/2.bmp': 'x' }), /no images found \(\.jpg.*\)/, /1 \.bmp/);
  await refuses(await writeArchive(t, 'empty.tar', await tarBytes({})), /no images found/);
});

test('names an empty class folder', async (t) => {
  const files = { 'train/cat/1.png': png, 'train/dog/1.png': png, 'train/eel/old/': null, 'train/eel/a.txt': 'x' };
  for (const source of [
    await writeFiles(t, files),
    await writeArchive(t, 'e.tar', await tarBytes({ 'train/eel/': null, ...files })),
  ]) {
    await refuses(source, /no images in class folder train\/eel; fill or remove it/);
  }
  await refuses(await writeFiles(t, { 'cat/1.png': png, 'dog/1.png': png, 'eel/': null }), /in class folder eel;/);
});

test('refuses a single class', async (t) => {
  await refuses(await writeFiles(t, { 'cat/1.png': png, 'cat/2.png': png }), /only one class, cat\//);
  await refuses(await writeFiles(t, { 'train/cat/1.png': png, 'val/cat/2.png': png }), /only one class, cat\//);
});

test('warns of the classes that val or test lacks, and refuses those that train lacks', async (t) => {
  const train = { 'train/ant/1.png': png, 'train/bee/1.png': png, 'train/cat/1.png': png };
  const { labels, notes } = await openDataset(await writeFiles(t, { ...train, 'test/ant/1.png': png }), { imagePx });
  assert.deepEqual(labels, ['ant', 'bee', 'cat']);
  assert.deepEqual(notes, ['no test image of bee, cat, so errors say nothing about these classes']);
  const extra = { 'val/ant/1.png': png, 'val/bee/1.png': png, 'val/cat/1.png': png, 'val/dog/1.png': png };
  await refuses(await writeFiles(t, { ...train, ...extra }), /train\/ lacks dog, which val\/ has/);
});

test('names a split folder without images', async (t) => {
  const train = { 'train/ant/1.png': png, 'train/bee/1.png': png };
  await refuses(await writeFiles(t, { ...train, 'val/': null }), /no images in val\/; fill or remove it/);
  await refuses(
    await writeArchive(
      t,
      'v.tar',
      await tarBytes({ 'set/test/': null, 'set/train/a/1.png': png, 'set/train/b/1.png': png }),
    ),
    /no images in set\/test\//,
  );
  const elsewhere = await writeFiles(t, { ...train, 'val/ant/1.png': png, 'val/bee/1.png': png, 'docs/test/': null });
  assert.equal((await openDataset(elsewhere, { imagePx })).splits.val.length, 2);
});

test('refuses classes that are one text in two Unicode forms, or one synset', async (t) => {
  const [composed, decomposed] = ['caf\u00e9', 'cafe\u0301'];
  const twice = { [`${composed}/1.png`]: png, [`${decomposed}/1.png`]: png, 'bar/1.png': png };
  const says =
    /classes "cafe\\u\{301\}" and "caf\\u\{e9\}" are one text, caf\u00e9, in two Unicode forms; give their folders one name/;
  await refuses(await writeArchive(t, 'forms.tar', await tarBytes(twice)), says);
  const across = { 'train/bar/1.png': png, 'val/bar/1.png': png };
  await refuses(
    await writeArchive(
      t,
      'across.tar',
      await tarBytes({ ...across, [`train/${composed}/1.png`]: png, [`val/${decomposed}/1.png`]: png }),
    ),
    says,
  );
  await refuses(
    await writeFiles(t, { 'n00000001_cat/1.png': png, 'n00000001_big_cat/1.png': png, 'n00000002_dog/1.png': png }),
    /classes n00000001_big_cat and n00000001_cat have one synset; give their folders one name/,
  );
});

test('names a class of which no image can be read', async (t) => {
  const files = manyMembers();
  for (let i = 40; i < 130; i++) files[`${i % 2 ? 'cat' : 'dog'}/${i}.png`] = png;
  await refuses(
    await writeFiles(t, { ...files, 'eel/1.png': 'no image' }),
    /no image of eel among train can be read; remove or repair them/,
  );
});

test('refuses images without class folders', async (t) => {
  await refuses(
    await writeFiles(t, { 'a.png': png, 'b.png': png }),
    /a\.png lies in no class folder; expected <class>\/a\.png/,
  );
  await refuses(
    await writeFiles(t, { 'train/1.png': png, 'test/1.png': png }),
    /1\.png lies in no class folder; expected (train|test)\/<class>\/<image>/,
  );
});

test('refuses two sets of splits side by side', async (t) => {
  const files = {
    'old/train/a/1.png': png,
    'old/train/b/1.png': png,
    'new/train/a/1.png': png,
    'new/train/b/1.png': png,
  };
  await refuses(await writeFiles(t, files), /found them in (old\/ and new\/|new\/ and old\/); name one of them/);
});

/** 40 images to train on, two for val, and some that are broken. */
const withBroken = (count: number): Files => {
  const good = Object.fromEntries(Object.entries(manyMembers()).map(([path, bytes]) => [`train/${path}`, bytes]));
  const broken = { 'train/dog/broken.jpg': 'no image', 'train/cat/cut.png': png.subarray(0, 40), 'val/cat/0.png': '' };
  const val = { 'val/cat/1.png': png, 'val/dog/1.png': png };
  return { ...good, ...val, ...Object.fromEntries(Object.entries(broken).slice(0, count)) };
};

test('skips and names unreadable images up to five percent, or one, and stops above', async (t) => {
  const few = { ...withBroken(0), 'train/dog/broken.jpg': 'no image' };
  const { splits, skipped } = await openDataset(await writeFiles(t, few), { imagePx });
  assert.deepEqual([splits.train.length, skipped.map(({ name }) => name)], [40, ['train/dog/broken.jpg']]);
  assert.match(skipped[0].reason, /^not a JPEG, PNG, .+ image$/);
  const tiny = { 'cat/1.png': png, 'dog/1.png': png, 'dog/2.jpg': 'no image' };
  assert.equal((await openDataset(await writeFiles(t, tiny), { imagePx })).skipped.length, 1);
  await refuses(
    await writeArchive(t, 'broken.tgz', await tarBytes(withBroken(3))),
    /3 of 45 images are unreadable, at most 5 % may be: train\/cat\/cut\.png \(.+\); train\/dog\/broken\.jpg \(.+\); val\/cat\/0\.png \(/,
    /\. Remove or repair them, or leave them out with --max-bad 3$/,
  );
});

test('names the reason for every JPEG that was cut in half, however many are decoded at once', async (t) => {
  const noise = Buffer.from(Array.from({ length: 300 * 200 * 3 }, (_, i) => (i * 7919) % 251));
  const whole = await sharp(noise, { raw: { width: 300, height: 200, channels: 3 } })
    .jpeg()
    .toBuffer();
  const half = whole.subarray(0, whole.length / 2);
  const cut = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`cat/cut${i}.jpg`, half]));
  const files = await writeFiles(t, { ...cut, 'cat/1.png': png, 'cat/2.png': png, 'dog/1.png': png });
  const { skipped } = await openDataset(files, { imagePx, maxBad: { images: 60 }, holdOut: { fraction: 0 } });
  assert.equal(skipped.length, 60);
  for (const { reason } of skipped) assert.match(reason, /^the file is cut short$|damaged or cut short \(JPEG\)/);
});

test('--max-bad sets the limit, as a share or a number, for prepare, train and all that follows it', async (t) => {
  const data = await writeFiles(t, withBroken(3));
  const out = await temporaryFolder(t);
  const train = ['train', '--model', 'cifar10-quick', '--epochs', '1', '--out', join(out, 'run'), '--data'];
  const strict = await alexnet(...train, data, '--max-bad', '2');
  assert.equal(strict.code, 1);
  assert.match(strict.stderr, /3 of 45 images are unreadable, at most 2 may be: /);
  const trained = await alexnet(...train, data, '--max-bad', '10%');
  assert.equal(trained.code, 0, trained.stderr);
  for (const name of ['train/cat/cut.png', 'train/dog/broken.jpg', 'val/cat/0.png'])
    assert.match(trained.stderr, new RegExp(`warning: skipped ${name}: .+\n`));
  assert.match(trained.stderr, /warning: left out 3 unreadable images\n/);
  assert.equal((await alexnet('train', '--resume', '--out', join(out, 'run'), '--epochs', '2')).code, 0);
  assert.equal((await alexnet('evaluate', '--run', join(out, 'run'), '--split', 'train')).code, 0);
  const prepare = ['prepare', '--data', data, '--size', '32', '--out', join(out, 'pack')];
  assert.equal((await alexnet(...prepare)).code, 1);
  assert.equal((await alexnet(...prepare, '--max-bad', '3')).code, 0);
  for (const limit of ['0.05', 'many', '101%']) {
    const { code, stderr } = await alexnet('train', '--max-bad', limit);
    assert.deepEqual([code, stderr.includes(`such as 5% or a number of images such as 3, got "${limit}"`)], [2, true]);
  }
});
