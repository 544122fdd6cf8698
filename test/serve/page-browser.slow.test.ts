/** The page in a browser: what one meets more rarely. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { createServer } from '../../serve/server.js';
import { bars, choose, skip, visit } from './chromium.js';
import { corner } from './images.js';
import { assertFits, assertShrinks } from './page-checks.js';
import { running } from './running.js';
import { writeSmallNetwork } from './small-network.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-page-'));
after(() => rmSync(folder, { recursive: true }));
const file = writeTinyModel(join(folder, 'tiny.onnx'));
const { url } = await running({ file });
const WIDE = { width: 1280, height: 800 };
const TOP_RIGHT = await corner(1).png().toBuffer();
const BOTTOM_LEFT = await corner(2).png().toBuffer();

test(
  'on a wide screen, makes a large photograph small before it sends it, and leaves the answer in view',
  { skip },
  () => assertShrinks(url, WIDE),
);

test('on a wide screen, dark, nothing is wider than the screen and axe finds no serious fault', { skip }, () =>
  assertFits(url, { viewport: WIDE, colorScheme: 'dark' }),
);

test('says that a file of 100 MB is too large', { skip }, async () => {
  const { page } = await visit(url);
  const path = join(folder, 'large.jpg');
  await writeFile(path, Buffer.alloc(100_000_000, 255)); // playwright itself carries no more than 50 MB
  await page.locator('input[type=file]').first().setInputFiles(path);
  await page
    .getByRole('alert')
    .filter({ hasText: /more than 20\u202fMB; send a smaller one\.$/ })
    .waitFor();
});

test('explains the marks at the bars, and outlines crops while they are shown', { skip }, async () => {
  const network = await writeSmallNetwork(join(folder, 'small.onnx'));
  const { page } = await visit((await running({ file: network })).url);
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
    assert.equal(await page.locator('.servers option').innerText(), url);
    const first = page.locator('.opblock-summary-path').first();
    assert.match((await first.innerText()).replaceAll('\u200b', ''), /^\/classify$/);
  }
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

test('says that it is not sure where no class stands out, and writes labels as words', { skip }, async () => {
  const labels = ['top_left', 'top_right', 'bottom_left', 'bottom_right'];
  const vague = writeTinyModel(join(folder, 'vague.onnx'), { gain: 0.01, metadata: { labels } });
  const { page } = await visit((await running({ file: vague })).url);
  await page.getByText('Not sure.').waitFor();
  for (const text of await bars(page)) assert.match(text, /^(top|bottom) (left|right) n0\d 2\d\.\d.%$/);
});
