import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { copyFile, mkdir, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { BrowserContextOptions } from 'playwright-core';
import sharp from 'sharp';
import { createServer } from '../../serve/server.js';
import { bars, choose, give, pick, skip, visit } from './chromium.js';
import { node, writeColourModel } from './colour-model.js';
import { corner } from './images.js';
import { assertFits, assertShrinks } from './page-checks.js';
import { running } from './running.js';
import { pixelsOf, pngOf, writeSmallNetwork } from './small-network.js';
import { strippingProxy } from './stripping-proxy.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-page-'));
after(() => rmSync(folder, { recursive: true }));
const file = writeTinyModel(join(folder, 'tiny.onnx'));
const { url } = await running({ file });
const PHONE = { width: 390, height: 844 };
/** Objects of most samples that are drawings. */
const DRAWN = ['guitar', 'sailboat', 'strawberry', 'pizza'];
const TOP_RIGHT = await corner(1).png().toBuffer();
const BOTTOM_LEFT = await corner(2).png().toBuffer();

test('shows the labels of an image that is chosen, dropped, pasted or a sample, and asks nobody else', {
  skip,
}, async () => {
  const { page, asked, complaints } = await visit(url);
  await choose(page, 'corner.png', 'image/png', TOP_RIGHT);
  const [best, ...others] = await bars(page);
  assert.match(best, /^top right n02 94\.8.%$/);
  assert.equal(others.length, 3);
  await give(page, 'drop', 'other.png', 'image/png', BOTTOM_LEFT);
  await page.locator('.bars li:first-child', { hasText: 'bottom left' }).waitFor();
  await give(page, 'paste', '', 'image/png', TOP_RIGHT);
  await page.locator('.bars li:first-child', { hasText: 'top right' }).waitFor();
  await page.getByRole('button', { name: 'coffee' }).click();
  await page.locator('.picked figcaption', { hasText: 'coffee.jpg' }).waitFor();
  await bars(page);
  await page.getByText('The same from a terminal').click();
  const line = await page.getByLabel('Command for a terminal').first().innerText();
  assert.equal(line.trim(), `curl --data-binary @coffee.jpg '${url}/classify?by_crop=true'`);
  assert.deepEqual(complaints, []);
  for (const address of asked) assert.ok(address.startsWith(`${url}/`), address);
});

test('begins with a sample that fits the model, and says what the model knows', { skip }, async () => {
  const { page } = await visit(url);
  await page.getByRole('region', { name: 'Answer to cat.jpg' }).waitFor();
  assert.equal((await bars(page)).length, 4);
  const masthead = page.locator('.masthead');
  assert.match(await masthead.innerText(), /^quarters\s+A network that knows top left, top right, bottom left,? and/);
  const drawn = writeTinyModel(join(folder, 'drawn.onnx'), { metadata: { labels: DRAWN } });
  const { page: other } = await visit((await running({ file: drawn })).url);
  await other.getByRole('region', { name: 'Answer to guitar.png' }).waitFor();
});

test('shows what a file states of its errors, but no top-5 error of five classes or fewer', { skip }, async () => {
  const stated = { top1Error: 0.25, top5Error: 0, measuredOn: { split: 'val', images: 8 } };
  const measured = writeTinyModel(join(folder, 'measured.onnx'), { metadata: stated });
  const { page } = await visit((await running({ file: measured })).url);
  await page.getByRole('button', { name: 'Open the file' }).click();
  await page.getByRole('row', { name: 'top1 error 0.25' }).waitFor();
  assert.equal(await page.getByText('top5 error').count(), 0);
});

test('offers nearest images only of an index, and covers the image before it covers it again', { skip }, async () => {
  const { page } = await visit(url);
  const refused: string[] = [];
  page.on('response', (response) => {
    if (!response.ok()) refused.push(response.url());
  });
  await choose(page, 'corner.png', 'image/png', TOP_RIGHT);
  await bars(page);
  assert.equal(await page.getByRole('button', { name: 'Cover the image' }).count(), 1);
  await page.getByLabel('Patch, px').scrollIntoViewIfNeeded();
  await page.getByRole('button', { name: 'Cover again' }).waitFor();
  assert.match(await page.locator('#why').innerText(), /An experiment tells/);
  assert.equal(await page.getByText('nearest', { exact: false }).count(), 0);
  assert.deepEqual(refused, []);
});

test('lets people choose files of every format that the server reads', { skip }, async () => {
  const { page } = await visit(url);
  const accepted = await page.locator('input[type=file]').first().getAttribute('accept');
  assert.equal(accepted, 'image/jpeg,image/png,image/webp,image/gif,image/avif,image/tiff');
});

test('shows what the server made of a TIFF, which the browser cannot show, wherever an image is', {
  skip,
}, async () => {
  const small = await writeSmallNetwork(join(folder, 'small.onnx'));
  const { page } = await visit((await running({ file: small })).url);
  const tiff = await sharp(await pngOf(pixelsOf(3)))
    .tiff()
    .toBuffer();
  await choose(page, 'a.tiff', 'image/tiff', tiff);
  await page.locator('.picked figcaption', { hasText: 'a.tiff; this browser cannot show it, so' }).waitFor();
  await page.getByText(/^Crops?: /).click();
  await page.getByRole('button', { name: 'Open the network' }).click();
  await page.locator('.enlarged img').waitFor();
  await page.locator('.heat img').waitFor();
  const sizes = await page.evaluate<number[]>(`(async () => {
    const images = [...document.querySelectorAll('.picked img, .cutting img')];
    return Promise.all(images.map((one) => one.decode().then(() => one.naturalWidth)));
  })()`);
  assert.ok(sizes.length > 3 && sizes.every((size) => size > 1), `${sizes}`);
});

test('says that the browser cannot show an image if the server has no view of it', { skip }, async () => {
  const { page } = await visit(url);
  await page.route('**/explain/picture*', (route) => route.abort());
  const tiff = await sharp(TOP_RIGHT).tiff().toBuffer();
  await choose(page, 'corner.tiff', 'image/tiff', tiff);
  assert.match((await bars(page))[0], /^top right/);
  assert.match(await page.locator('.picked figcaption').innerText(), /^corner\.tiff; this browser cannot show it$/);
  assert.equal(await page.locator('.picked img').count(), 0);
});

test('makes a large photograph small before it sends it, and leaves the answer in view', { skip }, () =>
  assertShrinks(url, PHONE),
);

test('speaks of dropping and pasting where there is a mouse alone', { skip }, async () => {
  const said = async (options: BrowserContextOptions) => {
    const { page } = await visit(url, { viewport: PHONE, colorScheme: 'dark', ...options });
    await page.getByRole('button', { name: 'Choose a file' }).waitFor();
    return page.locator('body').innerText();
  };
  assert.match(await said({}), /drop or paste/);
  assert.doesNotMatch(await said({ hasTouch: true, isMobile: true }), /drop|paste/i);
});

test('works behind a proxy that strips a prefix, and so does "Try it out"', { skip }, async () => {
  const base = await strippingProxy(url, '/vision');
  const { page, asked, complaints } = await visit(`${base}/`);
  await choose(page, 'corner.png', 'image/png', TOP_RIGHT);
  assert.match((await bars(page))[0], /^top right/);
  // By key: the covering that begins as the foot of the page is seen moves it away from under the mouse.
  await page.getByRole('link', { name: 'HTTP interface' }).press('Enter');
  const operation = page.locator('#operations-Open_Inference_Protocol-get_v2_health_live');
  await operation.locator('button').first().click();
  await operation.getByRole('button', { name: 'Try it out' }).click();
  await operation.getByRole('button', { name: 'Execute' }).click();
  await operation.locator('.live-responses-table', { hasText: '"live": true' }).waitFor();
  assert.ok(asked.includes(`${base}/v2/health/live`), asked.join('\n'));
  for (const address of asked) assert.ok(address.startsWith(`${base}/`), address);
  assert.deepEqual(complaints, []);
});

test('names a model that could not be loaded, with the reason', { skip }, async () => {
  const models = join(folder, 'one-broken');
  await mkdir(join(models, 'good', '1'), { recursive: true });
  await copyFile(file, join(models, 'good', '1', 'model.onnx'));
  await mkdir(join(models, 'broken', '1'), { recursive: true });
  await writeFile(join(models, 'broken', '1', 'model.onnx'), 'no model');
  const { page, complaints } = await visit((await running({ folder: models })).url);
  await page
    .getByText('The model broken, version 1, could not be loaded: broken/1/model.onnx: not an ONNX file')
    .waitFor();
  assert.deepEqual(complaints, []);
});

test('takes a photograph with the camera of a computer', { skip }, async () => {
  const { page } = await visit(url, { permissions: ['camera'] });
  await page.getByRole('button', { name: 'Take a photograph' }).click();
  await page.getByRole('button', { name: 'Take the photograph' }).click();
  await page.locator('.picked figcaption', { hasText: 'photograph.jpg' }).waitFor();
  assert.equal((await bars(page)).length, 4);
});

const BAD: Record<string, { bytes: Buffer; says: RegExp }> = {
  'a text file named .jpg': {
    bytes: Buffer.from('not an image'),
    says: /Not a JPEG, PNG, WebP, GIF, AVIF or TIFF image; convert/,
  },
  'an empty file': { bytes: Buffer.alloc(0), says: /This image is empty/ },
  'an image that breaks off': {
    bytes: TOP_RIGHT.subarray(0, TOP_RIGHT.length / 2),
    says: /cannot be decoded/,
  },
};
test('says in a sentence what is wrong with a file, and takes the next one', { skip }, async (t) => {
  const { page } = await visit(url);
  for (const [name, { bytes, says }] of Object.entries(BAD)) {
    await t.test(name, async () => {
      await pick(page, 'bad.jpg', 'image/jpeg', bytes);
      const alert = page.getByRole('alert');
      await alert.waitFor();
      const text = await alert.innerText();
      assert.match(text, says);
      assert.match(text, /^[A-Z].*\.$/s); // and no "Try again"
      await choose(page, 'corner.png', 'image/png', TOP_RIGHT);
      assert.match((await bars(page))[0], /^top right/);
      assert.equal(await alert.count(), 0);
    });
  }
  await give(page, 'paste', 'x', 'text/plain', Buffer.from('x'));
  assert.match(await page.getByRole('alert').innerText(), /Not a JPEG, PNG, WebP, GIF, AVIF or TIFF image/);
  await page.evaluate(`document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: new DataTransfer() }))`);
  await page.getByRole('alert').filter({ hasText: 'holds no file' }).waitFor();
});

test('shows an image stretched if the model stretches it, and that labels are judged each on its own', {
  skip,
}, async () => {
  const shaped = join(folder, 'shaped');
  await mkdir(shaped);
  const input = { resize: { width: 12, height: 6 } };
  await writeFile(join(shaped, 'config.json'), JSON.stringify({ labels: ['r', 'g', 'b'], input }));
  const size = { width: 12, height: 6 };
  const model = writeColourModel(join(shaped, 'model.onnx'), { size, nodes: [node('Sigmoid', 'logits', 'y')] });
  const { page } = await visit((await running({ file: model })).url);
  await choose(page, 'corner.png', 'image/png', TOP_RIGHT);
  assert.equal((await bars(page)).length, 3);
  await page.getByText('Each label is judged on its own').waitFor();
  const image = page.getByAltText('Your image, corner.png, stretched to 12 × 6 pixels');
  assert.match((await image.getAttribute('style')) ?? '', /object-fit: fill/);
  const { width, height } = (await image.boundingBox())!;
  assert.ok(Math.abs(width / height - 2) < 0.02, `${width} × ${height}`);
});

test('notices that the model was reloaded, and asks it again', { skip }, async () => {
  const version = join(folder, 'models/quarters/1');
  await mkdir(version, { recursive: true });
  await copyFile(file, join(version, 'model.onnx'));
  const token = '0123456789abcdef';
  const server = createServer({ port: 0, provider: 'cpu', folder: join(folder, 'models'), adminToken: token });
  after(() => server.kill());
  const { url: own } = await server.start();
  const { page } = await visit(own);
  await choose(page, 'corner.png', 'image/png', TOP_RIGHT);
  assert.match((await bars(page))[0], /94\.8/);
  await rename(writeTinyModel(join(folder, 'next.onnx'), { gain: 1 }), join(version, 'model.onnx'));
  const load = await fetch(`${own}/v2/repository/models/quarters/load`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(load.status, 200);
  await page.locator('.bars li:first-child', { hasText: '47.5' }).waitFor();
});

test('lets one choose among several models', { skip }, async () => {
  const other = writeTinyModel(join(folder, 'other.onnx'), { gain: 1, metadata: { model: 'weak-quarters' } });
  const { url: own } = await running({ files: [file, other] });
  const { page } = await visit(own);
  await choose(page, 'corner.png', 'image/png', TOP_RIGHT);
  assert.match((await bars(page))[0], /94\.8/);
  await page.getByRole('combobox', { name: 'Model' }).selectOption({ label: 'weak-quarters, version 1' });
  await page.locator('.bars li:first-child', { hasText: '47.5' }).waitFor();
});

test('keeps nothing of a model when another is chosen: neither a crop nor a class that it lacks', {
  skip,
}, async () => {
  const ten = await writeSmallNetwork(join(folder, 'ten-crops.onnx'));
  const { url: own } = await running({ files: [ten, file] });
  const { page } = await visit(own);
  const refused: string[] = [];
  page.on('response', (response) => {
    if (!response.ok()) refused.push(response.url());
  });
  await choose(page, 'corner.png', 'image/png', TOP_RIGHT);
  await bars(page);
  await page.getByText('Crops: the answer is the mean of 10').click();
  await page.getByRole('radio', { name: /^bottom right, mirrored/ }).press('Space');
  await page.locator('#why').getByLabel('Class').selectOption({ index: 5 });
  await page.getByRole('button', { name: 'Open the network' }).click();
  const activations = page.locator('#activations');
  await activations.getByRole('img', { name: /^conv1: 8 maps/ }).waitFor();
  await page.getByRole('combobox', { name: 'Model' }).selectOption({ label: 'quarters, version 1' });
  await page.locator('.bars li:first-child', { hasText: 'top right' }).waitFor();
  await activations.getByRole('row', { name: /top right/ }).waitFor();
  await page.getByLabel('Patch, px').scrollIntoViewIfNeeded();
  await page.getByText(/^Uncovered, top right has/).waitFor();
  assert.deepEqual(refused, []);
});

test('says that a server that hangs does not answer, and continues when it does', { skip }, async () => {
  const { page } = await visit(url);
  await page.getByText('ready', { exact: true }).waitFor();
  await page.route('**/explain/stats', () => undefined); // never answered
  await page.getByText('The server does not answer').waitFor();
  await page.unroute('**/explain/stats');
  await page.getByText('ready', { exact: true }).waitFor();
});

test('is used with the keyboard alone', { skip }, async () => {
  const { page } = await visit(url);
  await page.getByText('ready', { exact: true }).waitFor();
  const focused = () =>
    page.evaluate<string>(
      `document.activeElement.textContent || document.activeElement.querySelector('img')?.alt || ''`,
    );
  const tabTo = async (wanted: RegExp) => {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press('Tab');
      if (wanted.test(await focused())) return;
    }
    assert.fail(`the Tab key does not reach ${wanted}`);
  };
  await tabTo(/^Choose a file$/);
  await tabTo(/^rocket$/);
  await page.keyboard.press('Enter');
  await page.getByRole('region', { name: 'Answer to rocket.jpg' }).waitFor();
  await bars(page);
  await tabTo(/^The same from a terminal/);
  await page.keyboard.press('Enter');
  await page.getByLabel('JSON of the answer').first().waitFor();
  await tabTo(/^Open the network$/);
  await page.keyboard.press('Space');
  await page.getByRole('heading', { name: 'The layers' }).waitFor();
});

test('on a narrow screen, light, nothing is wider than the screen and axe finds no serious fault', { skip }, () =>
  assertFits(url, { viewport: { width: 320, height: 640 }, colorScheme: 'light' }),
);
