/** Data sets without val/ and test/: which of their images are held out, the same for every form and every command. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import '../../../base/tfjs/backend-cpu.js';
import { tf } from '../../../base/tfjs/core.js';
import { prepare } from '../../../cli/prepare.js';
import type { Dataset, OpenOptions } from '../../../train/data/dataset.js';
import { openDataset } from '../../../train/data/open-dataset.js';
import { alexnet, json } from '../../real/shared-process.js';
import { writeOrigin } from '../frozen/origin.js';
import { type Files, plainPng, tarBytes, temporaryFolder, writeArchive, writeFiles } from './tiny-images.js';

const imagePx = 4;
const CLASSES = ['ant', 'bee', 'cat'];
const images: Buffer[] = [];
before(async () => {
  for (let i = 0; i < 96; i++) images.push(await plainPng(2 * i, 255 - i, i));
});

/** `each` images of every class, all different, the first of a class from number `first` on. */
const flat = (each: number, first = 0, classes = CLASSES): Files =>
  Object.fromEntries(
    classes.flatMap((name, c) =>
      Array.from({ length: each }, (_, i) => [`${name}/${first + i}.png`, images[(first + i) * 3 + c]]),
    ),
  );
const under = (folder: string, files: Files): Files =>
  Object.fromEntries(Object.entries(files).map(([path, bytes]) => [`${folder}/${path}`, bytes]));

const names = ({ splits }: Dataset, split: string): string[] =>
  Array.from({ length: splits[split].length }, (_, i) => splits[split].name(i));
const open = async (source: string, options: Partial<OpenOptions> = {}) => openDataset(source, { imagePx, ...options });
const silent = { note: () => undefined, work: () => undefined };

/** From the definition: a draw by seed and SHA-256 of the file. */
function isDrawn(bytes: Buffer, fraction: number, seed = 0): boolean {
  const hash = createHash('sha256').update(bytes).digest('hex');
  const draw = createHash('sha256').update(`${seed} ${hash}`).digest('hex').slice(0, 12);
  return Number.parseInt(draw, 16) / 16 ** 12 < fraction;
}

test('holds out a fifth by contents alone, the same from a folder, archives, train/ and a prepared set', async (t) => {
  const files = flat(30);
  const folder = await writeFiles(t, files);
  const plain = await open(folder);
  const held = Object.keys(files).filter((path) => isDrawn(files[path] as Buffer, 0.2));
  assert.deepEqual(names(plain, 'val'), held.sort());
  assert.equal(plain.splits.test, plain.splits.val);
  assert.deepEqual([...names(plain, 'train'), ...held].sort(), Object.keys(files).sort());
  assert.match(
    plain.divided!,
    new RegExp(`^${folder}: has no val/ or test/, so ${held.length} of its 90 images are held out as val \\(--val-fr`),
  );
  assert.deepEqual(plain.notes, []);

  for (const name of ['all.tar', 'all.tar.gz'])
    assert.deepEqual(names(await open(await writeArchive(t, name, await tarBytes(files))), 'val'), held);
  const inTrain = await writeFiles(t, under('train', files));
  const trainOnly = await open(inTrain, { splits: ['val'] });
  assert.deepEqual([names(trainOnly, 'val'), trainOnly.splits.train], [held.map((name) => `train/${name}`), undefined]);

  const pack = join(await temporaryFolder(t), 'pack');
  await prepare({ data: folder, out: pack, imagePx, force: false }, silent);
  const prepared = await open(pack);
  for (const split of ['train', 'val']) assert.deepEqual(names(prepared, split), names(plain, split));
  assert.deepEqual([prepared.holdOut, prepared.divided], [plain.holdOut, plain.divided]);
});

test('holds out of a prepared set and of shards that have only training images', async (t) => {
  const out = await temporaryFolder(t);
  const folder = await writeFiles(t, flat(20));
  for (const [name, holdOut] of [
    ['whole', { fraction: 0 }],
    ['half', { fraction: 0.5, seed: 3 }],
  ] as const)
    await prepare({ data: folder, out: join(out, name), imagePx, force: false, holdOut }, silent);
  const whole = await open(join(out, 'whole'));
  assert.ok(whole.splits.val.length > 3 && whole.splits.val.length < 25, `${whole.splits.val.length}`);
  assert.equal(whole.splits.train.length + whole.splits.val.length, 60);
  assert.match(whole.divided!, /whole: has no val\/ or test\//);
  assert.deepEqual(whole.notes, []);
  const asked = await open(join(out, 'half'), { holdOut: { fraction: 0.2 } });
  assert.deepEqual(asked.holdOut?.fraction, 0.5);
  assert.match(asked.notes.join(), /--val-fraction has no effect: the data has val or test images of its own/);

  const samples = Object.entries(flat(10)).flatMap(([path, png], i) => [
    [`${i}.png`, png],
    [`${i}.cls`, path.split('/')[0]],
  ]);
  const shards = await writeFiles(t, { 'train-0.tar': await tarBytes(Object.fromEntries(samples)) });
  const sharded = await open(`webdataset:${shards}`, { splits: ['val'] });
  const held = Object.values(flat(10)).filter((png) => isDrawn(png as Buffer, 0.2));
  assert.equal(sharded.splits.val.length, held.length);
  assert.match(sharded.divided!, /so \d of its 30 images are held out/);
});

test('moves no image if others are added, or files are renamed', async (t) => {
  const before = await open(await writeFiles(t, flat(20)));
  const more = await open(await writeFiles(t, { ...flat(20), ...flat(12, 20) }));
  const heldOut = new Set(names(before, 'val'));
  for (const name of names(before, 'train')) assert.ok(names(more, 'train').includes(name), name);
  for (const name of heldOut) assert.ok(names(more, 'val').includes(name), name);
  const renamed = Object.fromEntries(Object.entries(flat(20)).map(([path, png]) => [path.replace('/', '/x-'), png]));
  const other = await open(await writeFiles(t, renamed));
  assert.deepEqual(
    names(other, 'val').map((name) => name.replace('x-', '')),
    names(before, 'val'),
  );
});

test('keeps equal images on one side, whatever their names and classes', async (t) => {
  const copies = Object.fromEntries(
    Object.entries(flat(15)).flatMap(([path, png], i) => [
      [path.replace('/', '/copy-'), png],
      [`${CLASSES[i % 3]}/other-${i}.png`, png],
    ]),
  );
  const { splits } = await open(await writeFiles(t, { ...flat(15), ...copies }));
  const contents = ({ length, pixels }: Dataset['splits'][string]) =>
    new Set(Array.from({ length }, (_, i) => Buffer.from(pixels(i, undefined as never)).toString('hex')));
  const [train, val] = [contents(splits.train), contents(splits.val)];
  assert.ok(val.size > 2);
  assert.deepEqual(
    [...val].filter((image) => train.has(image)),
    [],
  );
});

test('holds out one image at least of every class that has two, trains on one, and warns of those with one', async (t) => {
  for (const [each, fraction] of [
    [2, 0.01],
    [3, 0.99],
  ] as const) {
    const { splits } = await open(await writeFiles(t, flat(each)), { holdOut: { fraction } });
    for (const split of ['train', 'val']) assert.deepEqual(new Set(splits[split].labels), new Set([0, 1, 2]));
  }
  const lone = await writeFiles(t, { ...flat(9), 'eel/1.png': images[90], 'fox/1.png': images[91] });
  const { labels, splits, notes } = await open(lone);
  assert.deepEqual(labels, ['ant', 'bee', 'cat', 'eel', 'fox']);
  assert.ok([3, 4].every((label) => splits.train.labels.includes(label) && !splits.val.labels.includes(label)));
  assert.deepEqual(notes, ['no val image of eel, fox, so errors say nothing about these classes']);
});

test('another seed holds out others, a fraction of 0 none', async (t) => {
  const folder = await writeFiles(t, flat(20));
  const [usual, other] = [await open(folder), await open(folder, { holdOut: { seed: 1 } })];
  assert.notDeepEqual(names(other, 'val'), names(usual, 'val'));
  assert.match(other.divided!, /hash of their contents and --split-seed 1\)/);
  const none = await open(folder, { holdOut: { fraction: 0 } });
  assert.equal(none.splits.train.length, 60);
  assert.equal(none.splits.val, none.splits.train);
  assert.match(none.notes.join(), /images trained on also serve as val and test/);
});

const training = (data: string, out: string, ...words: string[]) => [
  ...['train', '--data', data, '--out', out, '--model', 'cifar10-quick', '--epochs', '1', '--batch', '10'],
  ...['--backend', 'onnxruntime', ...words],
];

/** Names of the images that a run is measured on. */
async function evaluated(t: TestContext, run: string, ...words: string[]): Promise<string[]> {
  const file = join(await temporaryFolder(t), 'lines.jsonl');
  const { code, stderr } = await alexnet('evaluate', '--run', run, '--predictions', file, ...words);
  assert.equal(code, 0, stderr);
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  return lines.map((line) => JSON.parse(line).name);
}

test('train keeps the division in the run: resume, evaluate, report and a grown copy of the data go by it', async (t) => {
  const data = await writeFiles(t, flat(12));
  const run = join(await temporaryFolder(t), 'run');
  const began = await alexnet(...training(data, run, '--val-fraction', '0.3', '--split-seed', '7'));
  assert.equal(began.code, 0, began.stderr);
  const sentence = / has no val\/ or test\/, so (\d+) of its 36 images are held out as val \(--val-fraction 0\.3, by /;
  const held = Number(sentence.exec(began.stderr)![1]);
  const { holdOut, pictures } = JSON.parse(await readFile(join(run, 'config.json'), 'utf8'));
  assert.deepEqual([holdOut.fraction, holdOut.seed, pictures], [0.3, 7, { train: 36 - held, val: held }]);

  const names = await evaluated(t, run);
  assert.equal(names.length, held);
  const report = await json<{ images: number }>('report', run, '--crops', '1');
  assert.equal(report.images, held);
  const resumed = await alexnet('train', '--resume', '--out', run, '--epochs', '2');
  assert.equal(resumed.code, 0, resumed.stderr);
  const refused = await alexnet('train', '--resume', '--out', run, '--val-fraction', '0.2');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /cannot resume with other settings, even.*|: valFraction was 0\.3, now 0\.2\. Leave/);

  const grown = join(await temporaryFolder(t), 'grown');
  await cp(data, grown, { recursive: true });
  for (const [path, png] of Object.entries(flat(8, 12))) await writeFile(join(grown, path), png!);
  const inGrown = await evaluated(t, run, '--data', grown, '--split', 'val');
  const old = new Set(Object.keys(flat(12)));
  assert.deepEqual(
    inGrown.filter((name) => old.has(name)),
    names,
  );
  assert.ok(inGrown.length > names.length);
});

test('a run of an earlier version on a folder without val is resumed and measured as it was trained', async (t) => {
  const data = await writeFiles(t, flat(4));
  const run = join(await temporaryFolder(t), 'run');
  const began = await alexnet(...training(data, run, '--val-fraction', '0'));
  assert.equal(began.code, 0, began.stderr);
  const config = join(run, 'config.json');
  const { holdOut, ...record } = JSON.parse(await readFile(config, 'utf8'));
  assert.deepEqual([holdOut.fraction, record.pictures], [0, { train: 12, val: 12 }]);
  await writeFile(config, JSON.stringify(record));
  const resumed = await alexnet('train', '--resume', '--out', run, '--epochs', '2');
  assert.equal(resumed.code, 0, resumed.stderr);
  assert.equal((await evaluated(t, run, '--data', data)).length, 12);
});

test('evaluate and report call images what they are, under whatever split, and say why crops are fewer than asked for', async (t) => {
  const folder = await temporaryFolder(t);
  const run = join(folder, 'run');
  await tf.setBackend('cpu');
  await writeOrigin(run, 2);
  const things = flat(6, 0, ['thing 0', 'thing 1']);
  const data = await writeFiles(t, things);
  const pack = join(folder, 'pack');
  await prepare({ data, out: pack, imagePx: 32, force: false }, silent);
  const val = await writeFiles(t, { ...under('train', things), ...under('val', flat(2, 6, ['thing 0', 'thing 1'])) });
  const first = async (...words: string[]) => {
    const { code, stdout, stderr } = await alexnet('evaluate', '--run', run, ...words);
    assert.equal(code, 0, stderr);
    return stdout.split('\n', 1)[0];
  };
  for (const source of [data, pack])
    assert.match(await first('--data', source), /, \d held-out images, 1 crop: top-1 error/);
  assert.match(await first('--data', val), /, 4 val images, 1 crop: top-1/);
  assert.match(await first('--data', data, '--val-fraction', '0'), /, 12 train images, 1 crop: top-1/);
  assert.match(
    await first('--data', data, '--crops', '10'),
    /, 2 crops \(the image and its mirror image only, because the network takes whole images\): top-1/,
  );
  assert.match(await first('--data', data, '--crops', '5'), /, 1 crop \(the image only, because the network takes/);
  const report = await alexnet('report', run, '--data', pack, '--split', 'test', '--crops', '1');
  assert.match(report.stdout, /; \d held-out images, top-1 error/);
  assert.match(await readFile(join(run, 'report.html'), 'utf8'), /<p>Measured on the \d held-out images of /);
});

test('evaluate refuses a run whose division was damaged, and warns of one that was changed', async (t) => {
  const data = await writeFiles(t, flat(10));
  const run = join(await temporaryFolder(t), 'run');
  const began = await alexnet(...training(data, run));
  assert.equal(began.code, 0, began.stderr);
  const file = join(run, 'config.json');
  const record = JSON.parse(await readFile(file, 'utf8'));
  const evaluate = async (holdOut: object) => {
    await writeFile(file, JSON.stringify({ ...record, holdOut: { ...record.holdOut, ...holdOut } }));
    return alexnet('evaluate', '--run', run, '--split', 'val');
  };
  for (const [holdOut, field] of [
    [{ fraction: 'half' }, 'fraction: expected a number from 0 to below 1, got "half"'],
    [{ fraction: 2 }, 'fraction: expected a number from 0 to below 1, got 2'],
    [{ seed: -1 }, 'seed: expected a whole number of at least 0, got -1'],
    [{ val: 'none' }, 'val: expected a list of hashes, got "none"'],
  ] as const) {
    const { code, stderr } = await evaluate(holdOut);
    assert.equal(code, 1);
    assert.ok(stderr.includes(`alexnet evaluate: ${file}: holdOut.${field}`), stderr);
  }
  for (const maxBad of [null, 5]) {
    await writeFile(file, JSON.stringify({ ...record, maxBad }));
    const { code, stderr } = await alexnet('evaluate', '--run', run, '--split', 'val');
    assert.equal(code, 1);
    assert.ok(stderr.includes(`maxBad: expected {"share": 0 to 1} or {"images": a number}, got ${maxBad}`), stderr);
  }
  assert.doesNotMatch((await evaluate({})).stderr, /not those of the run/);
  const changed = await evaluate({ fraction: 0.6 });
  assert.equal(changed.code, 0, changed.stderr);
  assert.match(changed.stderr, /warning: .*: its val images are not those of the run's training: \d+ then, \d+ now; /);
});

test('refuses a fraction that is none, and says so', async () => {
  for (const [words, says] of [
    [['--val-fraction', '1'], /Expected a number of at least 0 and below 1, got "1"/],
    [['--val-fraction', '20%'], /Expected a number of at least 0 and below 1, got "20%"/],
    [['--split-seed', '-1'], /Expected a whole number of at least 0, got "-1"/],
  ] as const) {
    const { code, stderr } = await alexnet('train', ...words);
    assert.equal(code, 2);
    assert.match(stderr, says);
  }
});
