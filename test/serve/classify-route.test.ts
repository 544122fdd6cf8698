import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp, { type Sharp } from 'sharp';
import { corner, pattern } from './images.js';
import { errorOf, post, running } from './running.js';
import { METADATA, QUARTERS, writeTinyModel } from './tiny-model.js';

const MAX_BYTES = 100_000;
const folder = mkdtempSync(join(tmpdir(), 'alexnet-classify-'));
after(() => rmSync(folder, { recursive: true }));
const file = writeTinyModel(join(folder, 'tiny.onnx'));
const { url } = await running({ file, maxBytes: MAX_BYTES, maxPixels: 10_000 });

interface Answer {
  predictions: { index: number; label: string; synset?: string; probability: number }[];
  model: { name: string; version: string };
  crops: number;
  timings_ms: Record<string, number>;
}

async function answer(response: Response | Promise<Response>): Promise<Answer> {
  const { status, body } = await Promise.resolve(response).then(async (r) => ({
    status: r.status,
    body: await r.json(),
  }));
  assert.equal(status, 200, JSON.stringify(body));
  return body as Answer;
}

/** e⁴ / (e⁴ + 3) and e⁰ / (e⁴ + 3): one quarter white, three black. */
const [WHITE, BLACK] = [0.947916, 0.017361];

test('answers an image with its labels, most probable first', async () => {
  const reply = await answer(post(url, await corner(2).png().toBuffer(), { 'content-type': 'image/png' }));
  assert.deepEqual(
    reply.predictions.map(({ index, label, synset }) => ({ index, label, synset })),
    [2, 0, 1, 3].map((index) => ({ index, label: QUARTERS[index], synset: METADATA.synsets![index] })),
  );
  for (const [i, { probability }] of reply.predictions.entries()) {
    assert.ok(Math.abs(probability - (i === 0 ? WHITE : BLACK)) < 1e-6, `${probability}`);
  }
  assert.deepEqual(reply.model, { name: 'quarters', version: '1' });
  assert.equal(reply.crops, 1);
  assert.deepEqual(Object.keys(reply.timings_ms), ['queue', 'decode', 'inference', 'total']);
  const { queue, decode, inference, total } = reply.timings_ms;
  assert.ok(Math.abs(queue + decode + inference - total) < 0.01, JSON.stringify(reply.timings_ms));
  assert.ok(decode > 0 && inference > 0 && total < 10_000, JSON.stringify(reply.timings_ms));
});

test('keeps red, green and blue apart', async () => {
  for (const [c, weight] of [0.5, 0.3, 0.2].entries()) {
    const mask = sharp({ create: { width: 8, height: 8, channels: 3, background: ['#f00', '#0f0', '#00f'][c] } });
    const cornerImage = await corner(1)
      .composite([{ input: await mask.png().toBuffer(), blend: 'multiply' }])
      .png()
      .toBuffer();
    const { predictions } = await answer(post(url, cornerImage));
    const expected = Math.exp(4 * weight) / (Math.exp(4 * weight) + 3);
    assert.ok(Math.abs(predictions[0].probability - expected) < 1e-6, `channel ${c}: ${predictions[0].probability}`);
  }
});

test('answers as many predictions as top asks for', async () => {
  const cornerImage = await corner(0).png().toBuffer();
  for (const top of [1, 3, 4]) {
    assert.equal((await answer(post(url, cornerImage, {}, `/classify?top=${top}`))).predictions.length, top);
  }
});

test('answers 400 to a query parameter that it does not know, which names it and those that it knows', async () => {
  const image = await corner(0).png().toBuffer();
  for (const [path, known] of [
    ['/classify?topp=3', 'top, model, version, by_crop'],
    ['/classify?top=3&topp=3', 'top, model, version, by_crop'],
    ['/classify/batch?topp=3', 'top, model, version'],
    ['/explain/neighbours?topp=3', 'k, model, version'],
    ['/explain/labels?topp=3', 'model, version'],
  ]) {
    const reply = path.includes('labels') ? fetch(url + path) : post(url, image, {}, path);
    const { status, code, message } = await errorOf(reply);
    assert.deepEqual([status, code], [400, 'BAD_REQUEST'], path);
    assert.equal(message, `unknown query parameter "topp"; this route takes ${known}`);
  }
  const { message } = await errorOf(post(url, image, {}, '/classify?by_crop=yes'));
  assert.match(message, /^by_crop: .*, got "yes"$/);
});

test('passes over unknown query parameters on the routes of other protocols, as their servers do', async () => {
  const image = await corner(0).png().toBuffer();
  for (const path of ['/predictions/quarters', '/models/quarters', '/']) {
    assert.equal((await post(url, image, {}, `${path}?topp=3`)).status, 200, path);
  }
  assert.equal((await fetch(`${url}/v2/models/quarters?topp=3`)).status, 200);
});

test('answers 400 when top is out of range', async () => {
  for (const top of ['0', '5', '-1', '1.5', 'many', '', '1&top=2', '99999999999999999999']) {
    const error = await errorOf(post(url, Buffer.from('x'), {}, `/classify?top=${top}`));
    assert.equal(error.status, 400, top);
    assert.equal(error.code, 'INVALID_TOP');
    assert.match(error.message, /^top: expected a whole number from 1 to 4, the number of classes, got /);
  }
});

test('answers the same whatever type the image is sent as, raw or in a form', async () => {
  const cornerImage = await corner(3, 40, 24).jpeg().toBuffer();
  const expected = (await answer(post(url, cornerImage, { 'content-type': 'image/jpeg' }))).predictions;
  for (const type of ['image/png', 'application/octet-stream', 'application/x-www-form-urlencoded']) {
    assert.deepEqual((await answer(post(url, cornerImage, { 'content-type': type }))).predictions, expected, type);
  }
  const form = new FormData();
  form.set('comment', 'a corner');
  form.set('image', new Blob([new Uint8Array(cornerImage)], { type: 'image/jpeg' }), 'corner.jpg');
  assert.deepEqual((await answer(post(url, form))).predictions, expected);
});

test('takes a form of just the limit, and answers 413 when its image exceeds it by one byte', async () => {
  const cornerImage = await corner(1).png().toBuffer();
  for (const [size, status] of [
    [MAX_BYTES, 200],
    [MAX_BYTES + 1, 413],
    [2 * MAX_BYTES, 413],
  ]) {
    const form = new FormData();
    form.set('image', new Blob([new Uint8Array(cornerImage), new Uint8Array(size - cornerImage.length)]), 'a.png');
    assert.equal((await post(url, form)).status, status, `${size}`);
  }
});

const FORMS: Record<string, [string, string, string]> = {
  'no field image': [
    '--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n',
    'b',
    'IMAGE_FIELD_MISSING',
  ],
  'no part at all': ['--b--\r\n', 'b', 'IMAGE_FIELD_MISSING'],
  'an end in the middle': ['--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nxxxx', 'b', 'BAD_FORM'],
  'another boundary': ['--c\r\nContent-Disposition: form-data; name="image"\r\n\r\nx\r\n--c--\r\n', 'b', 'BAD_FORM'],
  'no boundary': ['x', '', 'BAD_FORM'],
  'nothing in the field': [
    '--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n\r\n--b--\r\n',
    'b',
    'EMPTY_BODY',
  ],
};
for (const [name, [body, boundary, code]] of Object.entries(FORMS)) {
  test(`answers 400 to a form with ${name}`, async () => {
    const type = `multipart/form-data${boundary && `; boundary=${boundary}`}`;
    const error = await errorOf(post(url, Buffer.from(body), { 'content-type': type }));
    assert.deepEqual([error.status, error.code], [400, code], error.message);
  });
}

test('answers 400 to a form with two images', async () => {
  const form = new FormData();
  for (const quarter of [0, 1])
    form.append('image', new Blob([new Uint8Array(await corner(quarter).png().toBuffer())]), 'a.png');
  const error = await errorOf(post(url, form));
  assert.deepEqual([error.status, error.code], [400, 'BAD_FORM']);
  assert.match(error.message, /send one image a request$/);
});

test('takes a body of just the limit, and answers 413 when it exceeds it by one byte, with and without its length', async () => {
  const cornerImage = await corner(1).png().toBuffer();
  const padded = (size: number) => Buffer.concat([cornerImage, Buffer.alloc(size - cornerImage.length)]);
  assert.equal((await post(url, padded(MAX_BYTES))).status, 200);
  const error = await errorOf(post(url, padded(MAX_BYTES + 1)));
  assert.deepEqual(error, {
    status: 413,
    code: 'IMAGE_TOO_LARGE',
    message: `the image has more than ${MAX_BYTES} bytes; send a smaller one`,
  });
  const chunked = new Blob([new Uint8Array(padded(3 * MAX_BYTES))]).stream();
  const init = { method: 'POST', body: chunked, duplex: 'half' };
  assert.equal((await fetch(`${url}/classify`, init as RequestInit)).status, 413);
});

test('answers 400 to an empty body', async () => {
  const error = await errorOf(post(url, new Uint8Array()));
  assert.deepEqual([error.status, error.code], [400, 'EMPTY_BODY']);
});

test('tells whoever sends an image by "curl -d" to use --data-binary, which works with the same content type', async () => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const png = await corner(1).png().toBuffer();
  await answer(post(url, png, headers));
  const stripped = Buffer.from(png.filter((byte) => ![0, 10, 13].includes(byte)));
  for (const [body, code] of [
    [stripped, 'UNSUPPORTED_IMAGE_TYPE'],
    [png.subarray(0, 60), 'INVALID_IMAGE'],
  ] as const) {
    const error = await errorOf(post(url, body, headers));
    assert.equal(error.code, code);
    assert.match(error.message, /; with curl, use --data-binary @FILE, because -d changes the bytes$/);
    assert.doesNotMatch((await errorOf(post(url, body))).message, /curl/);
  }
});

const cornerImage = corner(0, 64, 64);
const SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file:///etc/passwd"/></svg>';
const brands = (...names: string[]) =>
  Buffer.concat([
    Buffer.from([0, 0, 0, 12 + 4 * names.length]),
    Buffer.from(`ftyp${names[0]}\0\0\0\0${names.slice(1).join('')}`),
  ]);
/** Formats by the name that the refusal gives them. */
const NAMED: Record<string, Buffer> = {
  SVG: Buffer.from(`<?xml version="1.0"?>\n<!-- drawn -->\n${SVG}`),
  'an HTML page': Buffer.from('<!doctype html><p>image'),
  PDF: Buffer.from('%PDF-1.7\n'),
  BMP: Buffer.from('BM\x36\x03\0\0\0\0\0\0\x36\0\0\0', 'latin1'),
  'HEIC, which sharp cannot decode': brands('heic', 'mif1', 'heic'), // as iPhones write it
  'JPEG XL': Buffer.from([0xff, 0x0a, 0xfa, 0x7f]),
  'JPEG 2000': Buffer.from('\0\0\0\x0cjP  \r\n\x87\n', 'latin1'),
  ICO: Buffer.from([0, 0, 1, 0, 1, 0, 16, 16]),
  'a video': brands('isom', 'isom', 'mp41'),
  'a ZIP archive': Buffer.from('PK\x03\x04\x14'),
  'an image in base64': Buffer.from((await cornerImage.clone().png().toBuffer()).toString('base64')),
  JSON: Buffer.from('{"inputs": "aaaa"}'),
  'a form without': Buffer.from('--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nx\r\n--b--\r\n'),
};
for (const [name, bytes] of Object.entries(NAMED)) {
  test(`answers 415 to ${name}, names it and what is accepted, though it is called image/jpeg`, async () => {
    const error = await errorOf(post(url, bytes, { 'content-type': 'image/jpeg' }));
    assert.deepEqual([error.status, error.code], [415, 'UNSUPPORTED_IMAGE_TYPE']);
    assert.ok(error.message.startsWith(`this is ${name}`), error.message);
    assert.match(error.message, /JPEG/);
  });
}

const NOT_ALLOWED: Record<string, Buffer> = {
  svg: Buffer.from(SVG),
  'a WAVE file': Buffer.from('RIFF\x10\0\0\0WAVEfmt '),
  'one byte of JPEG': Buffer.from([0xff]),
  'random bytes': Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919) % 256)),
};
for (const [name, bytes] of Object.entries(NOT_ALLOWED)) {
  test(`answers 415 to ${name}, though it is called image/jpeg`, async () => {
    const error = await errorOf(post(url, bytes, { 'content-type': 'image/jpeg' }));
    assert.deepEqual([error.status, error.code], [415, 'UNSUPPORTED_IMAGE_TYPE']);
  });
}

for (const format of ['gif', 'avif', 'tiff'] as const) {
  test(`answers ${format} as PNG`, async () => {
    const image = sharp({ create: { width: 40, height: 30, channels: 3, background: '#c06020' } });
    const bytes = await image.clone().toFormat(format, { quality: 100 }).toBuffer();
    const [sent, png] = [await answer(post(url, bytes)), await answer(post(url, await image.png().toBuffer()))];
    for (const { index, probability } of png.predictions) {
      const other = sent.predictions.find((prediction) => prediction.index === index)!;
      assert.ok(Math.abs(other.probability - probability) < 0.02, 'AVIF stores other colours, a level or two apart');
    }
  });
}

for (const format of ['jpeg', 'png', 'webp', 'gif', 'avif', 'tiff'] as const) {
  test(`answers 400 to a ${format} that breaks off, wherever it does`, async () => {
    const whole = await pattern().toFormat(format).toBuffer();
    for (let eighth = 1; eighth < 8; eighth++) {
      const error = await errorOf(post(url, whole.subarray(0, (whole.length * eighth) / 8)));
      assert.deepEqual([error.status, error.code], [400, 'INVALID_IMAGE'], `${eighth}/8: ${error.message}`);
      assert.match(error.message, /^the image cannot be decoded: /);
    }
  });
}

test('answers 413 to more pixels than allowed, before decoding them', async () => {
  assert.equal((await post(url, await pattern(100, 100).png().toBuffer())).status, 200);
  for (const format of ['jpeg', 'png', 'webp', 'gif', 'avif', 'tiff'] as const) {
    const error = await errorOf(post(url, await pattern(101, 100).toFormat(format).toBuffer()));
    assert.deepEqual([error.status, error.code], [413, 'IMAGE_TOO_MANY_PIXELS'], format);
  }
  const bomb = await sharp({ create: { width: 16_000, height: 4000, channels: 3, background: '#000' } })
    .png({ compressionLevel: 9 })
    .toBuffer();
  assert.ok(bomb.length < MAX_BYTES * 4);
  assert.equal((await post(url, bomb.subarray(0, MAX_BYTES))).status, 413); // decoded, it would be cut short
});

test('turns images upright by their EXIF orientation, in all eight cases', async () => {
  const upright = await corner(1, 24, 40).png().toBuffer();
  const turned: Record<number, (image: Sharp) => Sharp> = {
    1: (image) => image,
    2: (image) => image.flop(),
    3: (image) => image.rotate(180),
    4: (image) => image.flip(),
    6: (image) => image.rotate(270),
    8: (image) => image.rotate(90),
  };
  const transposed = await sharp(await sharp(upright).rotate(90).png().toBuffer())
    .flop()
    .png()
    .toBuffer();
  const transversed = await sharp(await sharp(upright).rotate(90).png().toBuffer())
    .flip()
    .png()
    .toBuffer();
  const stored = [
    ...Object.entries(turned).map(([orientation, turn]) => ({
      orientation: Number(orientation),
      image: turn(sharp(upright)),
    })),
    { orientation: 5, image: sharp(transposed) },
    { orientation: 7, image: sharp(transversed) },
  ];
  const expected = (await answer(post(url, upright))).predictions[0];
  for (const { orientation, image } of stored) {
    const bytes = await image
      .withMetadata({ orientation })
      .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
      .toBuffer();
    const [best] = (await answer(post(url, bytes))).predictions;
    assert.equal(best.label, 'top right', `orientation ${orientation}`);
    assert.ok(
      Math.abs(best.probability - expected.probability) < 0.02,
      `orientation ${orientation}: ${best.probability}`,
    );
  }
});

const KINDS: Record<string, (image: Sharp) => Sharp> = {
  'a grey JPEG': (image) => image.toColourspace('b-w').jpeg(),
  'a CMYK JPEG': (image) => image.toColourspace('cmyk').jpeg(),
  'a progressive JPEG': (image) => image.jpeg({ progressive: true }),
  'a 16-bit PNG': (image) => image.toColourspace('rgb16').png(),
  'a grey 16-bit PNG': (image) => image.toColourspace('grey16').png(),
  'a PNG with a palette': (image) => image.png({ palette: true }),
  'a grey PNG with alpha': (image) => image.toColourspace('b-w').ensureAlpha().png(),
  'a 16-bit PNG with alpha': (image) => image.ensureAlpha().toColourspace('rgb16').png(),
  'a lossy WebP with alpha': (image) => image.ensureAlpha().webp(),
};
for (const [name, make] of Object.entries(KINDS)) {
  test(`sees in ${name} what is in the plain image`, async () => {
    const bytes = await make(corner(2, 32, 32)).toBuffer();
    const [best] = (await answer(post(url, bytes))).predictions;
    assert.equal(best.label, 'bottom left');
    assert.ok(Math.abs(best.probability - WHITE) < 0.02, `${best.probability}`);
  });
}

test('puts transparent parts on white', async () => {
  const alpha = await corner(3, 16, 16).toColourspace('b-w').negate().raw().toBuffer();
  const black = sharp({ create: { width: 16, height: 16, channels: 3, background: '#000' } });
  const bytes = await black
    .joinChannel(alpha, { raw: { width: 16, height: 16, channels: 1 } })
    .png()
    .toBuffer();
  assert.equal((await answer(post(url, bytes))).predictions[0].label, 'bottom right');
});

test('answers the first frame of an animation', async () => {
  const frames = await Promise.all([1, 2, 3].map((quarter) => corner(quarter, 16, 16).png().toBuffer()));
  const animation = await sharp(frames, { join: { animated: true } })
    .webp({ lossless: true })
    .toBuffer();
  assert.equal((await sharp(animation).metadata()).pages, 3);
  assert.equal((await answer(post(url, animation))).predictions[0].label, 'top right');
});

test('is live and ready', async () => {
  for (const state of ['live', 'ready']) {
    const response = await fetch(`${url}/v2/health/${state}`);
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), { [state]: true });
  }
});

test('answers 404 to other paths and 405 with Allow to other methods', async () => {
  for (const path of ['/classify/x', '/docs/x', '/%E0%A4%A', '/..%2f..%2fetc%2fpasswd']) {
    const error = await errorOf(post(url, new Uint8Array(), {}, path));
    assert.deepEqual([error.status, error.code], [404, 'NOT_FOUND'], path);
  }
  for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS']) {
    const response = await fetch(`${url}/classify`, { method });
    assert.equal(response.headers.get('allow'), 'POST');
    assert.deepEqual(await errorOf(response), {
      status: 405,
      code: 'METHOD_NOT_ALLOWED',
      message: `/classify answers POST, not ${method}`,
    });
  }
  assert.equal((await fetch(`${url}/v2/health/live`, { method: 'POST' })).headers.get('allow'), 'GET, HEAD');
});

test('echoes a sane request id and makes one up otherwise, on every answer', async () => {
  const idOf = async (path: string, id?: string) =>
    (await fetch(url + path, { headers: id === undefined ? {} : { 'x-request-id': id } })).headers.get('x-request-id');
  assert.equal(await idOf('/v2/health/live', 'abc-123:4'), 'abc-123:4');
  assert.equal(await idOf('/nowhere', 'abc'), 'abc');
  for (const id of [undefined, '', 'a b', 'x'.repeat(129), '<script>']) {
    assert.match((await idOf('/nowhere', id)) ?? '', /^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  }
});
