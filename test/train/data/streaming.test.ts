import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import sharp from 'sharp';
import { UserError } from '../../../base/errors.js';
import { silentProgress } from '../../../base/progress.js';
import { random } from '../../../base/random.js';
import { OpenFiles } from '../../../train/data/archive/open-files.js';
import { colourStatistics } from '../../../train/data/batches/colour.js';
import { meanImage } from '../../../train/data/batches/mean.js';
import type { Dataset, Split } from '../../../train/data/dataset.js';
import { openDataset } from '../../../train/data/open-dataset.js';
import { batchesOf, loadAhead, loadImages } from '../../../train/data/stream/read-ahead.js';
import { evaluateRun } from '../../../train/evaluate/evaluate-run.js';
import { startTraining } from '../../../train/start/start.js';
import { alexnet } from '../../real/command.js';
import { type Files, tarBytes, temporaryFolder, writeArchive, writeFiles } from './tiny-images.js';

const imagePx = 32;
const unused = random('unused');
/** Two classes, splits of 13 and 6 noisy images of all formats, some turned by EXIF, and one that is not an image. */
let files: Files;
before(async () => {
  files = {};
  for (let n = 0; n < 19; n++) {
    const [width, height] = [35 + n, 47];
    const pixels = Uint8Array.from({ length: width * height * 3 }, (_, at) => (at * 29 + n * 71 + (at % 7) * n) % 256);
    const image = sharp(pixels, { raw: { width, height, channels: 3 } }).withMetadata({ orientation: (n % 8) + 1 });
    const format = (['jpeg', 'png', 'webp', 'gif'] as const)[n % 4];
    const path = `${n < 13 ? 'train' : 'val'}/${n % 3 === 0 ? 'ant' : 'bee'}/${n}.${format}`;
    files[path] = await image.toFormat(format).toBuffer();
  }
});

/** The files as WebDataset shards, a split each. */
async function shards(): Promise<Files> {
  const bySplit: Record<string, Files> = {};
  for (const [path, bytes] of Object.entries(files)) {
    const [split, label, name] = path.split('/');
    bySplit[split] ??= {};
    Object.assign(bySplit[split], { [name]: bytes, [`${name.split('.')[0]}.cls`]: label });
  }
  return { 'train/0.tar': await tarBytes(bySplit.train), 'val/0.tar': await tarBytes(bySplit.val) };
}

async function same(streamed: Dataset, held: Dataset): Promise<void> {
  assert.deepEqual(streamed.labels, held.labels);
  for (const name of ['train', 'val']) {
    const [a, b] = [streamed.splits[name], held.splits[name]];
    assert.deepEqual([a.length, [...a.labels]], [b.length, [...b.labels]]);
    const order = Uint32Array.from({ length: a.length }, (_, i) => (i * 5) % a.length); // lengths are no multiples of 5
    const images = await loadImages(a, order);
    for (const index of order) {
      assert.equal(images.name(index), b.name(index));
      assert.deepEqual(Buffer.from(images.pixels(index, unused)), Buffer.from(b.pixels(index, unused)), b.name(index));
    }
  }
  assert.deepEqual(streamed.mean, meanImage(held.splits.train, 0));
  assert.deepEqual(streamed.colours, colourStatistics(held.splits.train, 0));
}

test('decodes at every use what memory would hold, from a folder, a tar and shards, with the same mean and colours', async (t) => {
  for (const source of [
    await writeFiles(t, files),
    await writeArchive(t, 'pictures.tar', await tarBytes(files)),
    `webdataset:${await writeFiles(t, await shards())}`,
  ]) {
    const held = await openDataset(source, { imagePx });
    const streamed = await openDataset(source, { imagePx, stream: 'always' });
    assert.equal(held.streamed, undefined);
    assert.match(streamed.streamed!, /^images are decoded at every use; "alexnet prepare" decodes them once$/);
    await same(streamed, held);
  }
});

test('streams what would fill more than may be held, told by the number of images or met while reading', async (t) => {
  const folder = await writeFiles(t, files);
  const tar = await writeArchive(t, 'pictures.tar', await tarBytes(files));
  const held = await openDataset(folder, { imagePx });
  const record = imagePx * imagePx * 3;
  for (const source of [folder, tar]) {
    const open = (images: number) => openDataset(source, { imagePx, stream: 'large', heldBytes: images * record });
    assert.equal((await open(19)).streamed, undefined);
    // Of a tar's images, the first 7 are in memory when the eighth turns out to be too much.
    for (const images of [18, 7, 0]) {
      const streamed = await open(images);
      assert.match(streamed.streamed!, /^decoded images would fill more than 0\.0 GB, half of the free memory: images/);
      await same(streamed, held);
    }
  }
  assert.equal((await openDataset(folder, { imagePx, heldBytes: 0 })).streamed, undefined, 'not unless asked');
});

test('holds a compressed archive in memory, and refuses to stream one', async (t) => {
  const archive = await writeArchive(t, 'pictures.tar.gz', await tarBytes(files));
  const { streamed } = await openDataset(archive, { imagePx, stream: 'large', heldBytes: 1 });
  assert.equal(streamed, undefined);
  await assert.rejects(openDataset(archive, { imagePx, stream: 'always' }), (error: Error) => {
    assert.ok(error instanceof UserError);
    assert.match(
      error.message,
      /pictures\.tar\.gz: compressed, so .* \(--stream\); unpack it, or .* "alexnet prepare"/,
    );
    return true;
  });
});

test('lists images that cannot be read when they are first met, and names one that is gone later', async (t) => {
  const many: Files = { 'train/ant/none.png': 'no image' };
  for (let n = 0; n < 120; n++) many[`train/${n % 2 ? 'ant' : 'bee'}/${n}.png`] = files['train/bee/1.png'];
  const folder = await writeFiles(t, many);
  const { splits, skipped } = await openDataset(folder, { imagePx, stream: 'always' });
  assert.deepEqual([skipped.map(({ name }) => name), splits.train.length], [['train/ant/none.png'], 120]);
  await writeFile(join(folder, 'train/bee/0.png'), 'cut');
  await rm(join(folder, 'train/bee/10.png'));
  const gone = Array.from({ length: 120 }, (_, i) => i).filter((i) => /bee\/1?0\.png/.test(splits.train.name(i)));
  assert.equal(gone.length, 2);
  for (const index of gone) {
    await assert.rejects(
      loadImages(splits.train, Uint32Array.of(index)),
      /^UserError: train\/bee\/1?0\.png: could be read when the data set was opened and cannot now: (not a JPEG, PNG, |there is no such file)/,
    );
  }
});

/** A split whose images are numbers, which counts batches under way and fails at some. */
function counted(fails: number[] = []) {
  const loads: number[] = [];
  const split: Split = {
    length: 17,
    labels: new Uint16Array(17),
    name: String,
    pixels: () => assert.fail('not loaded'),
    load: async (indices) => {
      loads.push(indices[0]);
      await new Promise((resolve) => setImmediate(resolve));
      if (fails.includes(indices[0])) throw new UserError(`gone: ${indices[0]}`);
      return { ...split, load: undefined, pixels: (index) => Uint8Array.of(index) };
    },
  };
  return { split, loads };
}
const order = Uint32Array.from({ length: 17 }, (_, i) => (i * 3) % 17);

test('loads two batches beyond the one in use, and no more', async () => {
  const { split, loads } = counted();
  const seen: number[][] = [];
  for await (const { indices, images } of loadAhead(split, batchesOf(order, 4, 1))) {
    seen.push(Array.from(indices, (index) => images.pixels(index, unused)[0]));
    assert.equal(loads.length, Math.min(4, seen.length + 2));
  }
  const batches = [1, 2, 3, 4].map((n) => [...order.subarray(4 * n, 4 * n + 4)]);
  assert.deepEqual(seen, batches);
});

test('throws at the batch that cannot be loaded, and not for one that nobody asks for', async () => {
  const { split } = counted([order[8], order[12]]);
  const batches = loadAhead(split, batchesOf(order, 4));
  assert.equal((await batches.next()).value.indices[0], order[0]);
  assert.equal((await batches.next()).value.indices[0], order[4]);
  await assert.rejects(batches.next(), { message: `gone: ${order[8]}` });
  const left = loadAhead(split, batchesOf(order, 4));
  await left.next();
  await new Promise((resolve) => setTimeout(resolve, 5)); // an unhandled rejection would end the process
});

test('reads pieces of more files than stay open', async (t) => {
  const names = Array.from({ length: 90 }, (_, i) => `${i}.bin`);
  const folder = await writeFiles(t, Object.fromEntries(names.map((name, i) => [name, Buffer.alloc(40 + i, i)])));
  const open = new OpenFiles();
  for (let round = 0; round < 2; round++) {
    const pieces = await Promise.all(names.map((name) => open.read(join(folder, name), 35, 50)));
    for (const [i, piece] of pieces.entries()) assert.deepEqual(piece, Buffer.alloc(Math.min(50, 5 + i), i));
  }
  await rm(join(folder, '89.bin'));
  assert.equal((await open.read(join(folder, '89.bin'), 0, 9)).length, 9, 'the last is open still');
});

/** What a run and its evaluation came to. */
async function outcome(run: string, stream: boolean) {
  const request = { run, checkpoint: 'best', split: 'val', backend: 'onnxruntime', stream } as const;
  const { data: _, ...evaluation } = await evaluateRun(request, silentProgress);
  const { weightsManifest } = JSON.parse(await readFile(join(run, 'last', 'model.json'), 'utf8'));
  const [mean, samples] = await Promise.all(['mean.bin', 'samples.bin'].map((name) => readFile(join(run, name))));
  return { weights: weightsManifest[0].paths, evaluation, mean, samples }; // files of weights are named by their hash
}

test('trains and evaluates to the same from memory, from files and from shards as they are needed', async (t) => {
  const root = await temporaryFolder(t);
  const folder = await writeFiles(t, files);
  const settings = { epochs: 2, batch: 4, colourNoise: 0.1 };
  const train = (out: string, data: string, stream: boolean) =>
    startTraining(
      {
        out,
        data,
        model: 'cifar10-quick',
        settings,
        backend: 'onnxruntime',
        resume: false,
        force: false,
        checkpointMinutes: 5,
        stream,
      },
      silentProgress,
      {},
    );
  const [held, streamed, sharded] = ['held', 'streamed', 'sharded'].map((name) => join(root, name));
  await train(held, folder, false);
  await train(sharded, `webdataset:${await writeFiles(t, await shards())}`, true);
  const words = ['--model', 'cifar10-quick', '--epochs', '2', '--batch', '4', '--colour-noise', '0.1', '--stream'];
  const { code, stderr } = await alexnet('train', '--data', folder, '--out', streamed, ...words);
  assert.equal(code, 0, stderr);
  assert.ok(stderr.includes(`${folder}: images are decoded at every use`), stderr);
  const expected = await outcome(held, false);
  assert.deepEqual(await outcome(streamed, true), expected);
  assert.deepEqual(await outcome(sharded, true), expected);
});
