import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { corner } from './images.js';
import { errorOf, post, running } from './running.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-fuzz-'));
after(() => rmSync(folder, { recursive: true }));
const log: string[] = [];
const MAX_BYTES = 200_000;
const { url } = await running({
  file: writeTinyModel(join(folder, 'tiny.onnx')),
  maxBytes: MAX_BYTES,
  log: (line) => log.push(line),
});
const loaded = log.length;
const { port, hostname } = new URL(url);
const healthy = async () => assert.equal((await post(url, await corner(0).png().toBuffer())).status, 200);

/** First status line of what comes back on a connection of its own, or nothing where it is cut. */
function raw(text: string | Buffer, limitMs = 4000): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(Number(port), hostname, () => socket.end(text));
    const done = () => {
      socket.destroy();
      resolve(answer.split('\r\n')[0]);
    };
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('close', done);
    socket.on('error', done);
    setTimeout(done, limitMs).unref();
  });
}

test('every method on every path is answered with a status below 500 and a body that says what is wrong', async () => {
  const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'];
  const paths = [
    '/',
    '/classify',
    '/predictions/quarters',
    '/models/quarters',
    '/v2',
    '/v2/health/live',
    '/v2/health/ready',
  ];
  paths.push('/v2/models', '/v2/models/quarters', '/v2/models/quarters/infer', '/v2/models/quarters/versions/1/infer');
  paths.push(
    '/v2/repository/index',
    '/v2/repository/models/quarters/load',
    '/ping',
    '/metrics',
    '/openapi.json',
    '/docs',
  );
  paths.push(
    '/v2/models/quarters/versions/%2e%2e/ready',
    '/docs/..%2f..%2fpackage.json',
    '/docs/%00',
    `/${'a/'.repeat(2000)}`,
  );
  for (const path of paths) {
    for (const method of methods) {
      const response = await fetch(url + path, { method });
      assert.ok(response.status < 500, `${method} ${path}: ${response.status}`);
      const body = await response.text();
      if (response.status >= 400 && method !== 'HEAD')
        assert.ok(JSON.parse(body).error ?? JSON.parse(body).message, path);
      assert.ok(!body.includes('"onnxruntime-node"'), path); // package.json
    }
  }
  await healthy();
});

test('malformed HTTP is answered with 4xx or cut, and harms nobody', async () => {
  const post = 'POST /classify HTTP/1.1\r\nHost: localhost\r\n';
  const cases: [string | Buffer, RegExp][] = [
    [`${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, /^HTTP\/1\.1 400/],
    [`${post}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`, /^(HTTP\/1\.1 400.*)?$/],
    [`${post}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n`, /^(HTTP\/1\.1 4.*)?$/],
    [`${post}Content-Length: -1\r\n\r\n`, /^HTTP\/1\.1 400/],
    [`${post}Content-Length: 1e9\r\n\r\n`, /^HTTP\/1\.1 400/],
    [`${post}X: ${'a'.repeat(1_000_000)}\r\n\r\n`, /^(HTTP\/1\.1 431.*)?$/],
    [
      `${post}${Array.from({ length: 3000 }, (_, i) => `H${i}: a`).join('\r\n')}\r\nContent-Length: 0\r\n\r\n`,
      /^(HTTP\/1\.1 4.*)?$/,
    ],
    ['GET / HTTP/9.9\r\n\r\n', /^HTTP\/1\.1 [45]0[05]/],
    ['\0\0\0\0\r\n\r\n', /^HTTP\/1\.1 400/],
    [Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) % 256)), /^(HTTP\/1\.1 400.*)?$/],
    [`${post}Content-Length: 100\r\n\r\nshort`, /^(HTTP\/1\.1 400.*)?$/],
    ['GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(200), /^HTTP\/1\.1 200/],
  ];
  for (const [text, status] of cases) assert.match(await raw(text), status, String(text).slice(0, 80));
  await healthy();
});

test('takes exactly the bytes allowed, and refuses one more and a body of unknown length', async () => {
  const image = await corner(0).png().toBuffer();
  const padded = (size: number) => Buffer.concat([image, Buffer.alloc(size - image.length)]);
  assert.equal((await post(url, padded(MAX_BYTES))).status, 200);
  assert.equal((await errorOf(post(url, padded(MAX_BYTES + 1)))).code, 'IMAGE_TOO_LARGE');
  const chunk = (size: number) => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`;
  const head = 'POST /classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n';
  assert.match(await raw(head + chunk(1000).repeat(300)), /^HTTP\/1\.1 413/);
});

test('refuses images that unfold beyond measure, at once and twenty at a time', async () => {
  const wide = await sharp({
    create: { width: 8000, height: 8000, channels: 3, background: '#000' }, // 64 of 50 megapixels
    limitInputPixels: false,
  })
    .png({ compressionLevel: 9, palette: true, colours: 2 })
    .toBuffer();
  const long = await sharp({ create: { width: 1, height: 16_000, channels: 3, background: '#fff' } })
    .png()
    .toBuffer();
  const statuses = await Promise.all(Array.from({ length: 20 }, async () => (await post(url, wide)).status));
  assert.ok(
    statuses.every((status) => status === 413 || status === 503),
    `${statuses}`,
  );
  assert.ok(statuses.includes(413));
  assert.equal((await post(url, long)).status, 200);
});

test('opens no format but its own, whatever it is called, and no file that an image names', async () => {
  const canary = join(folder, 'canary.png');
  writeFileSync(canary, await corner(3).png().toBuffer());
  const image = corner(1, 32, 32);
  const svg = (href: string) =>
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="32" height="32"><image href="${href}" xlink:href="${href}" width="32" height="32"/></svg>`;
  const files: Record<string, Buffer> = {
    svg: Buffer.from(svg(`file://${canary}`)),
    'svg in xml': Buffer.from(`<?xml version="1.0"?>${svg(canary)}`),
    ico: Buffer.from([0, 0, 1, 0, 1, 0, 16, 16]),
    'zip before a jpeg': Buffer.concat([Buffer.from('PK\x03\x04'), await image.clone().jpeg().toBuffer()]),
    pdf: Buffer.from('%PDF-1.7\n'),
  };
  for (const [name, bytes] of Object.entries(files)) {
    const { status, code } = await errorOf(post(url, bytes, { 'content-type': 'image/jpeg' }));
    assert.deepEqual([status, code], [415, 'UNSUPPORTED_IMAGE_TYPE'], name);
  }
  const polyglot = Buffer.concat([await image.clone().jpeg().toBuffer(), Buffer.from('PK\x03\x04 and a zip')]);
  assert.equal((await post(url, polyglot)).status, 200);
});

test('stays as it was: nothing in the log but what loading said', () => {
  assert.deepEqual(log.slice(loaded), []);
});
