/** Large JSON: read and written off the event loop, bounded before it is parsed, and answered like small JSON. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { corner } from './images.js';
import { obedient, running } from './running.js';
import { QUARTERS, writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-json-'));
after(() => rmSync(folder, { recursive: true }));
const file = writeTinyModel(join(folder, 'quarters.onnx'), { metadata: null, float: true, layout: 'NHWC' });
writeFileSync(join(folder, 'config.json'), JSON.stringify({ labels: QUARTERS }));
const { url } = await running({ file, maxBytes: 2_000_000 });
const INFER = '/v2/models/quarters/infer';
const ROW = 8 * 8 * 3;

async function send(path: string, body: string | Uint8Array, headers: Record<string, string> = {}) {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: body as RequestInit['body'],
  });
  return { status: response.status, text: await response.text() };
}

/** Times that JSON was read or written off the loop. */
async function moved(): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^alexnet_json_off_loop_total (\d+)$/m.exec(text)?.[1]);
}

const input = (shape: number[], datatype: string, more: object) => ({ name: 'image', shape, datatype, ...more });
const probabilities = (text: string) => (JSON.parse(text) as { outputs: { data: number[] }[] }).outputs[0].data;

test('answers float images in JSON, flat or nested, as it does their bytes, off the event loop', async () => {
  const rows = 300;
  const values = Float32Array.from({ length: rows * ROW }, (_, i) => ((i * 7919) % 1000) / 999);
  const shape = [rows, 8, 8, 3];
  const head = Buffer.from(
    JSON.stringify({ inputs: [input(shape, 'FP32', { parameters: { binary_data_size: values.byteLength } })] }),
  );
  const asBytes = await send(INFER, Buffer.concat([head, Buffer.from(values.buffer)]), {
    'inference-header-content-length': String(head.length),
  });
  assert.equal(asBytes.status, 200, asBytes.text);
  const nested = Array.from({ length: rows * 64 }, (_, i) => Array.from(values.subarray(3 * i, 3 * i + 3)));
  const lines = Array.from({ length: rows * 8 }, (_, i) => nested.slice(8 * i, 8 * i + 8));
  const images = Array.from({ length: rows }, (_, i) => lines.slice(8 * i, 8 * i + 8));
  const before = await moved();
  for (const data of [Array.from(values), images]) {
    const { status, text } = await send(INFER, JSON.stringify({ inputs: [input(shape, 'FP32', { data })] }));
    assert.equal(status, 200, text);
    assert.deepEqual(probabilities(text), probabilities(asBytes.text));
  }
  assert.equal(await moved(), before + 2);
});

test('writes a large answer off the event loop', async () => {
  const rows = 10_000;
  const size = 4 * rows * ROW;
  assert.ok(size < 8_000_000);
  const { url: wide } = await running({ file, maxBytes: size });
  const head = Buffer.from(
    JSON.stringify({ inputs: [input([rows, 8, 8, 3], 'FP32', { parameters: { binary_data_size: size } })] }),
  );
  const response = await fetch(wide + INFER, {
    method: 'POST',
    headers: { 'inference-header-content-length': String(head.length) },
    body: Buffer.concat([head, Buffer.alloc(size)]),
  });
  const data = probabilities(await response.text());
  assert.deepEqual([data.length, data[0], data.at(-1)], [4 * rows, 0.25, 0.25]);
  const metrics = await (await fetch(`${wide}/metrics`)).text();
  assert.match(metrics, /^alexnet_json_off_loop_total 1$/m);
});

test('takes base64 in one piece or in lines, small or large, from Hugging Face’s clients and as BYTES', async () => {
  const small = await corner(2).png().toBuffer();
  const large = Buffer.concat([small, Buffer.alloc(1_500_000)]);
  for (const image of [small, large]) {
    const base64 = image.toString('base64');
    const texts = [
      base64,
      base64.replace(/.{76}/g, '$&\n'), // Python's encodebytes, base64 of coreutils
      `${base64.replace(/.{64}/g, '$&\r\n')}\r\n`, // MIME, PEM
      base64.replace(/=+$/, ''),
    ];
    for (const inputs of texts) {
      const hub = await send('/models/quarters', JSON.stringify({ inputs, parameters: { top_k: 1 } }));
      assert.equal(hub.status, 200, hub.text);
      assert.match(hub.text, /^\[\{"label":"bottom left"/);
      const infer = await send(INFER, JSON.stringify({ inputs: [input([1], 'BYTES', { data: [inputs] })] }));
      assert.equal(infer.status, 200, infer.text);
      const given = probabilities(infer.text);
      assert.equal(given.indexOf(Math.max(...given)), 2);
    }
  }
});

test('refuses what is not base64, wherever the fault is', async () => {
  for (const inputs of ['{}', 'aaaa-', 'aa=a', 'a===', `${'a'.repeat(200_000)}é`, `${'a'.repeat(200_000)}=a`]) {
    const hub = await send('/models/quarters', JSON.stringify({ inputs }));
    assert.deepEqual([hub.status, hub.text], [400, '{"error":"inputs: expected the image in base64"}']);
    const infer = await send(INFER, JSON.stringify({ inputs: [input([1], 'BYTES', { data: [inputs] })] }));
    assert.equal(infer.status, 400);
    assert.match(infer.text, /expected images in base64/);
  }
});

const UNFOLDING: Record<string, string> = {
  'nested arrays': `{"inputs":${'['.repeat(1_200_000)}`,
  'empty arrays': `{"inputs":[${'[],'.repeat(800_000)}[]]}`,
  'empty objects': `{"inputs":[${'{},'.repeat(600_000)}{}]}`,
  'fields of an object': `{"inputs":"","parameters":{${Array.from({ length: 60_000 }, (_, i) => `"${i}":1`)}}}`,
};
for (const [what, body] of Object.entries(UNFOLDING)) {
  test(`refuses ${what} that would unfold beyond measure before parsing them, with the limit`, async () => {
    for (const path of [INFER, '/models/quarters']) {
      const { status, text } = await send(path, body);
      assert.equal(status, 413, text);
      assert.match(text, /the JSON would take \d+ MB of memory, 23 MB are allowed; send fewer values/);
    }
  });
}

const WRONG: Record<string, [body: object, message: RegExp]> = {
  'empty strings for an image': [
    input([1], 'BYTES', { data: Array(300_000).fill('') }),
    /expected 1 images for the shape, got 300000/,
  ],
  'many numbers for a row': [input([1, 8, 8, 3], 'FP32', { data: Array(900_000).fill(1) }), /expected 192 values/],
  'lengths of axes': [input(Array(600_000).fill(1), 'FP32', { data: [] }), /more than 1000 elements besides data/],
  'deep arrays for a number': [
    input([1, 8, 8, 3], 'FP32', { data: [1, ...Array(191).fill(JSON.parse(`${'['.repeat(999)}${']'.repeat(999)}`))] }),
    /value 1: expected a number, got an array/,
  ],
  'a name of a megabyte': [{ ...input([1], 'BYTES', { data: [''] }), name: 'x'.repeat(1_000_000) }, /^.{900,1200}$/],
};
for (const [what, [given, message]] of Object.entries(WRONG)) {
  test(`refuses ${what} in large JSON with a short message`, async () => {
    const { status, text } = await send(INFER, JSON.stringify({ inputs: [given] }));
    assert.equal(status, 400, text);
    assert.match(text, message);
  });
}

test('refuses a million inputs, and as many strings in binary, without reading each', async () => {
  const inputs = await send(INFER, `{"inputs":[${'1,'.repeat(1_000_000)}1]}`);
  assert.deepEqual(
    [inputs.status, inputs.text],
    [400, '{"error":"the body has more than 1000 elements besides data"}'],
  );
  const size = 2_000_000;
  const head = Buffer.from(
    JSON.stringify({ inputs: [input([2], 'BYTES', { parameters: { binary_data_size: size } })] }),
  );
  const strings = await send(INFER, Buffer.concat([head, Buffer.alloc(size)]), {
    'inference-header-content-length': String(head.length),
  });
  assert.equal(strings.status, 400);
  assert.match(strings.text, /expected 2 images for the shape, got more/);
});

test('answers 504 if reading takes longer than --timeout, and keeps serving', async () => {
  const late = await obedient({ timeoutMs: 1 });
  const body = JSON.stringify({ inputs: [input([1, 8, 8, 3], 'UINT8', { data: Array(1_000_000).fill(1) })] });
  for (let i = 0; i < 2; i++) {
    const response = await fetch(`${late.url}/v2/models/obedient/infer`, { method: 'POST', body });
    assert.equal(response.status, 504, await response.text());
  }
  const small = await fetch(`${late.url}/v2/models/obedient/infer`, { method: 'POST', body: '{' });
  assert.equal(small.status, 400);
});
