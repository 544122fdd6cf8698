/** The routes of TorchServe and Hugging Face, called as their clients call them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { corner } from './images.js';
import { running } from './running.js';
import { METADATA, QUARTERS, writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-protocols-'));
after(() => rmSync(folder, { recursive: true }));
const { url } = await running({ file: writeTinyModel(join(folder, 'tiny.onnx')), maxBytes: 100_000 });
const image = await corner(2).png().toBuffer();
/** e⁴ / (e⁴ + 3) and e⁰ / (e⁴ + 3): one quarter white, three black. */
const [WHITE, BLACK] = [0.947916, 0.017361];

function near(probabilities: number[]): void {
  for (const [i, value] of probabilities.entries())
    assert.ok(Math.abs(value - (i === 0 ? WHITE : BLACK)) < 1e-6, `${value}`);
}

const send = (path: string, init: RequestInit) => fetch(`${url}${path}`, init);
const form = (field: string) => {
  const data = new FormData();
  data.set(field, new Blob([new Uint8Array(image)]), 'a.png');
  return data;
};

test('TorchServe: five labels at most with their probabilities, for PUT, POST, versions and forms', async () => {
  const requests: [string, RequestInit][] = [
    ['/predictions/quarters', { method: 'PUT', body: new Uint8Array(image) }],
    ['/predictions/quarters', { method: 'POST', body: new Uint8Array(image) }],
    ['/predictions/quarters/1', { method: 'POST', body: new Uint8Array(image) }],
    ['/predictions/quarters', { method: 'POST', body: form('data') }],
    ['/predictions/quarters', { method: 'POST', body: form('body') }],
  ];
  for (const [path, init] of requests) {
    const response = await send(path, init);
    assert.equal(response.status, 200, `${path} ${await response.clone().text()}`);
    const body = (await response.json()) as Record<string, number>;
    assert.deepEqual(
      Object.keys(body),
      [2, 0, 1, 3].map((i) => QUARTERS[i]),
    );
    near(Object.values(body));
  }
});

const hasCurl = await promisify(execFile)('curl', ['--version']).then(
  () => true,
  () => false,
);
test('TorchServe: curl -T, as its documentation has it', { skip: hasCurl ? false : 'needs curl' }, async () => {
  const file = join(folder, 'cat.png');
  writeFileSync(file, image);
  const { stdout } = await promisify(execFile)('curl', ['-s', '-T', file, `${url}/predictions/quarters`]);
  near(Object.values(JSON.parse(stdout) as Record<string, number>));
});

test('TorchServe: labels that look like numbers stay in order, equal ones are told apart', async () => {
  const labels = ['7', 'crane', '3', 'crane'];
  const file = writeTinyModel(join(folder, 'cranes.onnx'), { metadata: { labels } });
  const cranes = await running({ file });
  const response = await fetch(`${cranes.url}/predictions/quarters`, { method: 'PUT', body: new Uint8Array(image) });
  const keys = [...(await response.text()).matchAll(/"([^"]+)":/g)].map(([, key]) => key);
  const { synsets } = METADATA;
  assert.deepEqual(keys, ['3', '7', `${synsets![1]} crane`, `${synsets![3]} crane`]);
});

test('TorchServe: errors in its own shape', async () => {
  const cases: [string, RequestInit, number, string][] = [
    ['/predictions/nobody', { method: 'PUT', body: new Uint8Array(image) }, 404, 'ModelNotFoundException'],
    ['/predictions/quarters/2', { method: 'PUT', body: new Uint8Array(image) }, 404, 'ModelNotFoundException'],
    ['/predictions/quarters', { method: 'PUT', body: 'no image' }, 415, 'BadRequestException'],
    ['/predictions/quarters', { method: 'POST', body: form('image') }, 400, 'BadRequestException'],
    ['/predictions/quarters', { method: 'PUT', body: new Uint8Array(100_001) }, 413, 'RequestEntityTooLargeException'],
    ['/predictions/quarters', { method: 'DELETE' }, 405, 'MethodNotAllowedException'],
  ];
  for (const [path, init, status, type] of cases) {
    const response = await send(path, init);
    const body = (await response.json()) as { code: number; type: string; message: string };
    assert.deepEqual([response.status, body.code, body.type], [status, status, type], path);
    assert.ok(body.message.length > 10 && response.headers.get('x-request-id'));
  }
  assert.deepEqual(await (await send('/ping', {})).json(), { status: 'Healthy' });
});

test('Hugging Face: labels with scores, for bytes and for base64 in JSON', async () => {
  const json = (parameters?: object) => ({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: image.toString('base64'), parameters }),
  });
  const requests: [RequestInit, number][] = [
    [{ method: 'POST', headers: { 'content-type': 'image/png' }, body: new Uint8Array(image) }, 4],
    [json(), 4],
    [json({ top_k: 2 }), 2],
    [json({ top_k: 1000 }), 4],
    [json({ top_k: null, function_to_apply: null }), 4],
    [json({ function_to_apply: 'softmax' }), 4],
    [json({ function_to_apply: 'none' }), 4],
  ];
  for (const [init, count] of requests) {
    const response = await send('/models/quarters', init);
    const body = (await response.json()) as { label: string; score: number }[];
    assert.equal(response.status, 200, JSON.stringify(body));
    assert.deepEqual(
      body.map(({ label }) => label),
      [2, 0, 1, 3].slice(0, count).map((i) => QUARTERS[i]),
    );
    near(body.map(({ score }) => score));
  }
});

test('Hugging Face: errors in its own shape', async () => {
  const json = (body: string) => ({ method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const cases: [string, RequestInit, number, RegExp][] = [
    [
      '/models/nobody',
      { method: 'POST', body: new Uint8Array(image) },
      404,
      /no model "nobody" here; there is "quarters"/,
    ],
    ['/models/quarters', json('{"inputs": '), 400, /not JSON/],
    ['/models/quarters', json('{"inputs": 5}'), 400, /^inputs: /],
    ['/models/quarters', json('null'), 400, /^the body: /],
    ['/models/quarters', json('{"inputs": "aGVsbG8="}'), 415, /not a JPEG, PNG, WebP, GIF, AVIF or TIFF image/],
    ['/models/quarters', json(JSON.stringify({ inputs: 'A'.repeat(134_000) })), 413, /more than 100000 bytes/],
    ['/models/quarters', json(JSON.stringify({ inputs: '', parameters: { top_k: 'x' } })), 400, /top_k: /],
    [
      '/models/quarters',
      json(JSON.stringify({ inputs: '', parameters: { function_to_apply: 'sigmoid' } })),
      400,
      /function_to_apply: this model is served with softmax or none; expected that or nothing, got "sigmoid"/,
    ],
    ['/models/quarters', json(JSON.stringify({ inputs: '', parameters: { function_to_apply: 'x' } })), 400, /_apply: /],
    ['/models/quarters', { method: 'DELETE' }, 405, /answers POST, GET, HEAD, not DELETE/],
  ];
  for (const [path, init, status, message] of cases) {
    const response = await send(path, init);
    const body = (await response.json()) as { error: string };
    assert.equal(response.status, status, JSON.stringify(body));
    assert.match(body.error, message);
  }
});
