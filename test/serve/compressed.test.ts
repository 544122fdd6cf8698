/** Bodies that are sent compressed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { brotliCompressSync, createGzip, deflateSync, gzipSync } from 'node:zlib';
import { corner } from './images.js';
import { errorOf, post, running } from './running.js';
import { writeTinyModel } from './tiny-model.js';

const MAX_BYTES = 100_000;
const file = writeTinyModel(join(mkdtempSync(join(tmpdir(), 'alexnet-gzip-')), 'tiny.onnx'));
const { url } = await running({ file, maxBytes: MAX_BYTES, maxInFlight: 1_000_000 });
const image = await corner(2).png().toBuffer();

const COMPRESS = { gzip: gzipSync, 'x-gzip': gzipSync, deflate: deflateSync, br: brotliCompressSync, GZIP: gzipSync };

test('takes images as gzip, deflate and br, on every protocol’s routes', async () => {
  for (const [encoding, compress] of Object.entries(COMPRESS)) {
    const answer = await post(url, compress(image), { 'content-encoding': encoding });
    assert.equal(answer.status, 200, encoding);
    const { predictions } = (await answer.json()) as { predictions: { label: string }[] };
    assert.equal(predictions[0].label, 'bottom left');
  }
  const json = gzipSync(JSON.stringify({ inputs: image.toString('base64') }));
  const headers = { 'content-encoding': 'gzip', 'content-type': 'application/json' };
  const [best] = (await (await post(url, json, headers, '/models/quarters')).json()) as { label: string }[];
  assert.equal(best.label, 'bottom left');
  const torch = await post(url, gzipSync(image), { 'content-encoding': 'gzip' }, '/predictions/quarters');
  assert.deepEqual(Object.keys((await torch.json()) as object)[0], 'bottom left');
});

test('takes a compressed body that comes in chunks of a byte, of unknown length', async () => {
  const asked = request(`${url}/classify`, { method: 'POST', headers: { 'content-encoding': 'gzip' } });
  for (const byte of gzipSync(image)) asked.write(Buffer.of(byte));
  asked.end();
  const [response] = await once(asked, 'response');
  response.resume();
  assert.equal(response.statusCode, 200);
});

test('counts bytes after decompression: the limit itself passes, one more is refused', async () => {
  const atLimit = Buffer.concat([image, Buffer.alloc(MAX_BYTES - image.length)]);
  const over = Buffer.concat([atLimit, Buffer.alloc(1)]);
  for (const [encoding, compress] of Object.entries(COMPRESS)) {
    const headers = { 'content-encoding': encoding };
    assert.equal((await post(url, compress(atLimit), headers)).status, 200, encoding);
    const refused = await errorOf(post(url, compress(over), headers));
    assert.deepEqual([refused.status, refused.code], [413, 'IMAGE_TOO_LARGE'], encoding);
  }
});

test('stops at the limit of a body that would unfold to gigabytes', async () => {
  const gzip = createGzip();
  const asked = request(`${url}/classify`, { method: 'POST', headers: { 'content-encoding': 'gzip' } });
  asked.on('error', () => undefined); // the server closes before all is sent
  gzip.pipe(asked);
  const answered = once(asked, 'response');
  const zeroes = Buffer.alloc(1_000_000);
  let written = 0;
  const feed = () => {
    for (; written < 4_000; written++) if (!gzip.write(zeroes)) return void gzip.once('drain', feed);
    gzip.end();
  };
  feed();
  const [response] = await answered;
  assert.equal(response.statusCode, 413);
  assert.ok(written < 2_000, `${written} MB were taken before the answer`);
  gzip.destroy();
  asked.destroy();
  assert.match(await (await fetch(`${url}/metrics`)).text(), /^alexnet_request_bytes_in_flight 0$/m);
});

test('answers what is not compressed as it says, or in another way, with 4xx that says so', async () => {
  const cut = gzipSync(image).subarray(0, -12);
  for (const body of [image, cut]) {
    const { status, code, message } = await errorOf(post(url, body, { 'content-encoding': 'gzip' }));
    assert.deepEqual([status, code], [400, 'BAD_REQUEST']);
    assert.match(message, /Content-Encoding/);
  }
  for (const encoding of ['zstd', 'compress', 'gzip, gzip', 'constructor']) {
    const answer = await post(url, image, { 'content-encoding': encoding });
    assert.equal(answer.headers.get('accept-encoding'), 'gzip, deflate, br');
    const { status, code } = await errorOf(answer);
    assert.deepEqual([status, code], [415, 'UNSUPPORTED_ENCODING'], encoding);
  }
});
