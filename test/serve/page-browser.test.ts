import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { copyFile, mkdir, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { createServer } from '../../serve/server.js';
import { assertAccessible, bars, choose, give, skip, visit } from './chromium.js';
import { node, writeColourModel } from './colour-model.js';
import { corner } from './images.js';
import { running } from './running.js';
import { writeSmallNetwork } from './small-network.js';
import { strippingProxy } from './stripping-proxy.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-page-'));
after(() => rmSync(folder, { recursive: true }));
const file = writeTinyModel(join(folder, 'tiny.onnx'));
const { url } = await running({ file });
const network = await running({ file: await writeSmallNetwork(join(folder, 'small.onnx')) });
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

test('makes a large photograph small before it sends it, and leaves the answer in view', { skip }, async () => {
  const raw = { width: 600, height: 400, channels: 3 } as const;
  const noise = Uint8Array.from({ length: 600 * 400 * 3 }, (_, i) => (i * i * 37) % 251);
  const large = await sharp(noise, { raw }).resize(3000, 2000).jpeg().toBuffer();
  assert.ok(large.length > 300_000);
  for (const viewport of [
    { width: 390, height: 844 },
    { width: 1280, height: 800 },
  ]) {
    const { page } = await visit(url, { viewport });
    await page.getByRole('region', { name: 'Answer to cat.jpg' }).waitFor();
    await choose(page, 'large.jpg', 'image/jpeg', large);
    await page.getByText(/^large\.jpg: .* of which .* were sent$/).waitFor();
    const size = await page.evaluate(`(async () => {
      const image = document.querySelector('.picked img');
      await image.decode();
      return [image.naturalWidth, image.naturalHeight];
    })()`);
    assert.deepEqual(size, [768, 512]);
    await bars(page);
    await page.evaluate(`(async () => {
      const last = () => document.querySelector('.bars li:last-child').getBoundingClientRect();
      for (let frames = 0; last().top < 0 || last().bottom > innerHeight; frames++) {
        if (frames > 600) throw new Error('the bars stay out of view: ' + JSON.stringify(last()));
        await new Promise(requestAnimationFrame); // it scrolls there
      }
    })()`);
  }
});

test('speaks of dropping where there is a mouse alone', { skip }, async () => {
  const { page } = await visit(url, { hasTouch: true, isMobile: true });
  await page.getByRole('button', { name: 'Choose a file' }).waitFor();
  assert.doesNotMatch(await page.locator('body').innerText(), /drop/i);
});

test('says that it is not sure where no class stands out, and writes labels as words', { skip }, async () => {
  const labels = ['top_left', 'top_right', 'bottom_left', 'bottom_right'];
  const vague = writeTinyModel(join(folder, 'vague.onnx'), { gain: 0.01, metadata: { labels } });
  const { page } = await visit((await running({ file: vague })).url);
  await page.getByText('Not sure.').waitFor();
  for (const text of await bars(page)) assert.match(text, /^(top|bottom) (left|right) n0\d 2\d\.\d.%$/);
});

test('explains the marks at the bars, and outlines crops while they are shown', { skip }, async () => {
  const { page } = await visit(network.url);
  await page.getByText('one crop alone').waitFor();
  assert.equal(await page.locator('.picked rect').count(), 0);
  await page.getByText('Crops: the answer is the mean of 10').click();
  await page.locator('.picked rect.chosen').waitFor();
  assert.equal(await page.locator('.crops label').count(), 10);
});

test('documents its routes in the dark where that is wanted', { skip }, async () => {
  for (const [colorScheme, ground] of [
    ['light', /^rgba?\((255, 255, 255|0, 0, 0, 0)\b/],
    ['dark', /^rgb\((\d\d?), /],
  ] as const) {
    const { page } = await visit(`${url}/docs`, { colorScheme });
    await page.locator('#operations-alexnet-post_classify').waitFor();
    assert.match(await page.evaluate('getComputedStyle(document.documentElement).backgroundColor'), ground);
    const first = page.locator('.opblock-summary-path').first();
    assert.match((await first.innerText()).replaceAll('\u200b', ''), /^\/classify$/);
  }
});

test('works behind a proxy that strips a prefix, and so does "Try it out"', { skip }, async () => {
  const base = await strippingProxy(url, '/vision');
  const { page, asked, complaints } = await visit(`${base}/`);
  await choose(page, 'corner.png', 'image/png', TOP_RIGHT);
  assert.match((await bars(page))[0], /^top right/);
  await page.getByRole('link', { name: 'HTTP interface' }).click();
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

test('says that there is no camera, without a black video', { skip }, async () => {
  const { page } = await visit(url);
  await page.evaluate(`navigator.mediaDevices.getUserMedia = async () => {
    throw new DOMException('Requested device not found', 'NotFoundError');
  }`);
  await page.getByRole('button', { name: 'Take a photograph' }).click();
  await page.getByRole('alert').filter({ hasText: 'This computer has no camera; choose a file.' }).waitFor();
  assert.equal(await page.locator('video').isVisible(), false);
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await page.getByRole('dialog').count(), 0);
});

test('covers the whole page while a file is held over any part of it', { skip }, async () => {
  const { page } = await visit(url);
  const drag = (type: string, what = "new File([], 'a.png')") =>
    page.evaluate(`{
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(${what});
      const init = { dataTransfer, bubbles: true, cancelable: true };
      document.querySelector('footer').dispatchEvent(new DragEvent('${type}', init));
    }`);
  await page.getByRole('button', { name: 'Choose a file' }).waitFor();
  await drag('dragover');
  const { width, height } = (await page.getByText('Drop the image anywhere').boundingBox())!;
  assert.deepEqual({ width, height }, page.viewportSize());
  await drag('dragleave');
  await page.getByText('Drop the image anywhere').waitFor({ state: 'detached' });
  await drag('dragover', "'a word', 'text/plain'");
  assert.equal(await page.getByText('Drop the image anywhere').count(), 0);
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
  'a file of 100 MB': { bytes: Buffer.alloc(100_000_000, 255), says: /more than 20\u202fMB; send a smaller one/ },
};
test('says in a sentence what is wrong with a file, and takes the next one', { skip }, async (t) => {
  const { page } = await visit(url);
  for (const [name, { bytes, says }] of Object.entries(BAD)) {
    await t.test(name, async () => {
      const path = join(folder, 'bad.jpg');
      await writeFile(path, bytes); // playwright itself carries no more than 50 MB
      await page.locator('input[type=file]').first().setInputFiles(path);
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

test('shows an image of one pixel', { skip }, async () => {
  const { page } = await visit(url);
  const pixel = await sharp({ create: { width: 1, height: 1, channels: 3, background: '#fff' } })
    .png()
    .toBuffer();
  await choose(page, 'pixel.png', 'image/png', pixel);
  assert.equal((await bars(page)).length, 4);
});

test('recovers by itself when the server has been away, and shows what its new model says', { skip }, async () => {
  const first = createServer({ port: 0, provider: 'cpu', files: [file] });
  const { url: own } = await first.start();
  const { page } = await visit(own);
  await choose(page, 'corner.png', 'image/png', TOP_RIGHT);
  assert.match((await bars(page))[0], /94\.8/);
  await first.stop();
  await page.getByText('The server does not answer.').waitFor();
  await choose(page, 'corner.png', 'image/png', BOTTOM_LEFT);
  await page.getByRole('alert').filter({ hasText: 'The server does not answer' }).waitFor();
  const weaker = writeTinyModel(join(folder, 'weaker.onnx'), { gain: 1 });
  const second = createServer({ port: Number(new URL(own).port), provider: 'cpu', files: [weaker] });
  after(() => second.kill());
  await second.start();
  await page.locator('.bars li:first-child', { hasText: 'bottom left' }).waitFor();
  assert.match((await bars(page))[0], /^bottom left n03 47\.5.%$/); // e / (e + 3)
  assert.equal(await page.getByText('The server does not answer.').count(), 0);
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

const SCREENS = {
  'a narrow screen, light': { viewport: { width: 320, height: 640 }, colorScheme: 'light' },
  'a wide screen, dark': { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' },
} as const;
for (const [name, options] of Object.entries(SCREENS)) {
  test(`on ${name}, nothing is wider than the screen and axe finds no serious fault`, { skip }, async () => {
    const { page, complaints } = await visit(url, options);
    await assertAccessible(page);
    await choose(page, 'corner.png', 'image/png', TOP_RIGHT);
    await bars(page);
    for (const button of ['Open the network', 'Open the file'])
      await page.getByRole('button', { name: button }).click();
    for (const title of ['The layers', 'The file', 'The graph'])
      await page.getByRole('heading', { name: title }).waitFor();
    await page.getByRole('img', { name: /^Graph of/ }).waitFor();
    await page.evaluate(`for (const one of document.querySelectorAll('details')) one.open = true`);
    await assertAccessible(page);
    const [wide, ground] = await page.evaluate<[number, string]>(
      '[document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]',
    );
    assert.ok(wide <= options.viewport.width, `${wide} pixels`);
    assert.equal(ground, options.colorScheme === 'dark' ? 'rgb(22, 24, 27)' : 'rgb(253, 252, 249)');
    assert.deepEqual(complaints, []);
  });
}
