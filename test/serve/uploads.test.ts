/** Bodies on their way in: what they may hold together, how long they may take, how long connections wait for more. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import express from 'express';
import { RequestError } from '../../serve/errors.js';
import { Uploads } from '../../serve/http/uploads.js';
import { order } from './images.js';
import { alexnet, errorOf, obedient, post, until } from './running.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-uploads-'));
after(() => rmSync(folder, { recursive: true }));

const MAX_BYTES = 100_000;
const MAX_IN_FLIGHT = 180_000;
const { url } = await obedient({ maxBytes: MAX_BYTES, maxInFlight: MAX_IN_FLIGHT });

async function metric(name: string, server = url): Promise<number> {
  const text = await (await fetch(`${server}/metrics`)).text();
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.split(' ')[1],
  );
}
const inFlight = () => metric('alexnet_request_bytes_in_flight');

/** A connection on which `text` has been sent; `answer` once it is closed. */
function open(server: string, text: string | Buffer): { socket: Socket; answer: Promise<string> } {
  const { port, hostname } = new URL(server);
  const socket = connect(Number(port), hostname);
  socket.write(text);
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk;
  });
  socket.on('error', () => undefined);
  return { socket, answer: once(socket, 'close').then(() => received) };
}

const head = (length: number | undefined, path = '/classify', more = '') =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${more}${
    length === undefined ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`
  }\r\n\r\n`;

const ROUTES = [
  '/classify',
  '/predictions/obedient',
  '/models/obedient',
  '/v2/models/obedient/infer',
  '/explain/picture',
];

test('answers 503 with Retry-After on every route once bodies hold the bytes allowed, announced or come', async () => {
  const unfinished = [open(url, head(80_000)), open(url, `${head(80_000, '/models/obedient')}${'x'.repeat(50_000)}`)];
  await until(async () => (await inFlight()) === 160_000);
  for (const path of ROUTES) {
    const response = await post(url, Buffer.alloc(30_000), {}, path);
    assert.equal(response.status, 503, path);
    assert.match(response.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
    assert.match(await response.text(), /holds as many request bytes as it is allowed to/);
  }
  assert.equal((await errorOf(post(url, Buffer.alloc(30_000)))).code, 'IN_FLIGHT_FULL');
  assert.equal((await post(url, order('sleep 0'))).status, 200);
  for (const { socket } of unfinished) socket.destroy();
  await until(async () => (await inFlight()) === 0);
  assert.equal(await metric('alexnet_request_bytes_limit'), MAX_IN_FLIGHT);
});

test('refuses a body before it is read: without "100 Continue" to a client that asks for it', async () => {
  const expect = 'Expect: 100-continue\r\n';
  const holder = open(url, head(80_000));
  await until(async () => (await inFlight()) === 80_000);
  const holders = [holder, open(url, head(80_000))];
  await until(async () => (await inFlight()) === 160_000);
  assert.match(await open(url, head(30_000, '/classify', expect)).answer, /^HTTP\/1\.1 503 /);
  assert.match(await open(url, head(MAX_BYTES + 1, '/classify', expect)).answer, /^HTTP\/1\.1 413 /);
  for (const { socket } of holders) socket.destroy();
  await until(async () => (await inFlight()) === 0);
  const body = order('sleep 0');
  const taken = open(url, head(body.length, '/classify', expect));
  await once(taken.socket, 'data');
  taken.socket.write(body);
  assert.match(await taken.answer, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
});

test('counts a body of unknown length as it arrives, and refuses it if it goes beyond', async () => {
  const chunk = `${(10_000).toString(16)}\r\n${'x'.repeat(10_000)}\r\n`;
  const first = open(url, head(undefined) + chunk.repeat(8));
  await until(async () => (await inFlight()) >= 80_000);
  const second = open(url, head(undefined) + chunk.repeat(8));
  assert.match(await second.answer, /^HTTP\/1\.1 503 [\s\S]*retry-after: 1\r\n/i);
  first.socket.write('0\r\n\r\n');
  assert.match(await first.answer, /^HTTP\/1\.1 415 /); // whole, and no image
  await until(async () => (await inFlight()) === 0);
});

test('holds nothing of a request that has ended, in whatever way', async () => {
  const form = { 'content-type': 'multipart/form-data; boundary=b' };
  assert.equal((await post(url, order('sleep 0'))).status, 200);
  assert.equal((await post(url, order('fail'))).status, 500);
  assert.equal((await post(url, Buffer.alloc(50_000), form)).status, 400);
  assert.equal((await post(url, Buffer.alloc(MAX_BYTES + 1))).status, 413);
  assert.equal((await post(url, Buffer.from('{'), {}, '/v2/models/obedient/infer')).status, 400);
  const chunk = `${(60_000).toString(16)}\r\n${'x'.repeat(60_000)}\r\n`;
  assert.match(await open(url, head(undefined) + chunk.repeat(2)).answer, /^HTTP\/1\.1 413 /);
  await open(url, `${head(50_000)}short`).socket.end();
  const answering = open(url, Buffer.concat([Buffer.from(head(order('sleep 200').length)), order('sleep 200')]));
  await until(async () => (await inFlight()) > 0);
  answering.socket.destroy(); // gone while its image is in inference
  await until(async () => (await inFlight()) === 0);
});

test('answers 408 to a body that takes longer than allowed, closes, and counts it', async () => {
  const slow = await obedient({ uploadTimeoutMs: 200 });
  for (const path of ROUTES) {
    const answer = await open(slow.url, `${head(1000, path).replace('Connection: close\r\n', '')}x`).answer;
    assert.match(answer, /^HTTP\/1\.1 408 /, path);
    assert.match(answer, /connection: close/i);
    assert.match(answer, /took more than 0.2 s; .* a longer uploadTimeoutMs \(--upload-timeout\)/);
  }
  assert.equal(await metric('http_requests_total{method="POST",route="/classify",status="408"}', slow.url), 1);
  assert.equal(await metric('alexnet_request_bytes_in_flight', slow.url), 0);
});

test('keeps idle connections for longer than the 60 s of load balancers, or as long as it is told', async () => {
  const live = 'GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const { socket } = open(url, live);
  assert.match(String(await once(socket, 'data')), /keep-alive: timeout=75\r\n/i);
  socket.destroy();
  const short = await obedient({ keepAliveMs: 100 });
  assert.match(await open(short.url, live).answer, /^HTTP\/1\.1 200 /); // closed by the server
});

test('serve takes the limits as flags, and refuses one that no body fits in', async () => {
  const model = ['--model', writeTinyModel(join(folder, 'tiny.onnx')), '--port', '0', '--provider', 'cpu'];
  const small = alexnet('serve', ...model, '--max-in-flight', '20000000');
  const server = alexnet('serve', ...model, '--upload-timeout', '0.2', '--keep-alive', '61.5');
  const { url: own } = JSON.parse(await server.line) as { url: string };
  assert.equal((await fetch(`${own}/v2/health/live`)).headers.get('keep-alive'), 'timeout=61');
  assert.match(await open(own, `${head(1000)}x`).answer, /^HTTP\/1\.1 408 /);
  assert.equal(await metric('alexnet_request_bytes_limit', own), 256_000_000);
  assert.notEqual(await small.ended, 0);
  assert.match(
    small.stderr(),
    /--max-in-flight: expected \d{8} bytes or more, .*an image of 20000000 bytes, got 20000000/,
  );
});

test('gives up at once a body whose client has left before it is read, in part or as a whole', async () => {
  const uploads = new Uploads({ uploadTimeoutMs: 60_000, maxInFlight: 1e6 });
  for (const body of ['some of it', 'x'.repeat(5000)]) {
    const read = new Promise<unknown>((resolve) => {
      const application = express().use((request) => {
        const refuse = () => new RequestError('BODY_TOO_LARGE');
        request.once('close', () => resolve(uploads.read(request, 1e6, refuse).catch(({ code }) => code)));
      });
      const server = application.listen(0, '127.0.0.1', () => {
        const { port } = server.address() as AddressInfo;
        const { socket } = open(`http://127.0.0.1:${port}`, `${head(5000)}${body}`);
        server.once('request', () => setTimeout(() => socket.destroy(), 50));
      });
      after(() => server.close());
    });
    const started = performance.now();
    assert.equal(await read, 'BAD_REQUEST');
    assert.ok(performance.now() - started < 5000);
    assert.equal(uploads.bytesInFlight, 0);
  }
});
