/** Multipart forms on every route that takes an image, as bytes on the wire: whatever they hold, they are answered. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { corner } from './images.js';
import { running } from './running.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-forms-'));
after(() => rmSync(folder, { recursive: true }));
const { url } = await running({ file: writeTinyModel(join(folder, 'tiny.onnx')), maxBytes: 300_000 });
const image = await corner(2).png().toBuffer();

/** Routes that take forms, with the name of the field. */
const ROUTES = [
  { method: 'POST', path: '/classify', field: 'image' },
  { method: 'PUT', path: '/predictions/quarters', field: 'data' },
  { method: 'POST', path: '/predictions/quarters/1', field: 'body' },
  { method: 'POST', path: '/models/quarters', field: 'image' },
];
/** These too, but what they answer takes a process of its own. */
const VIEWS = ['picture', 'activations', 'lrn?layer=x', 'occlusion', 'neighbours'].map((view) => {
  return { method: 'POST', path: `/explain/${view}`, field: 'image' };
});

/** Far beyond what an answer takes: a request that is never answered fails. */
const DEADLINE_MS = 20_000;

async function send({ method, path }: { method: string; path: string }, body: Buffer, boundary = 'b') {
  const response = await fetch(url + path, {
    method,
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: new Uint8Array(body),
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  return { status: response.status, text: await response.text() };
}

interface Part {
  headers: string[];
  content: Buffer;
}

const named = (name: string, content: Buffer | string, more = ''): Part => {
  return { headers: [`Content-Disposition: form-data; name="${name}"${more}`], content: Buffer.from(content) };
};
const form = (parts: readonly Part[], boundary = 'b', end = '--') =>
  Buffer.concat([
    ...parts.flatMap(({ headers, content }) => [
      Buffer.from(`--${boundary}\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n`, 'latin1'),
      content,
      Buffer.from('\r\n'),
    ]),
    Buffer.from(`--${boundary}${end}\r\n`),
  ]);

const filler = Buffer.alloc(70_000);
const fields = (count: number) => Array.from({ length: count }, (_, i) => named(`f${i}`, 'x'));
const whole = (field: string) => named(field, image, '; filename="a.png"');

const FOUND: Record<string, (field: string) => Buffer> = {
  'behind forty fields': (field) => form([...fields(40), whole(field)]),
  'before forty fields': (field) => form([whole(field), ...fields(40)]),
  'behind a large field': (field) => form([named('notes', filler), whole(field)]),
  'behind a large file of another name': (field) =>
    form([named('mask', filler, '; filename="mask.bin"'), whole(field)]),
  'behind a part without Content-Disposition': (field) => form([{ headers: ['X: y'], content: filler }, whole(field)]),
  'behind a part without headers': (field) => form([{ headers: [], content: filler }, whole(field)]),
  'behind a part that is no form data': (field) =>
    form([{ headers: [`Content-Disposition: attachment; name="${field}"`], content: filler }, whole(field)]),
  'behind an empty part': (field) => Buffer.concat([Buffer.from('--b\r\n'), form([whole(field)])]),
  'after a preamble, before an epilogue': (field) =>
    Buffer.concat([Buffer.from('a form follows\r\n'), form([whole(field)]), filler]),
  'with headers in another order, folded, in lower case': (field) =>
    form([
      {
        headers: ['content-type: image/png', `content-disposition:form-data;\r\n\tfilename="; name=x";name=${field}`],
        content: image,
      },
    ]),
  'with spaces behind its boundary': (field) =>
    Buffer.from(
      form([whole(field)])
        .toString('latin1')
        .replace('--b\r\n', '--b \t\r\n'),
      'latin1',
    ),
};
for (const [where, make] of Object.entries(FOUND)) {
  test(`finds the image of a form ${where}, on every route`, async () => {
    for (const route of ROUTES) {
      const { status, text } = await send(route, make(route.field));
      assert.equal(status, 200, `${route.path}: ${text}`);
      assert.match(text, /bottom left/);
    }
  });
}

const REFUSED: Record<string, [make: (field: string) => Buffer, status: number, message: RegExp]> = {
  'without the image, behind forty fields': [() => form([...fields(40), named('f', filler)]), 400, /has no field/],
  'of nameless parts': [
    () =>
      form([
        { headers: ['X: y'], content: filler },
        { headers: [], content: filler },
      ]),
    400,
    /has no field/,
  ],
  'with two images': [(field) => form([whole(field), whole(field)]), 400, /send one image a request/],
  'of more than 1000 parts': [(field) => form([...fields(1000), whole(field)]), 400, /more than 1000 parts/],
  'with an empty image': [(field) => form([named(field, '')]), 400, /empty/],
  'with a form in the field': [(field) => form([named(field, form([whole(field)], 'inner'))]), 415, /JPEG/],
  'with an image a byte too large': [(field) => form([named(field, Buffer.alloc(300_001))]), 413, /300000 bytes/],
  'that breaks off in the image': [(field) => form([whole(field)]).subarray(0, 100), 400, /end is missing/],
  'that breaks off in a large field': [
    (field) => form([whole(field), named('f', filler)]).subarray(0, -10),
    400,
    /end is missing/,
  ],
  'that breaks off in its headers': [() => Buffer.from('--b\r\nContent-Dispo'), 400, /end is missing/],
  'with another boundary': [(field) => form([whole(field)], 'c'), 400, /boundary "b" .* is not in the body/],
  'of zero length': [() => Buffer.alloc(0), 400, /is not in the body/],
  'of zeroes': [() => filler, 400, /is not in the body/],
  'with 10 kB of headers': [
    (field) => form([{ headers: [`X: ${'y'.repeat(10_000)}`], content: image }, whole(field)]),
    400,
    /8192 bytes of headers/,
  ],
};
for (const [what, [make, wanted, message]] of Object.entries(REFUSED)) {
  test(`refuses a form ${what}, on every route`, async () => {
    for (const route of [...ROUTES, ...VIEWS]) {
      const { status, text } = await send(route, make(route.field));
      assert.equal(status, wanted, `${route.path}: ${text}`);
      assert.match(text.replaceAll('\\"', '"'), message, route.path);
    }
  });
}

test('answers a form on a route that takes none', async () => {
  for (const path of ['/v2/models/quarters/infer', '/v2/repository/index', '/nowhere']) {
    const { status, text } = await send({ method: 'POST', path }, form([...fields(12), whole('image')]));
    assert.ok(status === 400 || status === 404, `${path}: ${status} ${text}`);
  }
});

test('answers every random form: 200 with one image in it, else why not', async () => {
  const content = fc.oneof(
    fc.constant(image),
    fc.constant(filler),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.constant(Buffer.from('\r\n--\r\n-- b--\r\n')),
  );
  const header = fc.oneof(
    fc.constantFrom('image', 'data', 'other').map((name) => `Content-Disposition: form-data; name="${name}"`),
    fc.constantFrom('Content-Type: image/png', 'X', ': :', 'Content-Disposition: form-data', 'Content-Disposition:'),
  );
  const parts = fc.array(fc.record({ headers: fc.array(header, { maxLength: 3 }), content }), { maxLength: 20 });
  const random = fc.record({
    route: fc.constantFrom(...ROUTES),
    parts,
    boundary: fc.constantFrom('b', 'another-longer-boundary'),
    end: fc.constantFrom('--', '--', '--', '', '-', ' \t'),
    cut: fc.option(fc.nat(400), { nil: 0, freq: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(random, async ({ route, parts, boundary, end, cut }) => {
      const bytes = form(parts, boundary, end);
      const { status, text } = await send(route, cut > 0 ? bytes.subarray(0, -cut) : bytes, boundary);
      assert.ok(status < 500, text);
      assert.ok(text.length > 2);
      if (end !== '--' || cut > 2) return assert.ok(status >= 400, text);
      // A part takes the name in its first Content-Disposition with form data.
      const names = route.field === 'body' ? ['data', 'body'] : [route.field];
      const nameOf = (headers: string[]) => {
        const given = headers.find((line) => line.startsWith('Content-Disposition: form-data'));
        return /name="(\w+)"/.exec(given ?? '')?.[1] ?? '';
      };
      const images = parts.filter(({ headers }) => names.includes(nameOf(headers)));
      const isGood = images.length === 1 && images[0].content === image;
      assert.equal(status === 200, isGood, `${status} ${text}`);
    }),
    { numRuns: 150, seed: 2012 },
  );
});
