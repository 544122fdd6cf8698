import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { UserError } from '../../../base/errors.js';
import { epochBatches } from '../../../train/data/batches/epoch-batches.js';
import type { Split } from '../../../train/data/dataset.js';
import type { RemoteOptions } from '../../../train/data/remote/options.js';
import { RemoteFiles } from '../../../train/data/remote/remote-files.js';
import { RowStore, roomFor } from '../../../train/frozen/row-store.js';
import { alexnet } from '../../real/command.js';
import { answersNothing, brokenAfter, type DataServer, type Fault, sends, serveFolder, status } from './data-server.js';
import { temporaryFolder } from './tiny-images.js';

const BLOCK = 1000;
/** Ten blocks and a part of one. */
const BYTES = randomBytes(10 * BLOCK + 345);

/** A served file of ten blocks and more, and readers of it with one cache. */
async function fileServed(t: TestContext) {
  const folder = await temporaryFolder(t);
  const cacheFolder = join(await temporaryFolder(t), 'cache');
  writeFileSync(join(folder, 'a.bin'), BYTES);
  const server = await serveFolder(t, folder);
  const open = (options: Partial<RemoteOptions> = {}) =>
    new RemoteFiles({ cacheFolder, delayMs: 1, tries: 3, ...options }, BLOCK);
  return { folder, cacheFolder, server, url: `${server.url}/a.bin`, open };
}

/** Requests of whole blocks; the first of a file asks for one byte. */
const blocks = ({ requests }: DataServer) =>
  requests.filter(({ length }) => length > 1).map(({ start }) => start / BLOCK);

const cached = (folder: string) =>
  readdirSync(folder).map((name) => ({ path: join(folder, name), size: statSync(join(folder, name)).size }));

test('reads pieces within, across and at the end of blocks, and fetches every block once', async (t) => {
  const { server, url, open } = await fileServed(t);
  const files = open();
  const places = [
    [0, 10],
    [990, 20],
    [1500, 3000],
    [3999, 1],
    [10_300, 45],
    [10_300, 99],
  ];
  const pieces = await Promise.all(places.map(([position, length]) => files.read(url, position, length)));
  pieces.forEach((piece, i) => {
    const [position, length] = places[i];
    assert.deepEqual(piece, BYTES.subarray(position, position + length));
  });
  assert.deepEqual(
    blocks(server).sort((a, b) => a - b),
    [0, 1, 2, 3, 4, 10],
  );
  assert.equal(server.requests.length, 7, 'and one for size and version');
  assert.deepEqual(await files.whole(url), BYTES);
  assert.deepEqual(await buffer(files.stream(url)), BYTES);
  assert.equal(server.requests.length, 7 + 5);
  assert.equal(await files.exists(url), true);
  assert.equal(await files.exists(`${url}.none`), false);
});

test('a later run takes what the cache holds, and asks for size and version alone', async (t) => {
  const { server, url, open } = await fileServed(t);
  await open().whole(url);
  server.requests.length = 0;
  assert.deepEqual(await open().whole(url), BYTES);
  assert.deepEqual(server.requests, [{ path: '/a.bin', start: 0, length: 1 }]);
});

test('asks once for a host that nobody knows', async (t) => {
  const cause = Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' });
  const asked = t.mock.method(globalThis, 'fetch', async () => {
    throw new TypeError('fetch failed', { cause });
  });
  const files = new RemoteFiles({ cacheFolder: await temporaryFolder(t), delayMs: 1, tries: 3 }, BLOCK);
  const message = /^https:\/\/nowhere\.example\/a: nowhere\.example cannot be found; check the URL and the connection$/;
  await assert.rejects(files.read('https://nowhere.example/a', 0, 10), { name: 'UserError', message });
  assert.equal(asked.mock.callCount(), 1);
});

test('tries again what fails for a time', async (t) => {
  const { server, url, open } = await fileServed(t);
  const faults: [string, Fault][] = [
    ['500', status(500)],
    ['429', status(429)],
    ['a reset in the middle of the body', brokenAfter(400)],
    ['a reset before any answer', (response) => response.destroy()],
    ['a short body', sends((bytes) => bytes.subarray(0, 700))],
    ['another range', sends((bytes) => bytes, { 'content-range': 'bytes 5-1004/10345' })],
    ['no range', sends((bytes) => bytes, { 'content-range': 'bytes' })],
    ['no answer', answersNothing],
  ];
  for (const [number, [what, fault]] of faults.entries()) {
    const files = open({ timeoutMs: 200 });
    await files.exists(url);
    server.requests.length = 0;
    server.fail('a.bin', [fault, fault]);
    assert.deepEqual(
      await files.read(url, number * BLOCK, BLOCK),
      BYTES.subarray(number * BLOCK).subarray(0, BLOCK),
      what,
    );
    assert.equal(server.requests.length, 3, what);
  }
});

test('waits as long as the server asks for', async (t) => {
  const { server, url, open } = await fileServed(t);
  const files = open();
  server.fail('a.bin', [status(503, { 'retry-after': '1' })]);
  const started = performance.now();
  await files.exists(url);
  assert.ok(performance.now() - started >= 995, 'a second');
  server.fail('a.bin', [status(503, { 'retry-after': new Date(Date.now() - 5000).toUTCString() })]);
  await files.read(url, 0, 9); // a time that is over
});

test('says after the last try what was expected and what came', async (t) => {
  const { server, url, open } = await fileServed(t);
  for (const [fault, came] of [
    [status(500), '500 Internal Server Error'],
    [brokenAfter(400), 'a broken connection \\(\\w+\\)'],
    [sends((bytes) => bytes.subarray(0, 700)), '700 bytes instead of 1000'],
    [answersNothing, 'no whole answer within 0\\.1 s'],
  ] as [Fault, string][]) {
    const files = open({ timeoutMs: 100 });
    await files.exists(url);
    server.fail('a.bin', [fault], true);
    await assert.rejects(files.read(url, BLOCK, 5), (error: Error) => {
      assert.ok(error instanceof UserError);
      const expected = `^${url}: expected bytes 1000 to 1999, got ${came} \\(3 tries\\); check the server and the connection, then repeat the command$`;
      assert.match(error.message, new RegExp(expected));
      return true;
    });
    server.fail('a.bin', []);
  }
});

test('after a last try nothing that waits is tried', async (t) => {
  const { server, url, open } = await fileServed(t);
  const files = open();
  await files.exists(url);
  server.fail('a.bin', [status(500)], true);
  server.requests.length = 0;
  await assert.rejects(files.whole(url), /got 500/); // eleven blocks, eight at once
  await assert.rejects(files.read(url, 10 * BLOCK, 5), /got 500/);
  assert.ok(server.requests.length <= 8 * 3, `${server.requests.length}`);
  assert.equal(blocks(server).includes(10), false);
});

test('does not try again what would end the same', async (t) => {
  const { server, url, open } = await fileServed(t);
  for (const [fault, came] of [
    [status(403), /a\.bin: expected a part of the file \(206\), got 403 Forbidden; check/],
    [status(200), /a\.bin: .* got the whole \(200\): this server does not answer range requests/],
    [status(404), /a\.bin: expected a file, got 404 Not Found/],
  ] as [Fault, RegExp][]) {
    server.requests.length = 0;
    server.fail('a.bin', [fault], true);
    await assert.rejects(open().read(url, 0, 5), came);
    assert.equal(server.requests.length, 1);
  }
  await assert.rejects(open().read('http://someone:secret@127.0.0.1:1/a.bin', 0, 5), /includes credentials/);
});

test('never mixes two versions of a file', async (t) => {
  const { folder, url, open } = await fileServed(t);
  const files = open();
  assert.deepEqual(await files.read(url, 0, 9), BYTES.subarray(0, 9));
  const other = Buffer.from(BYTES.map((byte) => byte ^ 255));
  writeFileSync(join(folder, 'a.bin'), other);
  await assert.rejects(
    files.read(url, 5 * BLOCK, 9),
    /a\.bin: changed while it was read: expected 10345 bytes, "\w+", got/,
  );
  assert.deepEqual(await open().whole(url), other, 'a later run has the new one, and nothing of the old');
});

test('keeps to its bound, and lets go of what was used longest ago', async (t) => {
  const { server, url, cacheFolder, open } = await fileServed(t);
  const cacheBytes = 5 * 1032 + 400; // five blocks with their checksums, and a sixteenth to spare
  const files = open({ cacheBytes });
  for (let number = 0; number < 5; number++) await files.read(url, number * BLOCK, 1);
  // Used an hour ago, the first lately.
  for (const { path } of cached(cacheFolder)) utimesSync(path, 1, 1);
  await files.read(url, 0, 1);
  writeFileSync(join(cacheFolder, 'not ours.txt'), 'kept');
  for (let number = 5; number < 9; number++) {
    await files.read(url, number * BLOCK, 1);
    assert.ok(cached(cacheFolder).reduce((sum, { size }) => sum + size, 0) <= cacheBytes);
  }
  server.requests.length = 0;
  await files.read(url, 0, 1);
  assert.deepEqual(blocks(server), [], 'the first is there');
  await files.read(url, BLOCK, 1);
  assert.deepEqual(blocks(server), [1], 'the second is not');
  assert.equal(readFileSync(join(cacheFolder, 'not ours.txt'), 'utf8'), 'kept');
});

test('finds a damaged or cut block in the cache and fetches it again', async (t) => {
  const { server, url, cacheFolder, open } = await fileServed(t);
  await open().whole(url);
  const [first, second] = cached(cacheFolder);
  const bytes = readFileSync(first.path);
  bytes[17] ^= 1;
  writeFileSync(first.path, bytes);
  writeFileSync(second.path, readFileSync(second.path).subarray(0, -1));
  server.requests.length = 0;
  assert.deepEqual(await open().whole(url), BYTES);
  assert.equal(blocks(server).length, 2);
  server.requests.length = 0;
  assert.deepEqual(await open().whole(url), BYTES);
  assert.equal(blocks(server).length, 0, 'they are restored');
});

test('instances that share a cache read whole blocks, and keep to the bound together', async (t) => {
  const { url, cacheFolder, open } = await fileServed(t);
  const cacheBytes = 8 * 1032;
  const readers = [0, 1, 2].map(() => open({ cacheBytes }));
  for (let round = 0; round < 12; round++) {
    const reads = readers.map(async (files, i) => {
      const position = ((round * 7 + i * 3) % 10) * BLOCK;
      assert.deepEqual(await files.read(url, position, BLOCK + 50), BYTES.subarray(position).subarray(0, BLOCK + 50));
    });
    await Promise.all(reads);
    const names = readdirSync(cacheFolder);
    assert.ok(
      names.every((name) => /^[0-9a-f]{64}\.block$/.test(name)),
      `${names}`,
    );
    assert.ok(cached(cacheFolder).reduce((sum, { size }) => sum + size, 0) <= cacheBytes + 2 * 1032);
  }
});

test('continues without a cache if a block does not fit, and says which folder cannot be written', async (t) => {
  const { server, url, cacheFolder, open } = await fileServed(t);
  const small = open({ cacheBytes: 900 });
  for (let i = 0; i < 2; i++) assert.deepEqual(await small.read(url, 0, 3), BYTES.subarray(0, 3));
  assert.deepEqual(blocks(server), [0, 0]);
  writeFileSync(cacheFolder, 'a file');
  await assert.rejects(
    open().read(url, 0, 3),
    /cache: is a file; expected a folder, or nothing there yet: choose another with ALEXNET_CACHE$/,
  );
});

const onLinux = { skip: process.platform !== 'linux' && 'needs /proc, which cannot hold folders' };

test('names ALEXNET_CACHE if no folder can be made there, for blocks, whole files and features', onLinux, async (t) => {
  const { url, open } = await fileServed(t);
  process.env.ALEXNET_CACHE = '/proc/x/y';
  t.after(() => delete process.env.ALEXNET_CACHE);
  const refusal = /\/proc\/x\/y\S*: cannot create or write a folder there; choose another with ALEXNET_CACHE/;
  await assert.rejects(open({ cacheFolder: '/proc/x/y' }).read(url, 0, 3), refusal);
  await assert.rejects(roomFor(4, 0), refusal);
  const { code, stderr } = await alexnet('import', url, '--out', join(await temporaryFolder(t), 'run'));
  assert.match(stderr, refusal);
  assert.equal(code, 1);
  process.env.ALEXNET_CACHE = '/proc';
  assert.throws(() => new RowStore('disk', 3), /^UserError: \/proc: cannot create or write a folder there; choose/);
});

test('in the order of an epoch each process fetches a block about once, with a cache of a fifth of the file', async (t) => {
  const folder = await temporaryFolder(t);
  const [records, recordBytes, blocksInAll] = [400, 100, 40];
  writeFileSync(join(folder, 'b.bin'), randomBytes(records * recordBytes));
  const server = await serveFolder(t, folder);
  const of = Uint32Array.from({ length: records }, (_, record) => Math.floor((record * recordBytes) / BLOCK));
  const near: Split = { length: records, labels: new Uint16Array(records), name: String, pixels: () => assert.fail() };
  const far: Split = { ...near, shards: { of, together: 5 } };
  /** Blocks fetched by each of two processes. */
  const fetched = async (split: Split) => {
    const counts: number[] = [];
    for (const rank of [0, 1]) {
      const files = new RemoteFiles({ cacheFolder: await temporaryFolder(t), cacheBytes: 8 * 1032 * (16 / 15) }, BLOCK);
      server.requests.length = 0;
      for (const indices of epochBatches(split, { seed: 1, epoch: 1, batch: 16, rank, size: 2 }))
        await Promise.all(
          Array.from(indices, (index) => files.read(`${server.url}/b.bin`, index * recordBytes, recordBytes)),
        );
      counts.push(blocks(server).length);
    }
    return counts;
  };
  for (const count of await fetched(far)) assert.ok(count <= blocksInAll / 2 + 1, `${count} of ${blocksInAll}`);
  for (const count of await fetched(near)) assert.ok(count > 100, `${count}, were the order one of all images`);
});
