import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { corner } from './images.js';
import {
  clientOf,
  close,
  expected,
  floats,
  INFER,
  image,
  LENGTH,
  parts,
  pixels,
  type Reply,
  ROW,
} from './open-inference-client.js';
import { running } from './running.js';
import { QUARTERS, writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-oip-'));
after(() => rmSync(folder, { recursive: true }));
const { url } = await running({ file: writeTinyModel(join(folder, 'tiny.onnx')), maxBytes: 100_000 });
const { infer, inferBinary } = clientOf(url);

test('says what server and model are, and that they are ready', async () => {
  const get = async (path: string) => (await fetch(url + path)).json();
  const server = (await get('/v2')) as { name: string; version: string; extensions: string[] };
  assert.equal(server.name, 'alexnet');
  const extensions = ['binary_tensor_data', 'classification', 'model_configuration', 'model_repository', 'statistics'];
  assert.deepEqual(server.extensions, extensions);
  const metadata = {
    name: 'quarters',
    versions: ['1'],
    platform: 'onnx_onnxv1',
    inputs: [{ name: 'image', datatype: 'UINT8', shape: [-1, 8, 8, 3] }],
    outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 4] }],
    parameters: {
      provider: 'cpu',
      crops: 1,
      image_px: 8,
      activation: 'none',
      activation_reason: 'the file says that it gives probabilities',
      multi_label: false,
    },
  };
  assert.deepEqual(await get('/v2/models'), { models: ['quarters'] });
  assert.deepEqual(await get('/v2/models/quarters'), metadata);
  assert.deepEqual(await get('/v2/models/quarters/versions/1'), metadata);
  assert.deepEqual(await get('/v2/models/quarters/ready'), { name: 'quarters', ready: true });
  assert.deepEqual(await get('/v2/models/quarters/versions/1/ready'), { name: 'quarters', ready: true });
});

test('runs the model on numbers in JSON, flat or nested, and echoes the id', async () => {
  const values = pixels(3);
  const rows = [0, 1, 2].map((row) => values.subarray(row * ROW, (row + 1) * ROW));
  const wanted = rows.flatMap(expected);
  const nested = rows.map((row) =>
    Array.from({ length: 8 }, (_, y) =>
      Array.from({ length: 8 }, (_, x) => Array.from(row.subarray((y * 8 + x) * 3, (y * 8 + x) * 3 + 3))),
    ),
  );
  for (const data of [Array.from(values), nested]) {
    const { status, reply } = await infer({ id: 'a-17', inputs: [image(3, { data })] });
    assert.equal(status, 200, reply.error);
    assert.deepEqual([reply.id, reply.model_name, reply.model_version], ['a-17', 'quarters', '1']);
    const [{ name, shape, datatype, data: got }] = reply.outputs;
    assert.deepEqual([name, shape, datatype], ['probabilities', [3, 4], 'FP32']);
    close(got as number[], wanted);
  }
});

test('takes and gives tensors as bytes after the JSON', async () => {
  const values = pixels(2);
  const input = image(2, { parameters: { binary_data_size: values.length } });
  const { status, reply, tail } = await inferBinary(
    { inputs: [input], outputs: [{ name: 'probabilities', parameters: { binary_data: true } }] },
    values,
  );
  assert.equal(status, 200, reply.error);
  assert.deepEqual(reply.outputs, [
    { name: 'probabilities', shape: [2, 4], datatype: 'FP32', parameters: { binary_data_size: 32 } },
  ]);
  const wanted = [values.subarray(0, ROW), values.subarray(ROW)].flatMap(expected);
  close(floats(tail), wanted);
  const json = await inferBinary({ inputs: [input] }, values);
  close(json.reply.outputs[0].data as number[], wanted);
  const all = await inferBinary({ inputs: [input], parameters: { binary_data_output: true } }, values);
  close(floats(all.tail), wanted);
});

test('takes a body of bytes alone: rows of the tensor, or an image', async () => {
  const raw = async (body: Uint8Array) =>
    parts(await fetch(url + INFER, { method: 'POST', headers: { [LENGTH]: '0' }, body: body as RequestInit['body'] }));
  const values = pixels(2);
  const tensor = await raw(values);
  assert.deepEqual(tensor.reply.outputs[0].shape, [2, 4]);
  close(floats(tensor.tail), [values.subarray(0, ROW), values.subarray(ROW)].flatMap(expected));
  const sent = await raw(await corner(2).png().toBuffer());
  assert.deepEqual(sent.reply.outputs[0].shape, [1, 4]);
  const [, , bottomLeft] = floats(sent.tail);
  assert.ok(bottomLeft > 0.94, `${bottomLeft}`);
  const wrong = await raw(values.subarray(1));
  assert.equal(wrong.status, 400);
  assert.match(
    wrong.reply.error,
    /input "image": expected a JPEG, PNG, WebP, GIF, AVIF or TIFF image, or rows of 192 bytes .* got 383 bytes/,
  );
});

test('takes images as BYTES, several at once, in base64 and in binary', async () => {
  const images = [await corner(3).png().toBuffer(), await corner(1).jpeg({ quality: 100 }).toBuffer()];
  const outputs = [{ name: 'probabilities', parameters: { classification: 2 } }];
  const named = (reply: Reply) => {
    assert.deepEqual([reply.outputs[0].datatype, reply.outputs[0].shape], ['BYTES', [2, 2]]);
    return (reply.outputs[0].data as string[]).map((text) => text.split(':').slice(1).join(':'));
  };
  const bytes = { name: 'image', shape: [2], datatype: 'BYTES' };
  const data = images.map((sent) => sent.toString('base64'));
  const { status, reply } = await infer({ inputs: [{ ...bytes, data }], outputs });
  assert.equal(status, 200, reply.error);
  const names = named(reply);
  assert.deepEqual([names[0], names[2]], ['3:bottom right', '1:top right']);
  const framed = Buffer.concat(
    images.flatMap((sent) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(sent.length);
      return [length, sent];
    }),
  );
  const input = { ...bytes, parameters: { binary_data_size: framed.length } };
  assert.deepEqual(named((await inferBinary({ inputs: [input], outputs }, framed)).reply), names);
});

test('names the most probable classes if asked, also as bytes behind their lengths', async () => {
  const black = new Uint8Array(ROW);
  black.fill(255, 0, 3 * 4); // the first four pixels of the first line: top left
  const outputs = [{ name: 'probabilities', parameters: { classification: 3 } }];
  const { reply } = await infer({ inputs: [image(1, { data: Array.from(black) })], outputs });
  assert.deepEqual([reply.outputs[0].shape, reply.outputs[0].datatype], [[1, 3], 'BYTES']);
  const p = expected(black);
  const strings = [0, 1, 2].map((i) => `${p[i].toFixed(6)}:${i}:${QUARTERS[i]}`);
  const given = reply.outputs[0].data as string[];
  given.forEach((text, i) => {
    const [value, ...rest] = text.split(':');
    assert.ok(Math.abs(Number(value) - Number(strings[i].split(':')[0])) < 2e-6);
    assert.deepEqual(rest, strings[i].split(':').slice(1));
  });
  const input = image(1, { parameters: { binary_data_size: ROW } });
  const asBytes = [{ name: 'probabilities', parameters: { classification: 1, binary_data: true } }];
  const { tail } = await inferBinary({ inputs: [input], outputs: asBytes }, black);
  assert.equal(tail.readUInt32LE(0), tail.length - 4);
  assert.equal(tail.subarray(4).toString(), given[0]);
});

const BAD: [string, object, RegExp][] = [
  [
    'a product of lengths beyond all numbers',
    image(1, { shape: [2 ** 53 - 1, 2 ** 40, 8, 3], data: [0] }),
    /input "image": shape: expected/,
  ],
  ['a row count beyond all memory', image(2 ** 40, { data: [0] }), /input "image": data: expected \d+ values/],
  ['a negative length', image(-1, { data: [0] }), /input "image": shape: expected \[-1,8,8,3\].*got \[-1,8,8,3\]/],
  ['no rows', image(0, { data: [] }), /input "image": shape/],
  ['a length that is no whole number', image(1.5, { data: [] }), /inputs\.0\.shape\.0/],
  ['too few values', image(1, { data: [1, 2, 3] }), /input "image": data: expected 192 values .* got 3/],
  [
    'a value out of range',
    image(1, { data: Array(ROW).fill(256) }),
    /value 0: expected a whole number from 0 to 255, got 256/,
  ],
  ['text for a value', image(1, { data: Array(ROW).fill('1') }), /value 0: expected a number, got "1"/],
  ['arrays of the wrong length inside', image(1, { data: [[1, 2]] }), /expected arrays of 8 along axis 1/],
  [
    'arrays inside arrays beyond the shape',
    image(1, { data: JSON.parse(`${'['.repeat(500)}1${']'.repeat(500)}`) }),
    /expected arrays of 8|nested more deeply/,
  ],
  [
    'another datatype',
    image(1, { datatype: 'FP32', data: [1] }),
    /datatype: expected UINT8, or BYTES for images, got FP32/,
  ],
  ['an unknown datatype', image(1, { datatype: 'FP8', data: [1] }), /inputs\.0\.datatype/],
  ['no data', image(1), /expected data, or binary_data_size/],
  [
    'another name',
    { ...image(1), name: 'picture', data: [1] },
    /input "picture": the model has no such input; it has "image" UINT8 \[-1,8,8,3\]/,
  ],
  ['a size without bytes', image(1, { parameters: { binary_data_size: ROW } }), /expecting 192 additional bytes/],
  ['a reserved parameter', image(1, { data: [1], parameters: { triton_x: 1 } }), /reserved/],
  [
    'BYTES that are no base64',
    { name: 'image', shape: [1], datatype: 'BYTES', data: ['{}'] },
    /expected images in base64/,
  ],
  [
    'fewer images than the shape',
    { name: 'image', shape: [2], datatype: 'BYTES', data: ['aaaa'] },
    /expected 2 images/,
  ],
  [
    'no image',
    { name: 'image', shape: [1], datatype: 'BYTES', data: ['aGVsbG8='] },
    /not a JPEG, PNG, WebP, GIF, AVIF or TIFF image/,
  ],
];
for (const [name, input, message] of BAD) {
  test(`refuses ${name}, and names the input`, async () => {
    const { status, reply } = await infer({ inputs: [input] });
    assert.ok(status === 400 || status === 415, `${status}`);
    assert.match(reply.error, message);
  });
}

test('refuses bodies that do not hold what their headers and sizes say', async () => {
  const values = pixels(1);
  const good = { inputs: [image(1, { parameters: { binary_data_size: ROW } })] };
  const cases: [object, Uint8Array, string | undefined, RegExp][] = [
    [
      good,
      values,
      '100000',
      /Inference-Header-Content-Length: expected the bytes of the JSON, 0 to \d+ in this body, got "100000"/,
    ],
    [good, values, '-1', /got "-1"/],
    [good, values, 'abc', /got "abc"/],
    [good, values, '5', /not JSON/],
    [
      good,
      Buffer.concat([values, Buffer.from([1])]),
      undefined,
      /input "image": unexpected additional input data, 1 bytes/,
    ],
    [good, values.subarray(1), undefined, /input "image": .*expecting 1 additional bytes/],
    [
      { inputs: [image(1, { parameters: { binary_data_size: 1.5 } })] },
      values,
      undefined,
      /binary_data_size: expected a whole number/,
    ],
    [
      { inputs: [image(2, { parameters: { binary_data_size: ROW } })] },
      values,
      undefined,
      /expected 384 bytes for the shape \[2,8,8,3\], got 192/,
    ],
    [
      { inputs: [image(1, { data: Array(ROW).fill(1) })] },
      values,
      undefined,
      /unexpected additional input data, 192 bytes/,
    ],
    [
      { inputs: [{ name: 'image', shape: [1], datatype: 'BYTES', parameters: { binary_data_size: 4 } }] },
      Buffer.from([255, 255, 255, 255]),
      undefined,
      /element 0 goes beyond the 4 bytes/,
    ],
  ];
  for (const [json, bytes, header, message] of cases) {
    const { status, reply } = await inferBinary(json, bytes, header);
    assert.equal(status, 400, reply.error);
    assert.match(reply.error, message);
  }
  const tooLarge = await fetch(url + INFER, { method: 'POST', body: new Uint8Array(150_000) });
  assert.equal(tooLarge.status, 413);
});

test('refuses Triton’s shared memory, for inputs and outputs', async () => {
  const region = { shared_memory_region: 'r', shared_memory_byte_size: 16, shared_memory_offset: 0 };
  const data = Array.from(pixels(1));
  const cases: [object, RegExp][] = [
    [{ inputs: [image(1, { parameters: region })] }, /^input "image": shared_memory_region: this server has no/],
    [
      { inputs: [image(1, { data })], outputs: [{ name: 'probabilities', parameters: region }] },
      /^output "probabilities": shared_memory_region: this server has no shared memory/,
    ],
  ];
  for (const [body, message] of cases) {
    const { status, reply } = await infer(body);
    assert.equal(status, 400, JSON.stringify(reply));
    assert.match(reply.error, message);
  }
});

test('refuses unknown outputs, models, versions, routes and methods in the protocol’s shape', async () => {
  const data = Array.from(pixels(1));
  const unknown = await infer({ inputs: [image(1, { data })], outputs: [{ name: 'logits' }] });
  assert.equal(unknown.status, 400);
  assert.match(
    unknown.reply.error,
    /output "logits": the model has no such output for this input; it has "probabilities"/,
  );
  const cases: [string, string, number, RegExp][] = [
    ['GET', '/v2/models/nobody', 404, /no model "nobody" here; there is "quarters"/],
    ['GET', '/v2/models/quarters/versions/7', 404, /no version "7"; there is "1"/],
    ['POST', '/v2/models/nobody/infer', 404, /no model "nobody"/],
    ['GET', '/v2/nothing', 404, /no such route: GET \/v2\/nothing/],
    ['POST', '/v2/models/quarters', 405, /answers GET, HEAD, not POST/],
    ['POST', '/v2/repository/models/quarters/load', 403, /start the server with adminToken \(--admin\)/],
    ['POST', '/v2/repository/models/quarters/unload', 403, /start the server with adminToken \(--admin\)/],
    ...['..%2f..%2fetc', 'a%2f..%2fb', '%2fetc%2fpasswd', '%00', 'x'.repeat(300), '%20', '.hidden'].map(
      (name): [string, string, number, RegExp] => [
        'GET',
        `/v2/models/${name}`,
        404,
        /no model has such a name|no such route/,
      ],
    ),
    ['GET', '/v2/models/%E0%A4%A', 400, /malformed/],
  ];
  for (const [method, path, status, message] of cases) {
    const response = await fetch(url + path, { method });
    assert.equal(response.status, status, path);
    assert.match(((await response.json()) as { error: string }).error, message, path);
    assert.ok(response.headers.has('x-request-id'));
  }
});

test('lists the repository', async () => {
  const index = async (body?: string) => (await fetch(`${url}/v2/repository/index`, { method: 'POST', body })).json();
  const entry = { name: 'quarters', version: '1', state: 'READY', reason: '' };
  assert.deepEqual(await index(), [entry]);
  assert.deepEqual(await index('{"ready": true}'), [entry]);
});

test('an image gives the same as BYTES, as pixels and at /classify', async () => {
  const sent = await corner(2, 20, 30).png().toBuffer();
  const square = await sharp(sent).resize(8, 8, { fit: 'cover' }).removeAlpha().raw().toBuffer();
  const own = (await (await fetch(`${url}/classify?top=4`, { method: 'POST', body: new Uint8Array(sent) })).json()) as {
    predictions: { index: number; probability: number }[];
  };
  const byIndex = [...own.predictions].sort((a, b) => a.index - b.index).map(({ probability }) => probability);
  const bytes = await infer({
    inputs: [{ name: 'image', shape: [1], datatype: 'BYTES', data: [sent.toString('base64')] }],
  });
  close(bytes.reply.outputs[0].data as number[], byIndex);
  const tensor = await infer({ inputs: [image(1, { data: Array.from(square) })] });
  close(tensor.reply.outputs[0].data as number[], byIndex);
});
