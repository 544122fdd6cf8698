/** `alexnet page`: a static site that classifies in the browser, against the server's answers. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { assertAccessible, give, pick, skip, visit, WEBGPU } from './chromium.js';
import { type ColourModel, node, writeColourModel } from './colour-model.js';
import { corner, pattern } from './images.js';
import { alexnet, post, running } from './running.js';
import { QUARTERS, type TinyModel, writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-site-'));
after(() => rmSync(folder, { recursive: true }));

async function command(file: string, out: string) {
  const { line, ended, stderr } = alexnet('page', '--model', file, '--out', out, '--json');
  return { code: await ended, line: await line, stderr: stderr() };
}

async function siteOf(name: string, model: TinyModel = {}, config?: object) {
  mkdirSync(join(folder, name));
  const file = writeTinyModel(join(folder, name, 'model.onnx'), model);
  if (config) writeFileSync(join(folder, name, 'config.json'), JSON.stringify(config));
  const out = join(folder, name, 'site');
  const { code, stderr } = await command(file, out);
  assert.equal(code, 0, stderr);
  return { file, out };
}

test('gives a model with the classes first its crops one at a time', async () => {
  const under = join(folder, 'classes-first');
  mkdirSync(under);
  writeFileSync(join(under, 'config.json'), JSON.stringify({ labels: ['r', 'g', 'b'], crops: 10 }));
  for (const [name, rows, model] of [
    ['rows', -1, {}],
    ['columns', 1, { nodes: [node('Transpose', 'logits', 'y', { perm: [1, 0] })], shape: ['classes', 'N'] }],
  ] as const) {
    const file = writeColourModel(join(under, `${name}.onnx`), model as ColourModel);
    const { code, stderr } = await command(file, join(under, name));
    assert.equal(code, 0, stderr);
    assert.equal(JSON.parse(readFileSync(join(under, name, 'site.json'), 'utf8')).input.rows, rows);
  }
});

/** The dullest of hosts: files below a path, with the types that old ones know. */
async function host(root: string, prefix: string): Promise<string> {
  const types: Record<string, string> = {
    html: 'text/html',
    js: 'text/javascript',
    css: 'text/css',
    json: 'application/json',
  };
  const server = createServer((request, response) => {
    const path = new URL(request.url!, 'http://x').pathname;
    const name = path === `${prefix}/` ? 'index.html' : path.slice(prefix.length + 1);
    const file = join(root, name);
    if (!path.startsWith(`${prefix}/`) || !existsSync(file)) return void response.writeHead(404).end();
    response.setHeader('content-type', types[name.split('.').at(-1)!] ?? 'application/octet-stream');
    response.end(readFileSync(file));
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}/`;
}

type Page = Awaited<ReturnType<typeof visit>>['page'];

/** Labels with their probabilities, once the page has answered the image that it was given last. */
async function answers(page: Page): Promise<[string, number][]> {
  await page.locator('#status', { hasText: / ms\.$/ }).waitFor({ timeout: 60_000 });
  const items = await page.locator('.bars li').all();
  return Promise.all(
    items.map(
      async (item): Promise<[string, number]> => [
        await item.locator('.label').innerText(),
        Number(await item.getAttribute('data-probability')),
      ],
    ),
  );
}

async function served(url: string, bytes: Buffer): Promise<[string, number][]> {
  const { predictions } = (await (await post(url, bytes)).json()) as {
    predictions: { label: string; probability: number }[];
  };
  return predictions.map(({ label, probability }) => [label, probability]);
}

function near(found: [string, number][], wanted: [string, number][], within: number): void {
  assert.deepEqual(
    found.map(([label]) => label),
    wanted.map(([label]) => label),
  );
  for (const [i, [label, probability]] of found.entries()) {
    assert.ok(
      Math.abs(probability - wanted[i][1]) < within,
      `${label}: ${probability}, the server has ${wanted[i][1]}`,
    );
  }
}

test('a site of a file of ours answers as the server, under a path of any static host', { skip }, async () => {
  const { file, out } = await siteOf('own');
  const { url } = await running({ file });
  const address = await host(out, '/some/where');
  const { page, asked, complaints } = await visit(address);
  const exact = await corner(1).png().toBuffer();
  await pick(page, 'corner.png', 'image/png', exact);
  near(await answers(page), await served(url, exact), 1e-4);
  assert.match(await page.locator('#status').innerText(), /^Runs on WebAssembly\./);
  await assertAccessible(page);
  const shown = async () =>
    page.evaluate(`(() => {
      const image = document.querySelector('img');
      return [image.naturalWidth, image.clientWidth, getComputedStyle(image).imageRendering];
    })()`);
  assert.deepEqual(await shown(), [8, 256, 'pixelated'], 'a small image is enlarged');
  const clear = await sharp(await corner(2).ensureAlpha(0.5).raw().toBuffer(), {
    raw: { width: 8, height: 8, channels: 4 },
  })
    .png()
    .toBuffer();
  await give(page, 'drop', 'clear.png', 'image/png', clear);
  near(await answers(page), await served(url, clear), 0.01);
  const large = await pattern(90, 61).jpeg({ quality: 95 }).toBuffer();
  await give(page, 'paste', 'large.jpg', 'image/jpeg', large);
  const [found, wanted] = [await answers(page), await served(url, large)];
  const byLabel = (all: [string, number][]) => [...all].sort(([a], [b]) => (a < b ? -1 : 1));
  near(byLabel(found), byLabel(wanted), 0.02); // another decoder, another filter
  await pick(page, 'photograph.png', 'image/png', await pattern(300, 280).png().toBuffer());
  await answers(page);
  assert.deepEqual(await shown(), [300, 300, 'auto']);
  assert.deepEqual(complaints, []);
  for (const one of asked) assert.ok(one.startsWith(address), one);
  assert.match(await page.locator('body').innerText(), /Drop or paste/);
  const touched = await visit(address, { hasTouch: true, isMobile: true });
  assert.doesNotMatch(await touched.page.locator('body').innerText(), /drop|paste/i);
});

test('a site says in a sentence what is wrong with a file, without an image, and takes the next one', {
  skip,
}, async () => {
  const { out } = await siteOf('bad');
  const { page, complaints } = await visit(await host(out, ''));
  const [good, jpeg] = [await corner(1).png().toBuffer(), await pattern(90, 61).jpeg().toBuffer()];
  const expected = 'expected JPEG, PNG, WebP, GIF or AVIF.';
  const bad: [string, Buffer, string][] = [
    ['empty.jpg', Buffer.alloc(0), 'The file is empty; choose another.'],
    ['cut.jpg', jpeg.subarray(0, 300), 'The JPEG image is cut short or damaged; choose another.'],
    ['half.jpg', jpeg.subarray(0, jpeg.length / 2), 'The JPEG image is cut short or damaged; choose another.'],
    ['cut.png', good.subarray(0, 60), 'The PNG image is cut short or damaged; choose another.'],
    ['scan.tiff', await corner(1).tiff().toBuffer(), `This browser cannot decode TIFF; ${expected}`],
    ['text.jpg', Buffer.from('text'), `This browser cannot decode the file; ${expected}`],
  ];
  for (const [name, bytes, says] of bad) {
    await pick(page, 'good.png', 'image/png', good);
    await page.locator('figure').waitFor();
    await answers(page);
    await pick(page, name, 'image/jpeg', bytes);
    await page.getByText(says, { exact: true }).waitFor();
    await page.locator('figure').waitFor({ state: 'hidden' });
    assert.equal(await page.locator('.bars li').count(), 0);
  }
  await pick(page, 'good.png', 'image/png', good);
  await answers(page);
  await give(page, 'drop', 'notes.txt', 'text/plain', Buffer.from('text'));
  await page.getByText(`This browser cannot decode the file; ${expected}`, { exact: true }).waitFor();
  assert.equal(await page.locator('input').inputValue(), '');
  await page.evaluate(`document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: new DataTransfer() }))`);
  await page.getByText('What was pasted holds no file').waitFor();
  assert.deepEqual(complaints, []);
});

test('a site says why it does not run: opened as a file, or without its worker', { skip }, async () => {
  const { out } = await siteOf('broken');
  const opened = await visit(pathToFileURL(join(out, 'index.html')).href);
  await opened.page.getByText('not from a file: run "npx http-server" in this folder').waitFor();
  rmSync(join(out, 'worker.js'));
  const { page } = await visit(await host(out, ''));
  await page.getByText('The page cannot run here: worker.js cannot be loaded; upload the site again').waitFor();
});

test('a site answers as the server on WebGPU', { skip }, async () => {
  const { file, out } = await siteOf('gpu');
  const { url } = await running({ file });
  const { page, complaints } = await visit(await host(out, ''), {}, WEBGPU);
  for (const shift of [1, 3]) {
    const exact = await corner(shift).png().toBuffer();
    await pick(page, `corner-${shift}.png`, 'image/png', exact);
    near(await answers(page), await served(url, exact), 1e-4);
  }
  assert.match(await page.locator('#status').innerText(), /^Runs on WebGPU\./);
  assert.deepEqual(complaints, []);
});

for (const half of [false, true]) {
  test(`a site of another classifier in float${half ? 16 : 32} crops, scales and adds the softmax as the server does`, {
    skip,
  }, async () => {
    const config = {
      labels: QUARTERS,
      crops: 5,
      input: { resize: 10, mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4], resample: 'bilinear' },
    };
    const model = { metadata: null, float: true, half, layout: 'NCHW', logits: true, batch: 1, gain: 0.4 } as const;
    const { file, out } = await siteOf(half ? 'half' : 'other', model, config);
    const { url } = await running({ file });
    const { page, complaints } = await visit(await host(out, ''));
    for (const [width, height] of [
      [10, 10],
      [31, 17],
    ]) {
      const image = await pattern(width, height).png().toBuffer();
      await pick(page, `${width}.png`, 'image/png', image);
      near(await answers(page), await served(url, image), half ? 2e-3 : 1e-4); // logits up to 8 of 11 bits
    }
    assert.deepEqual(complaints, []);
  });
}

test('a site is replaced by another, and a folder with other files is kept', async () => {
  const { file, out } = await siteOf('again');
  const before = readdirSync(out);
  assert.equal((await command(file, out)).code, 0);
  assert.deepEqual(readdirSync(out), before);
  assert.ok(readdirSync(out).every((name) => readFileSync(join(out, name)).length <= 20 * 2 ** 20));
  writeFileSync(join(out, 'mine.txt'), 'mine');
  const refused = await command(file, out);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /mine\.txt: not written by alexnet page, so it is kept/);
  const missing = await command(join(folder, 'none.onnx'), join(folder, 'new'));
  assert.equal(missing.code, 1);
  assert.equal(existsSync(join(folder, 'new')), false);
});
