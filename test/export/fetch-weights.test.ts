/** `alexnet import` of a URL, from a server on this machine that cuts, redirects and lies. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, beforeEach, it } from 'node:test';
import { type Progress, silentProgress } from '../../base/progress.js';
import { fetchWeights, KNOWN_WEIGHTS } from '../../export/import/fetch-weights.js';
import { downloadPath } from '../../train/data/remote/download-file.js';
import { alexnet } from '../real/shared-process.js';

const contents = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251));
const digest = createHash('sha256').update(contents).digest('hex');
const named = `/models/net-${digest.slice(0, 8)}.pth`;

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
let answers: Answer[] = [];
const ranges: (string | undefined)[] = [];
let folder = await mkdtemp(join(tmpdir(), 'alexnet-fetch-'));
const root = folder;
let round = 0;

const server = createServer((request, response) => {
  ranges.push(request.headers.range);
  (answers.shift() ?? whole())(request, response);
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
after(async () => {
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true });
});
beforeEach(() => {
  folder = join(root, String(round++));
  answers = [];
  ranges.length = 0;
});

/** As an object store answers, up to some byte of the file; `if-range` decides whether a part is sent. */
function whole(bytes = contents, cutAt = bytes.length, etag = '"1"'): Answer {
  return (request, response) => {
    const [, first] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
    const start = first !== undefined && (request.headers['if-range'] ?? etag) === etag ? Number(first) : 0;
    const range = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
    const headers = { etag, 'content-length': bytes.length - start, ...(start > 0 ? range : {}) };
    response.writeHead(start > 0 ? 206 : 200, headers);
    const sent = bytes.subarray(start, Math.max(start, cutAt));
    if (cutAt < bytes.length) response.write(sent, () => response.destroy());
    else response.end(sent);
  };
}

const fetched = (path = named, progress: Progress = silentProgress) =>
  fetchWeights(`${base}${path}`, progress, { cacheFolder: folder, delayMs: 1, tries: 3, timeoutMs: 2000 });

it('keeps the file under its host and path, and takes it from there the next time', async () => {
  const done: [number, number | undefined][] = [];
  const { path } = await fetched(named, { ...silentProgress, work: (_what, at, total) => void done.push([at, total]) });
  assert.deepEqual(await readFile(path), contents);
  assert.ok(path.startsWith(join(folder, 'weights')) && path.endsWith(join(...named.split('/').slice(1))), path);
  assert.ok(done.length > 0);
  assert.equal((await fetched()).path, path);
  assert.equal(ranges.length, 1);
});

it('goes on where a connection was cut, in the same command and in the next', async () => {
  answers = [whole(contents, 100_000), whole(contents, 200_000), whole(contents, 200_000)];
  answers.push(...Array.from({ length: 3 }, () => whole(contents, 0)));
  await assert.rejects(fetched(), { name: 'UserError', message: /expected a file, got .* \(3 tries\)/ });
  assert.deepEqual(ranges[0], undefined);
  assert.match(ranges[1]!, /^bytes=[1-9]\d*-$/);
  answers = [];
  ranges.length = 0;
  assert.deepEqual(await readFile((await fetched()).path), contents);
  assert.equal(ranges.length, 1);
  assert.match(ranges[0]!, /^bytes=[1-9]\d*-$/);
});

it('starts again if the server has another file by then, or answers no ranges', async () => {
  const other = Buffer.from(contents).reverse();
  answers = [whole(other, 100_000, '"0"'), whole()];
  assert.deepEqual(await readFile((await fetched()).path), contents);
  const plain: Answer = (_request, response) => void response.end(contents);
  const cut: Answer = (_request, response) => {
    response.writeHead(200, { 'content-length': contents.length });
    response.write(contents.subarray(0, 1000), () => response.destroy());
  };
  answers = [cut, plain];
  assert.deepEqual(await readFile((await fetched('/other/weights.pth')).path), contents);
});

it('follows redirects, and says that it tries again when a server is busy', async () => {
  const moved: Answer = (_request, response) => void response.writeHead(302, { location: '/elsewhere' }).end();
  const busy: Answer = (_request, response) => void response.writeHead(503).end('later');
  answers = [moved, busy, moved, whole()];
  const notes: string[] = [];
  const { path } = await fetched(named, { ...silentProgress, note: (line) => void notes.push(line) });
  assert.deepEqual(await readFile(path), contents);
  assert.match(path, /models/);
  assert.equal(notes.length, 1);
  assert.match(notes[0], /^warning: http.*: expected a file, got 503 .*; trying again in 0\.0 s, 2 of 3$/);
});

it('refuses other bytes than the name promises, and keeps none of them', async () => {
  const wrong = Buffer.from(contents);
  wrong[5] ^= 1;
  answers = [whole(wrong)];
  const message = new RegExp(`expected a file with a SHA-256 that begins with ${digest.slice(0, 8)} from http`);
  await assert.rejects(fetched(), { name: 'UserError', message });
  const path = downloadPath(`${base}${named}`, { cacheFolder: folder });
  assert.deepEqual([path, `${path}.part`].map(existsSync), [false, false]);
  assert.deepEqual(await readFile((await fetched()).path), contents);
});

it('says what a server refuses, and where to put the file', async () => {
  for (const [status, message] of [
    [404, /expected a file, got 404 Not Found; check the URL/],
    [403, /expected a file \(200\), got 403 Forbidden; check the URL and its permissions/],
  ] as const) {
    answers = [(_request, response) => void response.writeHead(status).end('no')];
    await assert.rejects(fetched('/x.pth'), (error: Error) => {
      assert.match(error.message, message);
      assert.ok(error.message.endsWith(`put it at ${downloadPath(`${base}/x.pth`, { cacheFolder: folder })}`));
      return true;
    });
  }
});

it('says where to put the file when there is no network', async () => {
  process.env.ALEXNET_CACHE = folder;
  try {
    const { code, stderr } = await alexnet('import', 'http://weights.invalid/net.pth', '--out', join(folder, 'run'));
    assert.equal(code, 1);
    assert.match(stderr, /weights\.invalid cannot be found; check the URL and the connection/);
    assert.match(stderr, /Or fetch it elsewhere and put it at .*weights\.invalid.net\.pth/);
  } finally {
    delete process.env.ALEXNET_CACHE;
  }
});

it('knows torchvision and bvlc by name, says where and how large they are, and takes no other file for theirs', async () => {
  const notes: string[] = [];
  const progress = { ...silentProgress, note: (line: string) => void notes.push(line) };
  for (const [name, { url }] of Object.entries(KNOWN_WEIGHTS)) {
    const path = downloadPath(url, { cacheFolder: folder });
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, 'other weights');
    await assert.rejects(fetchWeights(name, progress, { cacheFolder: folder }), {
      name: 'UserError',
      message: /expected a file with (a SHA-256 that begins with 7be5be79|the SHA-1 9116a64c0f\w{30}) from http.*, got/,
    });
    assert.ok(existsSync(path), 'what a person put there stays');
    assert.ok(notes.includes(`${name}: ${url}, 244 MB`), notes.join());
  }
  assert.deepEqual(Object.keys(KNOWN_WEIGHTS), ['torchvision', 'bvlc']);
});

it('tells files apart whose URLs differ in the query alone, and takes names that folders cannot have', () => {
  const at = (url: string) => downloadPath(url, { cacheFolder: folder });
  assert.notEqual(at('http://a/x.pth?v=1'), at('http://a/x.pth?v=2'));
  assert.match(at('http://a/x.pth?v=1'), /x\.pth$/);
  for (const url of [
    'http://a/%2e%2e/%2E%2E/x.pth',
    `http://a/${'y'.repeat(500)}/${'x'.repeat(500)}.pth`,
    'http://a:8000/*:?',
  ]) {
    const path = at(url);
    assert.ok(path.startsWith(join(folder, 'weights')), path);
    assert.ok(
      path.split(/[\\/]/).every((name) => name.length < 200 && !/[*:?"<>|]/.test(name)),
      path,
    );
  }
});
