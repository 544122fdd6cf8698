/** Requests that operators meet, on a tiny model: hostile ones, and many; every test says what it measured. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import sharp from 'sharp';
import { load, percentile } from '../bench/http-load.js';
import { childrenOf, descriptorsOf, memoryOf } from '../bench/process-tree.js';
import { corner, order, pattern } from './images.js';
import { node, post, until } from './running.js';
import { counters, growth, LEAK_LIMIT_MB, ms, read, type Served, serve, sleep } from './scenarios.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-scenarios-'));
after(() => rmSync(folder, { recursive: true }));

async function obedient(): Promise<Served> {
  const server = node('./obedient-server.js', 'obedient', '0');
  return { ...server, url: JSON.parse(await server.line).url, pid: server.process.pid! };
}

/** Without helpers, whose memory would count as growth. */
const serveOne = (file: string, ...words: string[]) => serve('--model', file, '--replicas', '1', ...words);

test('5: a client that does not read its answers', async (t) => {
  const { url, pid } = await serveOne(writeTinyModel(join(folder, 'tiny.onnx')));
  await (await fetch(`${url}/openapi.json`)).text();
  const before = memoryOf(pid).now;
  const { port, hostname } = new URL(url);
  const started = performance.now();
  const socket = connect(Number(port), hostname, () => {
    for (let i = 0; i < 2000; i++) socket.write('GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n');
  });
  socket.pause();
  socket.on('error', () => undefined);
  const closed = new Promise<number>((resolve) => {
    // A paused socket learns of its end only by writing.
    const probe = setInterval(() => socket.write('\r\n', (error) => error && done()), 1000);
    const done = () => {
      clearInterval(probe);
      resolve((performance.now() - started) / 1000);
    };
  });
  const seconds = await Promise.race([closed, sleep(45_000).then(() => Number.POSITIVE_INFINITY)]);
  t.diagnostic(`left after ${seconds.toFixed(1)} s; memory grew by ${(memoryOf(pid).now - before).toFixed(0)} MB`);
  assert.ok(seconds <= 30);
  assert.ok(memoryOf(pid).now - before < 50);
});

test('7: a body in a million chunks of a byte, and 40 unfinished uploads of 19 MB', async (t) => {
  const { url, pid } = await serveOne(writeTinyModel(join(folder, 'unfinished.onnx')));
  const { port, hostname } = new URL(url);
  const held = async () => (await counters(url)).get('alexnet_request_bytes_in_flight')!;
  const start = memoryOf(pid).now;
  const chunked = connect(Number(port), hostname);
  chunked.write('POST /classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n');
  const chunks = Buffer.from('1\r\nx\r\n'.repeat(100_000));
  for (let i = 0; i < 10; i++) await new Promise((sent) => chunked.write(chunks, sent));
  await until(async () => (await held()) > 1_000_000, 10_000);
  const before = memoryOf(pid).now;
  const refused: string[] = [];
  const megabyte = Buffer.alloc(1_000_000);
  const upload = (): Socket => {
    const socket = connect(Number(port), hostname);
    socket.write('POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 19000001\r\n\r\n');
    for (let i = 0; i < 19; i++) socket.write(megabyte);
    socket.on('data', (answer) => refused.push(String(answer).split('\r\n')[0]));
    socket.on('error', () => undefined);
    return socket;
  };
  const sockets = Array.from({ length: 40 }, upload);
  await until(() => sockets.every(({ writableLength }) => writableLength === 0), 60_000);
  await sleep(1000);
  const most = await held();
  const grown = memoryOf(pid).now - before;
  const small = await post(url, await corner(0).png().toBuffer());
  for (const socket of [chunked, ...sockets]) socket.destroy();
  await until(async () => (await held()) === 0);
  t.diagnostic(`a million chunks: ${(before - start).toFixed(0)} MB more; a small image meanwhile: ${small.status}`);
  t.diagnostic(
    `40 uploads: ${refused.length} × 503, ${(most / 1e6).toFixed(0)} MB held; ${grown.toFixed(0)} MB more memory`,
  );
  assert.ok(before - start < 60);
  assert.deepEqual([...new Set(refused)], ['HTTP/1.1 503 Service Unavailable']);
  assert.ok(grown < 350);
  assert.equal(small.status, 200);
});

test('8: large JSON, the health check meanwhile', async (t) => {
  const { url, pid } = await serveOne(writeTinyModel(join(folder, 'json.onnx')));
  const shared = { url, path: '/classify', live: '/v2/health/live', images: [], clients: 0 };
  const infer = '/v2/models/quarters/infer';
  const input = (datatype: string, shape: number[], data: string) =>
    Buffer.from(`{"inputs":[{"name":"image","datatype":"${datatype}","shape":[${shape}],"data":${data}}]}`);
  const image = Buffer.concat([await corner(2).png().toBuffer(), Buffer.alloc(19_900_000)]).toString('base64');
  const rows = 30_000;
  const bodies: Record<string, [path: string, body: Buffer, status: number]> = {
    '5 million empty strings': [infer, input('BYTES', [1], JSON.stringify(Array(5_000_000).fill(''))), 413],
    '4 million empty strings': [infer, input('BYTES', [1], JSON.stringify(Array(4_000_000).fill(''))), 400],
    '10 million nested arrays': [infer, input('UINT8', [1, 8, 8, 3], '['.repeat(1e7) + ']'.repeat(1e7)), 413],
    '3 million nested arrays': [infer, input('UINT8', [1, 8, 8, 3], '['.repeat(3e6) + ']'.repeat(3e6)), 400],
    '5.8 million numbers, a batch': [
      infer,
      input('UINT8', [rows, 8, 8, 3], `[${Array.from({ length: rows * 192 }, (_, i) => i % 256)}]`),
      200,
    ],
    'a 20 MB image in base64': [infer, input('BYTES', [1], JSON.stringify([image])), 200],
    'the same for Hugging Face': ['/models/quarters', Buffer.from(JSON.stringify({ inputs: image })), 200],
  };
  const idle = (await load({ ...shared, seconds: 5 })).live;
  // What others on the machine take is not the server's.
  const allowed = 50 + percentile(idle, 0.99);
  t.diagnostic(`nothing else: live p99 ${ms(percentile(idle, 0.99))}, at most ${ms(Math.max(...idle))}`);
  const sender = fileURLToPath(new URL('./send-file.js', import.meta.url));
  for (const [name, [path, body, wanted]] of Object.entries(bodies)) {
    const file = join(folder, 'body.json');
    writeFileSync(file, body);
    const started = performance.now();
    const sent = promisify(execFile)(process.execPath, [sender, url + path, file]);
    const { live } = await load({ ...shared, seconds: 1, during: sent });
    const status = Number((await sent).stdout);
    const took = `${status} after ${ms(performance.now() - started)}`;
    const health = `live p99 ${ms(percentile(live, 0.99))}, at most ${ms(Math.max(...live))}`;
    const sizes = `${(body.length / 1e6).toFixed(0)} MB, memory ${memoryOf(pid).now.toFixed(0)} MB`;
    t.diagnostic(`${name}: ${took}; ${health}; ${sizes}`);
    assert.equal(status, wanted, name);
    assert.ok(percentile(live, 0.99) < allowed, name);
  }
});

test('8: images that break off, at every 64th of three of each kind', async (t) => {
  const { url } = await serveOne(writeTinyModel(join(folder, 'cut.onnx')));
  const counts = new Map<number, number>();
  let longest = 0;
  for (const format of ['jpeg', 'png', 'webp'] as const) {
    for (const [width, height] of [
      [96, 64],
      [33, 120],
      [200, 150],
    ]) {
      const whole = await pattern(width, height).toFormat(format).toBuffer();
      for (let part = 0; part < 64; part++) {
        const started = performance.now();
        const { status } = await post(url, whole.subarray(0, Math.floor((whole.length * part) / 64)));
        longest = Math.max(longest, performance.now() - started);
        counts.set(status, (counts.get(status) ?? 0) + 1);
      }
    }
  }
  t.diagnostic(`${JSON.stringify(Object.fromEntries(counts))}, the longest ${ms(longest)}`);
  assert.ok([...counts.keys()].every((status) => [200, 400, 415].includes(status)));
  assert.ok(longest < 1000);
});

test('9: 5,000 mutants', async (t) => {
  const { url, pid } = await serveOne(writeTinyModel(join(folder, 'mutants.onnx')));
  const [child] = childrenOf(pid);
  const wholes = await Promise.all(
    (['jpeg', 'png', 'webp'] as const).map((format) => pattern().toFormat(format).toBuffer()),
  );
  const counts = new Map<number, number>();
  const mutant = fc.record({
    which: fc.nat(2),
    // Without fast-check's liking for the first bytes, which would give 415 most of the time.
    flips: fc.array(fc.tuple(fc.noBias(fc.nat(0xffffff)), fc.nat(255)), { minLength: 1, maxLength: 30 }),
  });
  await fc.assert(
    fc.asyncProperty(mutant, async ({ which, flips }) => {
      const bytes = Buffer.from(wholes[which]);
      for (const [place, value] of flips) bytes[place % bytes.length] = value;
      const { status } = await post(url, bytes);
      counts.set(status, (counts.get(status) ?? 0) + 1);
      return status < 500;
    }),
    { numRuns: 5000, seed: 2012 },
  );
  t.diagnostic(JSON.stringify(Object.fromEntries(counts)));
  assert.deepEqual(childrenOf(pid), [child]); // it did not die
});

test('10: images that unfold, twenty at once', async (t) => {
  const { url, pid } = await serveOne(writeTinyModel(join(folder, 'bombs.onnx')));
  const plain = (width: number, height: number) =>
    sharp({ create: { width, height, channels: 3, background: '#000' }, limitInputPixels: false }).png({
      compressionLevel: 9,
    });
  const bombs = {
    '16,000 × 16,000 PNG': await plain(16_000, 16_000).toBuffer(),
    '1 × 100,000 PNG': await plain(1, 100_000).toBuffer(),
    '20,000 × 20,000 PNG of 1 bit': await plain(20_000, 20_000)
      .png({ palette: true, colours: 2, compressionLevel: 9 })
      .toBuffer(),
  };
  // Bodies as large that hold no bomb, so that what they take is not counted.
  const harmless = Buffer.concat([await corner(0).png().toBuffer(), Buffer.alloc(1_000_000)]);
  for (let i = 0; i < 3; i++) await Promise.all(Array.from({ length: 16 }, () => read(post(url, harmless))));
  for (const [name, bytes] of Object.entries(bombs)) {
    const before = memoryOf(pid).now;
    const started = performance.now();
    const { status } = await post(url, bytes);
    const one = performance.now() - started;
    const again = performance.now();
    const statuses = await Promise.all(Array.from({ length: 16 }, async () => (await post(url, bytes)).status));
    const grown = memoryOf(pid).now - before;
    t.diagnostic(
      `${name}, ${bytes.length} bytes: ${status} after ${ms(one)}; 16 at once ${ms(performance.now() - again)}; memory grew by ${grown.toFixed(0)} MB`,
    );
    assert.ok([200, 400, 413].includes(status) && statuses.every((other) => other === status));
    assert.ok(one < 200 && grown < 40);
  }
});

test('23: 10,000 requests grow nothing, and the check finds a leak of 64 KB a request', async (t: TestContext) => {
  const server = await obedient();
  const before = descriptorsOf(server.pid);
  const grown = await growth(server, 10_000, () => read(post(server.url, order('sleep 0'))));
  t.diagnostic(`grew by ${grown.toFixed(1)} MB; descriptors ${before}, then ${descriptorsOf(server.pid)}`);
  assert.ok(grown < LEAK_LIMIT_MB);
  const leaking = await obedient();
  const leaked = await growth(leaking, 10_000, () => read(post(leaking.url, order('leak 65536'))));
  t.diagnostic(`negative control: grew by ${leaked.toFixed(0)} MB`);
  assert.ok(leaked > LEAK_LIMIT_MB);
});

test('24: 500 failing requests of every kind grow nothing', async (t) => {
  const server = await serveOne(writeTinyModel(join(folder, 'failing.onnx')), '--max-bytes', '100000');
  const { url } = server;
  const form = (field: string) => {
    const body = new FormData();
    body.set(field, new Blob([Buffer.alloc(50_000)]), 'a.jpg');
    return body;
  };
  const broken = (await pattern().jpeg().toBuffer()).subarray(0, 1500);
  const kinds: Record<string, () => Promise<Response>> = {
    'too large': () => post(url, Buffer.alloc(100_001)),
    'wrong type': () => post(url, Buffer.alloc(50_000)),
    empty: () => post(url, Buffer.alloc(0)),
    'broken off': () => post(url, broken),
    'wrong field': () => post(url, form('picture')),
    'no image in the form': () => post(url, form('image')),
    'a form of nameless parts': () => {
      const body = Buffer.concat([Buffer.from('--b\r\nX: y\r\n\r\n'), Buffer.alloc(90_000), Buffer.from('\r\n--b--')]);
      return post(url, body, { 'content-type': 'multipart/form-data; boundary=b' });
    },
    'a form of 40 fields': () => {
      const body = form('picture');
      for (let i = 0; i < 40; i++) body.set(`f${i}`, 'x');
      return post(url, body);
    },
    'nested JSON': () => post(url, Buffer.alloc(130_000, '['), {}, '/v2/models/quarters/infer'),
    'malformed form': () => post(url, Buffer.alloc(50_000), { 'content-type': 'multipart/form-data; boundary=x' }),
    compressed: () => post(url, Buffer.alloc(50_000), { 'content-encoding': 'gzip' }),
    'bad JSON': () => post(url, Buffer.alloc(50_000, 91), {}, '/v2/models/quarters/infer'),
    'no such model': () => post(url, Buffer.alloc(50_000), {}, '/predictions/nobody'),
  };
  for (const send of Object.values(kinds)) for (let i = 0; i < 50; i++) await read(send());
  for (const [name, send] of Object.entries(kinds)) {
    const before = memoryOf(server.pid).now;
    const statuses = new Set<number>();
    for (let i = 0; i < 500; i++) {
      const response = await send();
      statuses.add(response.status);
      await response.arrayBuffer();
    }
    const grown = memoryOf(server.pid).now - before;
    t.diagnostic(`${name}: ${[...statuses].join(', ')}; grew by ${grown.toFixed(1)} MB`);
    assert.ok([...statuses].every((status) => status >= 400 && status < 500));
    assert.ok(grown < LEAK_LIMIT_MB);
  }
});
