import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { silentProgress } from '../../../base/progress.js';
import { random } from '../../../base/random.js';
import { prepare } from '../../../cli/prepare.js';
import type { Dataset, OpenOptions } from '../../../train/data/dataset.js';
import { openDataset } from '../../../train/data/open-dataset.js';
import { loadImages } from '../../../train/data/stream/read-ahead.js';
import { gather } from '../../../train/report/gather.js';
import { openStreamable } from '../../../train/start/open-data.js';
import { startTraining } from '../../../train/start/start.js';
import { brokenAfter, type Fault, sends, serveFolder, status } from './data-server.js';
import { type Files, plainPng, tarBytes, temporaryFolder, writeFiles } from './tiny-images.js';

const PX = 32;
const RECORD = PX * PX * 3;
const unused = random('unused');

/** Three classes, splits of 13 and 5 images of one colour each. */
async function images(): Promise<Files> {
  const files: Files = {};
  for (let n = 0; n < 18; n++) {
    const path = `${n < 13 ? 'train' : 'val'}/${['ant', 'bee', 'cat'][n % 3]}/${String(n).padStart(2, '0')}.png`;
    files[path] = await plainPng(13 * n, 255 - 7 * n, (n * 91) % 256);
  }
  return files;
}

/** A pack of four shards, on disk and served, and how it is opened. */
async function packServed(t: TestContext) {
  const root = await temporaryFolder(t);
  const pack = join(root, 'pack');
  const source = { data: await writeFiles(t, await images()), out: pack, imagePx: PX, force: false };
  await prepare({ ...source, shardBytes: 5 * RECORD }, silentProgress);
  return { root, pack, ...(await served(t, root)) };
}

async function served(t: TestContext, root: string) {
  const server = await serveFolder(t, root);
  const cacheFolder = await temporaryFolder(t);
  const remote = { cacheFolder, delayMs: 1, tries: 3 };
  const open = (data: string, more: Partial<OpenOptions> = {}) => openDataset(data, { imagePx: PX, remote, ...more });
  return { server, cacheFolder, remote, open };
}

test('tells the command of a failed try, and a program that does not ask nothing', async (t) => {
  const { server, remote } = await packServed(t);
  const printed = t.mock.method(console, 'error', () => undefined);
  const notes: string[] = [];
  const progress = { ...silentProgress, note: (line: string) => void notes.push(line) };
  server.fail('pack.json', [status(503)]);
  await openStreamable(`${server.url}/pack`, { imagePx: PX, remote }, false, progress);
  assert.match(notes[0], /^warning: http.*pack\.json: .*, got 503 .*; trying again in .* s, 2 of 3$/);
  server.fail('pack.json', [status(503)]);
  await openDataset(`${server.url}/pack`, { imagePx: PX, remote });
  assert.equal(printed.mock.callCount(), 0);
});

/** Damages a byte of every answer that is long enough to have it. */
const flips = (at: number): Fault =>
  sends((bytes) => {
    if (at < bytes.length) bytes[at] ^= 1;
    return bytes;
  });

async function same(far: Dataset, near: Dataset): Promise<void> {
  assert.deepEqual([far.labels, Object.keys(far.splits).sort()], [near.labels, Object.keys(near.splits).sort()]);
  assert.deepEqual(
    [far.mean, far.colours, far.skipped, far.notes],
    [near.mean, near.colours, near.skipped, near.notes],
  );
  for (const [name, b] of Object.entries(near.splits)) {
    const a = far.splits[name];
    assert.deepEqual([a.length, [...a.labels]], [b.length, [...b.labels]]);
    const all = Uint32Array.from({ length: a.length }, (_, i) => (i * 3 + 1) % a.length);
    const [loaded, expected] = [await loadImages(a, all), await loadImages(b, all)];
    for (const i of all) {
      assert.equal(a.name(i), b.name(i));
      assert.deepEqual(Buffer.from(loaded.pixels(i, unused)), Buffer.from(expected.pixels(i, unused)));
    }
  }
}

test('a pack behind a URL is the one on disk, image by image, also past failures', async (t) => {
  const { pack, server, open } = await packServed(t);
  server.fail('pack.json', [status(503), brokenAfter(20)]);
  server.fail('pictures-00001.json', [(response) => response.destroy()]);
  server.fail('pictures-00002.bin', [status(500), sends((bytes) => bytes.subarray(1))]);
  const far = await open(`${server.url}/pack`);
  await same(far, await open(pack));
  assert.throws(() => far.splits.train.pixels(0, unused), /is far away and was not loaded/);
  await same(await open(`${server.url}/pack/?signature=a%2Fb`), await open(pack));
});

test('images of a block are one shard', async (t) => {
  const { pack, server, open } = await packServed(t);
  const { train, val } = (await open(`${server.url}/pack`)).splits;
  // A shard of 5 images fills no block: 13 of train, in three shards, then 5 of val.
  assert.deepEqual([...train.shards!.of], [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2]);
  assert.deepEqual([...val.shards!.of], [2, 2, 3, 3, 3]);
  assert.equal(train.shards!.together, 511); // of 1366 · 3072 bytes each, in 2 GiB
  assert.equal((await open(pack)).splits.train.shards, undefined);
});

test('fetches a damaged image again, and names one that stays so', async (t) => {
  const { server, open } = await packServed(t);
  const damaged = flips(RECORD + 5);
  const all = Uint32Array.from({ length: 5 }, (_, i) => i);
  server.fail('pictures-00000.bin', [sends((bytes) => bytes), damaged]); // the first asks for the size
  const { train } = (await open(`${server.url}/pack`)).splits;
  await loadImages(train, all);
  await loadImages((await open(`${server.url}/pack`)).splits.train, all); // and is kept as it should be
  server.fail('pictures-00001.bin', [damaged], true);
  const where =
    /pictures-00001\.bin: image 1, train\/\w+\/\d+\.png, is damaged; fetching it again did not help: upload/;
  await assert.rejects(loadImages(train, Uint32Array.of(5, 6)), where);
  await loadImages(train, Uint32Array.of(5, 7));
});

test('fetches a damaged list of images again, and names one that stays so', async (t) => {
  const { server, open } = await packServed(t);
  const damaged = flips(9);
  server.fail('val.bin', [sends((bytes) => bytes), damaged]);
  await open(`${server.url}/pack`);
  server.fail('val.bin', [damaged], true);
  const { remote } = await served(t, await temporaryFolder(t)); // an empty cache
  await assert.rejects(
    open(`${server.url}/pack`, { remote }),
    /val\.bin: damaged: its SHA-256 is not that in pack\.json/,
  );
});

test('says where no pack is, and which file of one is missing', async (t) => {
  const { server, open } = await packServed(t);
  await assert.rejects(
    open(`${server.url}/elsewhere`),
    /elsewhere\/pack\.json: expected a file, got 404 Not Found; check/,
  );
  server.fail('pictures-00003.json', [status(404)]);
  await assert.rejects(open(`${server.url}/pack`), /pictures-00003\.json: expected a file, got 404/);
});

/** Shards of a split each folder, as on disk. */
async function shardsServed(t: TestContext, more: Files = {}) {
  const shards: Record<string, Files> = {};
  let n = 0;
  for (const [path, png] of Object.entries(await images())) {
    const [split, label, name] = path.split('/');
    const number = ['cat', 'ant', 'bee'].indexOf(label);
    const shard = `${split}/s-${String(8 + (n++ % 3)).padStart(4, '0')}.tar`;
    shards[shard] ??= {};
    Object.assign(shards[shard], { [name]: png, [name.replace('png', 'cls')]: String(number) });
  }
  const tars = await Promise.all(
    Object.entries(shards).map(async ([name, files]) => [name, await tarBytes(files)] as const),
  );
  const root = await writeFiles(t, { ...Object.fromEntries(tars), ...more });
  const { server, ...rest } = await served(t, root);
  const far = `webdataset:${server.url}/train/s-{0008..0010}.tar::${server.url}/val/s-{0008,0009,0010}.tar`;
  return { root, near: `webdataset:${root}`, far, server, ...rest };
}

test('shards behind URLs with braces are those on disk, held or streamed, also past failures', async (t) => {
  const { near, far, server, open } = await shardsServed(t);
  server.fail('s-0009.tar', [status(500), status(429), brokenAfter(700)]);
  assert.deepEqual((await open(far)).labels, ['0', '1', '2']);
  await same(await open(far), await open(near));
  const streamed = await open(far, { stream: 'always' });
  await same(streamed, await open(near, { stream: 'always' }));
  assert.deepEqual(new Set(streamed.splits.train.shards!.of), new Set([0, 1, 2].map((number) => number * 2 ** 16)));
  server.fail('s-0010.tar', [status(404)], true);
  const again = await served(t, await temporaryFolder(t));
  await assert.rejects(open(far, { remote: again.remote }), /s-0010\.tar: expected a file, got 404/);
});

test('takes the names of classes next to the first shard, or next to the folders of splits', async (t) => {
  const names = 'cat\nant\nbee\n';
  for (const more of [{ 'classes.txt': names }, { 'train/classes.txt': names }] as Files[]) {
    const { far, open } = await shardsServed(t, more);
    assert.deepEqual((await open(far)).labels, ['cat', 'ant', 'bee']);
  }
  const { far, server, open } = await shardsServed(t, { 'classes.txt': names });
  server.fail('classes.txt', [status(403)]);
  await assert.rejects(open(far), /classes\.txt: .* got 403 Forbidden/);
});

test('tells splits by the names of shards, and prepares shards behind URLs', async (t) => {
  const files = async (n: number) =>
    tarBytes({ 'a.png': await plainPng(n, 9, 9), 'a.cls': 'yak', 'b.png': await plainPng(9, n, 9), 'b.cls': 'emu' });
  const root = await writeFiles(t, {
    'p-train-1.tar': await files(1),
    'p-train-2.tar': await files(2),
    'p-val-1.tar': await files(3),
  });
  const { server } = await served(t, root);
  const data = `webdataset:${server.url}/p-{train-{1..2},val-1}.tar`;
  const out = join(await temporaryFolder(t), 'pack');
  process.env.ALEXNET_CACHE = await temporaryFolder(t);
  t.after(() => delete process.env.ALEXNET_CACHE);
  const { splits, labels } = await prepare({ data, out, imagePx: PX, force: false }, silentProgress);
  assert.deepEqual([splits, labels], [{ train: 4, val: 2 }, ['emu', 'yak']]);
});

test('names a shard that is cut short on the server, and what is not a shard', async (t) => {
  const { root, far, open, server } = await shardsServed(t);
  const file = join(root, 'train/s-0008.tar');
  await writeFile(file, readFileSync(file).subarray(0, 700));
  await assert.rejects(open(far), /train\/s-0008\.tar: the archive is cut short or damaged after \d+ members/);
  await assert.rejects(open(`webdataset:${server.url}/train`), /expected URLs of \.tar shards .*, got "http.*\/train"/);
});

test('trains on a pack behind a URL to the same weights as on disk', async (t) => {
  const { root, pack, server, cacheFolder } = await packServed(t);
  Object.assign(process.env, { ALEXNET_CACHE: cacheFolder, ALEXNET_CACHE_GB: '0.05' });
  t.after(() => {
    delete process.env.ALEXNET_CACHE;
    delete process.env.ALEXNET_CACHE_GB;
  });
  server.fail('pictures-00001.bin', [status(503), brokenAfter(5000)]);
  const weights: string[][] = [];
  for (const [out, data] of Object.entries({ near: pack, far: `${server.url}/pack` })) {
    await mkdir(join(root, 'runs'), { recursive: true });
    const run = join(root, 'runs', out);
    const settings = { epochs: 2, batch: 4 };
    const flags = { backend: 'onnxruntime', resume: false, force: false, checkpointMinutes: 5 } as const;
    await startTraining({ out: run, data, model: 'cifar10-quick', settings, ...flags }, silentProgress, {});
    const { weightsManifest } = JSON.parse(readFileSync(join(run, 'last', 'model.json'), 'utf8'));
    weights.push(weightsManifest[0].paths); // named by their hash
  }
  assert.deepEqual(weights[1], weights[0]);
  assert.ok(server.requests.some(({ path }) => path === '/pack/pictures-00002.bin'));

  const request = { run: join(root, 'runs', 'far'), checkpoint: 'best', crops: 1, backend: 'onnxruntime' } as const;
  const { measured } = await gather(request, silentProgress);
  assert.equal(measured?.worst.length, 5);
});
