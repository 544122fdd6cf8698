import assert from 'node:assert/strict';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { before, test } from 'node:test';
import sharp, { type Sharp } from 'sharp';
import { pack } from 'tar-stream';
import { readsHeic } from '../../../base/image/formats.js';
import { random } from '../../../base/random.js';
import type { Dataset } from '../../../train/data/dataset.js';
import { openDataset } from '../../../train/data/open-dataset.js';
import { loadImages } from '../../../train/data/stream/read-ahead.js';
import { type Files, plainPng, tarBytes, writeArchive, writeFiles } from './tiny-images.js';

const imagePx = 5;
let red: Buffer;
let green: Buffer;
let blue: Buffer;
before(async () => {
  [red, green, blue] = await Promise.all([plainPng(250, 10, 20), plainPng(30, 240, 40), plainPng(50, 60, 230)]);
});

/** Everything a trainer can see of a split: name, class and first pixel of each image. */
function contents(dataset: Dataset, split: string) {
  const { length, labels, name, pixels } = dataset.splits[split];
  return Array.from({ length }, (_, index) => {
    const image = pixels(index, random(0));
    assert.equal(image.length, imagePx * imagePx * 3);
    return [name(index), dataset.labels[labels[index]], [...image.subarray(0, 3)]];
  });
}

const twoSplits = (): Files => ({
  'train/zebra/2.png': green,
  'train/zebra/1.PNG': red,
  'train/ant/deep/er/1.png': blue,
  'test/ant/9.png': red,
  'test/zebra/8.png': blue,
});

test('reads a folder of splits and classes, in order of paths', async (t) => {
  const dataset = await openDataset(await writeFiles(t, twoSplits()), { imagePx });
  assert.deepEqual(dataset.labels, ['ant', 'zebra']);
  assert.equal(dataset.synsets, undefined);
  assert.deepEqual(contents(dataset, 'train'), [
    ['train/ant/deep/er/1.png', 'ant', [50, 60, 230]],
    ['train/zebra/1.PNG', 'zebra', [250, 10, 20]],
    ['train/zebra/2.png', 'zebra', [30, 240, 40]],
  ]);
  assert.deepEqual(contents(dataset, 'test'), [
    ['test/ant/9.png', 'ant', [250, 10, 20]],
    ['test/zebra/8.png', 'zebra', [50, 60, 230]],
  ]);
  assert.equal(dataset.splits.val, dataset.splits.test, 'val falls back to test');
  assert.deepEqual([dataset.notes, dataset.skipped], [[], []]);
});

test('gives the same images from a .tar, a .tar.gz and a .tgz as from the folder', async (t) => {
  const files = twoSplits();
  const folder = await openDataset(await writeFiles(t, files), { imagePx });
  for (const name of ['pictures.tar', 'pictures.tar.gz', 'pictures.tgz']) {
    const archive = await openDataset(await writeArchive(t, name, await tarBytes(files)), { imagePx });
    assert.deepEqual(contents(archive, 'train'), contents(folder, 'train'), name);
    assert.deepEqual(contents(archive, 'test'), contents(folder, 'test'), name);
  }
});

test('reads every format of images by any of its endings', async (t) => {
  const image = (): Sharp => sharp({ create: { width: 9, height: 7, channels: 3, background: '#c06020' } });
  const jpeg = await image().jpeg({ quality: 100 }).toBuffer();
  const tiff = await image().tiff().toBuffer();
  const files: Files = { 'a.jpg': jpeg, 'b.JFIF': jpeg, 'c.jpe': jpeg, 'd.tif': tiff, 'e.TIFF': tiff };
  for (const format of ['png', 'webp', 'gif', 'avif'] as const)
    files[`f.${format}`] = await image().toFormat(format, { quality: 100 }).toBuffer();
  const names = Object.keys(files);
  const inClasses = Object.fromEntries(
    names.flatMap((name) => ['ant', 'bee'].map((label) => [`train/${label}/${name}`, files[name]])),
  );
  const source = await writeFiles(t, inClasses);
  for (const more of [{}, { stream: 'always' }] as const) {
    const { splits, skipped } = await openDataset(source, { imagePx, holdOut: { fraction: 0 }, ...more });
    assert.deepEqual([skipped, splits.train.length], [[], 2 * names.length]);
    const loaded = await loadImages(
      splits.train,
      Uint32Array.from({ length: names.length }, (_, i) => i),
    );
    for (let i = 0; i < names.length; i++) {
      const colour = [...loaded.pixels(i, random(0)).subarray(0, 3)];
      const isNear = colour.every((level, channel) => Math.abs(level - [0xc0, 0x60, 0x20][channel]) <= 3);
      assert.ok(isNear, `${splits.train.name(i)}: ${colour}`);
    }
  }
});

test('says of HEIC what to do, where sharp was not built to read it', { skip: readsHeic(sharp.format) }, async (t) => {
  const heic = Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x08mdat', 'latin1');
  const files: Files = { 'cat/1.png': red, 'cat/2.HEIC': heic, 'dog/1.png': green };
  for (const stream of [undefined, 'always'] as const) {
    const { skipped } = await openDataset(await writeFiles(t, files), { imagePx, stream });
    assert.equal(skipped[0].name, 'cat/2.HEIC');
    assert.match(
      skipped[0].reason,
      /^HEIC, which sharp cannot decode .* convert it to JPEG, e\.g\. with "heif-convert"/,
    );
  }
});

test('looks through one folder wrapped around the splits', async (t) => {
  const wrapped = Object.fromEntries(Object.entries(twoSplits()).map(([path, bytes]) => [`./cifar10/${path}`, bytes]));
  const dataset = await openDataset(
    await writeArchive(t, 'w.tar', await tarBytes({ './cifar10/': null, ...wrapped })),
    {
      imagePx,
    },
  );
  assert.deepEqual(dataset.labels, ['ant', 'zebra']);
  assert.deepEqual([dataset.splits.train.length, dataset.splits.test.length], [3, 2]);
});

test('decodes only the splits asked for, with the classes of all', async (t) => {
  const source = await writeFiles(t, twoSplits());
  const seen: [number, number | undefined][] = [];
  const onProgress = (done: number, total: number | undefined) => seen.push([done, total]);
  const dataset = await openDataset(source, { imagePx, splits: ['val'], onProgress });
  assert.deepEqual(Object.keys(dataset.splits).sort(), ['test', 'val']);
  assert.deepEqual(dataset.labels, ['ant', 'zebra']);
  assert.deepEqual(seen, [
    [1, 2],
    [2, 2],
  ]);
});

test('keeps val and test apart if both are there', async (t) => {
  const files = { ...twoSplits(), 'valid/ant/1.png': green, 'valid/zebra/1.png': green };
  const dataset = await openDataset(await writeFiles(t, files), { imagePx });
  assert.deepEqual(
    contents(dataset, 'val').map(([name]) => name),
    ['valid/ant/1.png', 'valid/zebra/1.png'],
  );
  assert.equal(dataset.splits.test.length, 2);
});

test('serves the training images as val and says so if there are too few to hold some out', async (t) => {
  const dataset = await openDataset(await writeFiles(t, { 'dog/1.png': red, 'cat/1.png': green }), { imagePx });
  assert.deepEqual(dataset.labels, ['cat', 'dog']);
  assert.equal(dataset.splits.val, dataset.splits.train);
  assert.equal(dataset.splits.test, dataset.splits.train);
  assert.match(dataset.notes.join(), /images trained on also serve as val and test/);
});

test('takes the class from the synset in the file name where there are no class folders', async (t) => {
  const files = {
    'samples/n01440764_tench.JPEG': red,
    'samples/n02123045_tabby_cat_1.JPEG': green,
    'samples/n02123045_tabby_cat_2.JPEG': blue,
  };
  for (const source of [await writeFiles(t, files), await writeArchive(t, 'samples.tar', await tarBytes(files))]) {
    const dataset = await openDataset(source, { imagePx, holdOut: { fraction: 0 } });
    assert.deepEqual(dataset.labels, ['tench', 'tabby cat']);
    assert.deepEqual(dataset.synsets, ['n01440764', 'n02123045']);
    assert.deepEqual([...dataset.splits.train.labels], [0, 1, 1]);
  }
});

test('keeps bare synset ids as labels and other names untouched', async (t) => {
  const bare = await writeFiles(t, { 'n01440764/n01440764_10026.JPEG': red, 'n02123045/n02123045_1.JPEG': red });
  const { labels, synsets } = await openDataset(bare, { imagePx });
  assert.deepEqual(
    [labels, synsets],
    [
      ['n01440764', 'n02123045'],
      ['n01440764', 'n02123045'],
    ],
  );
  const other = await openDataset(await writeFiles(t, { 'hot_dog/1.png': red, 'n01440764_tench/1.png': red }), {
    imagePx,
  });
  assert.deepEqual([other.labels, other.synsets], [['hot_dog', 'n01440764_tench'], undefined]);
});

test('tells classes of one name apart by their synsets, and notes those that differ in case only', async (t) => {
  const cranes = await openDataset(
    await writeFiles(t, {
      'n02012849_crane/1.png': red,
      'n03126707_crane/1.png': red,
      'n02123045_tabby_cat/1.png': red,
    }),
    { imagePx },
  );
  assert.deepEqual(cranes.labels, ['crane (n02012849)', 'tabby cat', 'crane (n03126707)']);
  assert.deepEqual(cranes.synsets, ['n02012849', 'n02123045', 'n03126707']);
  // In an archive: there are file systems that would have them in one folder.
  const files = { 'a/1.png': red, 'A/1.png': green, 'b/1.png': blue };
  const letters = await openDataset(await writeArchive(t, 'letters.tar', await tarBytes(files)), { imagePx });
  assert.deepEqual(
    [letters.labels, [...letters.splits.train.labels]],
    [
      ['A', 'a', 'b'],
      [0, 1, 2],
    ],
  );
  assert.equal(letters.notes[0], 'classes whose names differ in case only: A and a');
});

test('sorts classes by code point, not by UTF-16 unit', async (t) => {
  // U+FF21 comes before U+1F600, whose first UTF-16 unit is 0xD83D.
  const source = await writeFiles(t, { '\u{1F600}/1.png': red, '\uFF21/1.png': red, 'a/1.png': red, 'Z/1.png': red });
  assert.deepEqual((await openDataset(source, { imagePx })).labels, ['Z', 'a', '\uFF21', '\u{1F600}']);
});

test('passes over hidden files and annotations silently, and names other files that are not images, and hidden folders', async (t) => {
  const clutter: Files = {
    '.DS_Store': 'x',
    'a/._1.png': 'x',
    '.cache/b/1.png': 'x',
    '__MACOSX/a/1.png': 'x',
    'b/Thumbs.db': 'x',
    'labels.csv': 'x',
    'a/scan.bmp': 'x',
    'b/scan.BMP': 'x',
    'b/LICENCE': 'x',
  };
  const files = { ...clutter, 'a/1.png': red, 'b/1.png': green };
  const skipped = ['.cache/ (no data)', '__MACOSX/ (no data)'];
  for (const source of [await writeFiles(t, files), await writeArchive(t, 'c.tar.gz', await tarBytes(files))]) {
    const dataset = await openDataset(source, { imagePx });
    assert.deepEqual(dataset.labels, ['a', 'b']);
    assert.equal(dataset.splits.train.length, 2);
    const [note, folders] = dataset.notes;
    for (const folder of skipped)
      assert.ok(folders.startsWith('skipped folders: ') && folders.includes(folder), folders);
    assert.match(note, /left out, being no images: /);
    assert.match(note, /2 \.bmp/);
    assert.match(note, /1 without ending/);
    assert.doesNotMatch(note, /csv|Thumbs/);
  }
});

test('notes images outside the splits and leaves them out', async (t) => {
  const dataset = await openDataset(await writeFiles(t, { ...twoSplits(), 'logo.png': red }), { imagePx });
  assert.equal(dataset.splits.train.length, 3);
  assert.deepEqual(dataset.notes, ['outside train/, val/ and test/ and left out: 1, such as logo.png']);
  const unlabelled = { ...twoSplits(), 'test/1.png': red, 'test/2.png': green };
  for (const source of [
    await writeFiles(t, unlabelled),
    await writeArchive(t, 'unlabelled.tar', await tarBytes(unlabelled)),
  ]) {
    const { notes } = await openDataset(source, { imagePx });
    assert.deepEqual(notes, ['outside train/, val/ and test/ and left out: 2, such as test/1.png']);
  }
});

test('follows links to images and folders, but not around in circles', async (t) => {
  const elsewhere = await writeFiles(t, { 'cats/1.png': red, 'dog.png': green });
  const source = await writeFiles(t, { 'dog/': null });
  await symlink(join(elsewhere, 'cats'), join(source, 'cat'));
  await symlink(join(elsewhere, 'dog.png'), join(source, 'dog', '1.png'));
  await symlink(source, join(source, 'dog', 'up'));
  await symlink(join(source, 'nowhere'), join(source, 'dog', 'dangling.png'));
  const dataset = await openDataset(source, { imagePx });
  assert.deepEqual(
    contents(dataset, 'train').map(([name, label]) => [name, label]),
    [
      ['cat/1.png', 'cat'],
      ['dog/1.png', 'dog'],
    ],
  );
  assert.match(dataset.notes[0], /1 links/);
});

/** An archive whose members are written in order, repeated paths and links included. */
async function archiveOf(members: [string, Buffer | { link: string; symbolic?: true }][]): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of members) {
    if (Buffer.isBuffer(content)) archive.entry({ name }, content);
    else archive.entry({ name, type: content.symbolic ? 'symlink' : 'link', linkname: content.link });
  }
  archive.finalize();
  return buffer(archive);
}

test('reads hard links and repeated members of an archive as unpacking would leave them', async (t) => {
  const bytes = await archiveOf([
    ['train/ant/1.png', red],
    ['./train/ant/2.png', { link: './train/ant/1.png' }],
    ['train/bee/1.png', red],
    ['train/bee/2.png', { link: 'train/ant/2.png' }],
    ['train/ant/1.png', blue], // its other names stay what they were
    ['train/bee/1.png', green],
    ['train/bee/3.png', { link: 'train/nowhere.png' }],
    ['train/bee/4.png', red],
    ['train/bee/4.png', { link: '1.png', symbolic: true }],
  ]);
  const [RED, GREEN, BLUE] = [
    [250, 10, 20],
    [30, 240, 40],
    [50, 60, 230],
  ];
  for (const name of ['links.tar', 'links.tar.gz']) {
    const archive = await writeArchive(t, name, bytes);
    const dataset = await openDataset(archive, { imagePx, holdOut: { fraction: 0 } });
    assert.deepEqual(
      contents(dataset, 'train'),
      [
        ['train/ant/1.png', 'ant', BLUE],
        ['train/ant/2.png', 'ant', RED],
        ['train/bee/1.png', 'bee', GREEN],
        ['train/bee/2.png', 'bee', RED],
      ],
      name,
    );
    assert.equal(dataset.notes[0], 'left out, being no images: 2 links');
  }
});

test('says that classes are read from the names of files, and not from the one folder that they lie in', async (t) => {
  const names = { 'n01440764_tench.JPEG': red, 'n02123045_tabby_cat_1.JPEG': green };
  const flat = await openDataset(await writeFiles(t, names), { imagePx });
  assert.deepEqual(flat.labels, ['tench', 'tabby cat']);
  assert.match(flat.notes.join('\n'), /^classes are read from file names, as in ImageNet: n\d+_.+ is of class n/m);
  const inFolder = Object.fromEntries(Object.entries(names).map(([name, bytes]) => [`cats/${name}`, bytes]));
  const { notes } = await openDataset(await writeFiles(t, inFolder), { imagePx });
  assert.match(
    notes.join('\n'),
    /as in ImageNet, not from the folder cats\/: .+ put the images into a folder for each class/,
  );
});

test('names images that lie in two classes, a few of many', async (t) => {
  const twins = Object.fromEntries(
    ['cat', 'dog'].flatMap((name, shift) =>
      [red, green, blue, red, green].map((bytes, i) => [`${name}/${i + shift}.png`, bytes]),
    ),
  );
  const source = await writeFiles(t, twins);
  const { notes } = await openDataset(source, { imagePx });
  const [note] = notes.filter((text) => text.startsWith('the same image in two classes: '));
  assert.match(note, /: cat\/\d\.png and dog\/\d\.png; cat\/.+; cat\/.+, and 2 more; leave it in one of them$/);
  const apart = await openDataset(await writeFiles(t, { 'cat/1.png': red, 'cat/2.png': red, 'dog/1.png': blue }), {
    imagePx,
  });
  assert.doesNotMatch(apart.notes.join('\n'), /the same image/);
});
