/** What the page shows of a network: its layers, a convolution, the covered image, the graph. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { exportClassifier } from '../../export/classifier.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { saveModel } from '../../onnx/file/onnx-model.js';
import { CropNetwork } from '../../serve/views/engine/crop-network.js';
import { buildIndex } from '../../serve/views/index/build-index.js';
import { assertAccessible, bars, choose, skip, visit } from './chromium.js';
import { writeGratings } from './gratings.js';
import { corner } from './images.js';
import { post, running } from './running.js';
import {
  cropOf,
  IMAGE_PX,
  kernelOf,
  LABELS,
  LAYERS,
  pixelsOf,
  pngOf,
  valuesOf,
  writeSmallNetwork,
} from './small-network.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-page-views-'));
after(() => rmSync(folder, { recursive: true }));
const file = await writeSmallNetwork(join(folder, 'small.onnx'));
const { url } = await running({ file, index: await writeIndex() });
const pixels = pixelsOf(3);
const image = await pngOf(pixels);

/** Of twelve images of noise. */
async function writeIndex(): Promise<string> {
  const network = await CropNetwork.open({ file, maxPixels: 1e6 });
  const indexFile = join(folder, 'small.index');
  const images = { data: 'noise', split: 'train', length: 12, name: String, pixels: pixelsOf };
  await buildIndex(network, { ...images, label: (i: number) => LABELS[i % LABELS.length] }, indexFile);
  await network.release();
  return indexFile;
}

/** A network of the project as it is before training. */
async function writeUntrained(name: string): Promise<string> {
  await selectBackend('onnxruntime');
  const spec = findNetwork(name);
  const { imagePx, inputPx } = spec;
  const { model } = await exportClassifier(buildNetwork(spec, { classes: LABELS.length, seed: 1 }), {
    head: 'image',
    crops: 1,
    opset: 13,
    imagePx,
    inputPx,
    mean: new Float32Array(imagePx ** 2 * 3).fill(120),
    metadata: { model: name, labels: LABELS, meanRgb: [120, 120, 120], dataset: 'none', toolVersion: '0.0.0' },
  });
  await saveModel(model, join(folder, `${name}.onnx`));
  return join(folder, `${name}.onnx`);
}

/** The page with the network open, on an image of noise. */
async function inside(at = url, options = {}, shown = image) {
  const { page, complaints } = await visit(at, options);
  await choose(page, 'own.png', 'image/png', shown);
  await bars(page);
  await page.getByRole('button', { name: 'Open the network' }).click();
  const blocks = page.getByRole('region', { name: 'Architecture' }).getByRole('button');
  await blocks.first().waitFor();
  return { page, complaints, blocks, open: (name: string) => blocks.filter({ hasText: name }).click() };
}

test('asks for one view after another, and stops covering what is out of view', { skip }, async () => {
  const { page } = await visit(url);
  const [pending, most] = [new Set<string>(), { views: 0 }];
  const isView = (address: string) => /\/explain\/(?!labels|stats|occlusion)/.test(address);
  page.on('request', (request) => {
    if (isView(request.url())) pending.add(request.url());
    most.views = Math.max(most.views, pending.size);
  });
  page.on('response', (response) => pending.delete(response.url()));
  page.on('requestfailed', (request) => pending.delete(request.url()));
  await choose(page, 'own.png', 'image/png', image);
  await bars(page);
  await page.route('**/explain/occlusion?*', () => undefined); // never answered
  const covering = page.waitForRequest('**/explain/occlusion?*');
  await page.getByLabel('Patch, px').scrollIntoViewIfNeeded();
  const failed = page.waitForEvent('requestfailed', (request) => request.url().includes('/explain/occlusion'));
  await covering;
  for (const name of ['Open the file', 'Open the network']) await page.getByRole('button', { name }).click();
  await page.locator('h1').scrollIntoViewIfNeeded();
  await failed;
  await page.getByText('8 of 8 kernels look like noise').waitFor();
  assert.equal(most.views, 1);
});

test('draws the network to scale, with a block for each layer', { skip }, async () => {
  const { page, blocks } = await inside();
  await page.getByText('Two convolutions, one pooling layer, two response normalisations, and three fully').waitFor();
  const names = (await blocks.allInnerTexts()).map((text) => text.split(/\s/)[0]);
  assert.deepEqual(names, [...LAYERS, 'probabilities']);
  const [conv1, pool1, conv2] = await page
    .locator('.strip rect')
    .evaluateAll((all) =>
      [1, 3, 4].map((i) => ({ width: +all[i].getAttribute('width')!, height: +all[i].getAttribute('height')! })),
    );
  const close = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-3, `${a} ${b}`);
  close(conv1.height / pool1.height, 8 / 3); // 8 maps of 8 × 8, then 8 of 3 × 3
  close(conv1.width, pool1.width);
  close(conv2.width / pool1.width, 12 / 8);
});

test('shows of the block that is clicked all there is, and of one channel in all views', { skip }, async () => {
  const { page, complaints, open } = await inside();
  const channel = page.locator('#activations').getByRole('spinbutton', { name: /^Channel/ });
  await channel.fill('5');
  assert.equal(await page.getByRole('combobox', { name: 'Kernel' }).inputValue(), '5');
  await page.getByRole('heading', { name: 'What excites conv1, channel 5' }).waitFor();
  assert.equal(await page.getByRole('img', { name: /^conv1, group 1 of 2, kernels 0 to 3/ }).count(), 1);
  assert.equal(await page.locator('.kernels .frame').count(), 1);
  await page.getByText('8 of 8 kernels look like noise: they may have barely changed since').waitFor(); // they are
  await page.getByRole('combobox', { name: 'Kernel' }).selectOption({ label: 'conv1, 2' });
  assert.equal(await channel.inputValue(), '2');
  await open('norm1');
  const normalised = page.locator('.view', { hasText: 'Six filters' }).getByRole('spinbutton', { name: /^Channel/ });
  await normalised.waitFor();
  await channel.fill('6');
  await page.locator('.neighbours tr.itself th', { hasText: /^6$/ }).waitFor();
  assert.equal(await normalised.inputValue(), '6');
  await page.getByText('Six filters, worked out').click();
  // 30 / (2 + 0.05/5 · (20² + 100² + 30² + 0² + 40²))^0.75
  const worked = page.getByText(/= 0\.775$/);
  await worked.first().waitFor();
  assert.equal(await page.getByRole('heading', { name: 'Kernels of conv1' }).count(), 0);
  await open('fc7');
  await page.getByText('Read the whole as a fingerprint').waitFor();
  const unit = await page.locator('#activations button[aria-pressed=true]').innerText(); // the largest
  await page.getByRole('heading', { name: `What excites fc7, channel ${unit}` }).waitFor();
  await open('fc8');
  await page.getByRole('cell', { name: LABELS[0] }).waitFor(); // its units are classes
  const { width } = (await page.getByRole('img', { name: /^fc8: 5 units/ }).boundingBox())!;
  assert.ok(width < 150, `${width} px for 5 units`);
  assert.deepEqual(complaints, []);
});

test('describes the layers that there are: normalisation within maps, locally connected layers', { skip }, async () => {
  const within = await inside((await running({ file: await writeUntrained('cifar10-18pct') })).url);
  await within.page.getByText('Three convolutions, three pooling layers, two response normalisations').waitFor();
  await within.open('rnorm1');
  await within.page.getByText('divided by a measure of the values around it in its own map').waitFor();
  await within.page.getByText('Every size, worked out').click();
  await within.page.getByRole('cell', { name: 'response normalisation within maps' }).first().waitFor();
  const local = await inside((await running({ file: await writeUntrained('cifar10-11pct') })).url);
  await local.page.getByText('Two convolutions, two locally connected layers').waitFor();
  await local.open('local3');
  await local.page.getByText('every place has kernels of its own').waitFor();
});

test('multiplies the window under the mouse with a kernel of the file, or one that blurs', { skip }, async () => {
  const { page } = await inside();
  const sum = async () => Number(/^[-\d.e+]+/.exec(await page.locator('.sum').innerText())![0]);
  const assertSum = async (expected: number) =>
    assert.ok(Math.abs((await sum()) - expected) <= 0.006 * Math.abs(expected), `${await sum()}, not ${expected}`);
  await page.locator('.sum').waitFor();
  const at = async (row: number, column: number) => {
    await page.getByRole('slider', { name: 'Row' }).fill(String(row));
    await page.getByRole('slider', { name: 'Column' }).fill(String(column));
  };
  const pixel = (y: number, x: number, c: number) => pixels[((2 + y) * IMAGE_PX + 2 + x) * 3 + c]; // the centre crop
  const { data } = kernelOf('conv1'); // [5, 5, 3, 8]
  const sumAt = (row: number, column: number) => {
    let expected = 0;
    for (let y = 0; y < 5; y++)
      for (let x = 0; x < 5; x++)
        for (let c = 0; c < 3; c++)
          expected += pixel(2 * row + y, 2 * column + x, c) * data[((y * 5 + x) * 3 + c) * 8 + 3];
    return expected;
  };
  await page.getByRole('combobox', { name: 'Kernel' }).selectOption({ label: 'conv1, 3' });
  await at(2, 4);
  await assertSum(sumAt(2, 4));
  const map = valuesOf([cropOf(pixels)], 'conv1').data.subarray(3 * 64, 4 * 64); // 8 × 8
  const text = await page.getByText('The map of conv1 has').innerText();
  const said = /has (\S+) there/.exec(text)![1];
  assert.ok(Math.abs(Number(said) - map[2 * 8 + 4]) <= 0.006 * Math.abs(map[2 * 8 + 4]), said);
  assert.match(text, /: each level x of a pixel becomes x − mean first, a bias is added, and ReLU turns negative/);
  const sums = page.getByRole('img', { name: /^The sums of conv1, 3/ });
  const { width, height } = (await sums.boundingBox())!;
  await sums.hover({ position: { x: (6.5 * width) / 8, y: (1.5 * height) / 8 } });
  await assertSum(sumAt(1, 6));
  await page.getByRole('combobox', { name: 'Kernel' }).selectOption('blur');
  await page.getByText('sum of 27 products').waitFor();
  await at(7, 9);
  let mean = 0;
  for (let i = 0; i < 27; i++) mean += pixel(6 + Math.floor(i / 9), 8 + (Math.floor(i / 3) % 3), i % 3) / 27;
  await assertSum(mean);
});

test('says how the pixels of this model are prepared, and that gratings do not look like noise', { skip }, async () => {
  const { model, kernels } = await writeGratings(join(folder, 'gratings'));
  const levels = Uint8Array.from({ length: 12 * 12 * 3 }, (_, i) => (i * i * 37) % 251);
  const small = await sharp(levels, { raw: { width: 12, height: 12, channels: 3 } })
    .png()
    .toBuffer();
  const { page, open } = await inside((await running({ file: model })).url, {}, small);
  await open('gratings');
  await page.getByText('None looks like noise').waitFor();
  await page.getByText('Then it moves on by 1 × 2.').waitFor();
  await page.getByRole('combobox', { name: 'Kernel' }).selectOption({ label: 'gratings, 4' });
  await page.getByRole('slider', { name: 'Row' }).fill('3');
  await page.getByRole('slider', { name: 'Column' }).fill('2');
  let [sum, there] = [0, 0];
  for (let i = 0; i < 75; i++) {
    const [c, y, x] = [Math.floor(i / 25), 3 + Math.floor((i % 25) / 5), 4 + (i % 5)];
    const level = levels[(y * 12 + x) * 3 + c];
    sum += level * kernels[4 * 75 + i];
    there += ((level / 255 - [0.4, 0.5, 0.6][c]) / 0.2) * kernels[4 * 75 + i];
  }
  const close = (said: string, expected: number) =>
    assert.ok(
      Math.abs(Number(said.replace('−', '-')) - expected) <= 0.006 * Math.abs(expected),
      `${said}, not ${expected}`,
    );
  close(/^\S+/.exec(await page.locator('.sum').innerText())![0], sum);
  const said = await page.getByText('The map of gratings has').innerText();
  const [, value, rest] = /has (\S+) there(.*)/s.exec(said)!;
  close(value, there);
  assert.equal(rest, ': each level x of a pixel becomes (x / 255 − [0.4, 0.5, 0.6]) / 0.2 first.');
});

/** Looks at the covering until it is done: it goes on while it is seen, and the page itself scrolls to a new answer. */
async function watchCovering(page: Page): Promise<void> {
  const done = page.getByText(/^Uncovered, .* the least\./);
  const started = performance.now();
  while (!(await done.isVisible())) {
    if (performance.now() - started > 60_000) assert.fail(`not covered: ${await page.locator('#why').innerText()}`);
    await page.getByLabel('Patch, px').scrollIntoViewIfNeeded();
    await page.waitForTimeout(100);
  }
}

/** Opacity of the map's pixels, 0 to 255, where the square is as large as a quarter. */
async function strongestOf(page: Page): Promise<number> {
  const done = page.getByText(/^Uncovered, .* the least\./);
  await watchCovering(page);
  for (const field of ['Patch, px', 'Step, px']) await page.getByLabel(field).fill('4');
  await page.getByRole('button', { name: 'Cover again' }).click();
  await page.getByText('Patch of 4 pixels, moved by 4').waitFor();
  await done.waitFor();
  return page.evaluate(`(() => {
    const { width, height } = document.querySelector('.heat canvas');
    const { data } = document.querySelector('.heat canvas').getContext('2d').getImageData(0, 0, width, height);
    return Math.max(...data.filter((_, i) => i % 4 === 3));
  })()`);
}

test('covers one part after another by itself, and fades changes below one point', { skip }, async () => {
  const corners = await corner(1).png().toBuffer();
  for (const { gain, least, most } of [
    { gain: 4, least: 200, most: 255 },
    { gain: 0.02, least: 0, most: 5 }, // its changes are of 0.2 points
  ]) {
    const { url: own } = await running({ file: writeTinyModel(join(folder, `gain-${gain}.onnx`), { gain }) });
    const { page } = await visit(own);
    await choose(page, 'corner.png', 'image/png', corners);
    const coverings: string[] = [];
    page.on('request', (request) => request.url().includes('/explain/occlusion') && coverings.push(request.url()));
    const strongest = await strongestOf(page);
    for (const shown of [page.locator('h1'), page.getByLabel('Patch, px')]) {
      await shown.scrollIntoViewIfNeeded();
      await page.waitForTimeout(100);
    }
    assert.equal(coverings.filter((address) => address.includes('patch=4')).length, 1, 'seen again, it stays as it is');
    assert.ok(strongest >= least && strongest <= most, `gain ${gain}: ${strongest}`);
    const lines = (await (await post(own, corners, {}, '/explain/occlusion?patch=4&stride=4')).text())
      .trimEnd()
      .split('\n');
    const [start, ...others] = lines.map((line) => JSON.parse(line));
    const lowest = Math.min(...others.flatMap(({ probabilities = [] }) => probabilities));
    const points = Number((100 * (start.probability - lowest)).toPrecision(3));
    assert.match(await page.locator('.heat figcaption').innerText(), new RegExp(`falls by up to ${points} points`));
  }
});

/** Within ten seconds. `waitForFunction` would need a policy that allows `eval`. */
async function until(page: Page, condition: string): Promise<void> {
  await page.evaluate(`(async () => {
    for (let frames = 0; !(${condition}); frames++) {
      if (frames > 600) throw new Error(${JSON.stringify(condition)});
      await new Promise(requestAnimationFrame);
    }
  })()`);
}

test('zooms and pans the graph, with the mouse and from the keyboard, and names its layers', { skip }, async () => {
  const { page } = await visit(url, { viewport: { width: 1280, height: 800 } });
  await page.getByRole('button', { name: 'Open the file' }).click();
  const graph = page.getByRole('img', { name: /^Graph of \d+ operations/ });
  const frame = page.getByRole('region', { name: 'Graph', exact: true });
  await graph.waitFor();
  assert.deepEqual(await graph.locator('.group text').allTextContents(), [...LAYERS, 'probabilities']);
  assert.equal(await graph.locator('.box.convolution').count(), 2);
  const width = async () => (await graph.boundingBox())!.width;
  const top = () => frame.evaluate((element) => element.scrollTop);
  const before = await width();
  await page.getByRole('button', { name: 'Zoom in' }).focus();
  await page.keyboard.press('Enter');
  assert.ok(Math.abs((await width()) / before - 1.3) < 0.01);
  await page.getByRole('button', { name: 'Whole graph' }).click();
  const [whole, seen] = [(await graph.boundingBox())!, (await frame.boundingBox())!];
  assert.ok(whole.height <= seen.height && whole.width <= seen.width, JSON.stringify([whole, seen]));
  await page.getByRole('button', { name: '100 %' }).click();
  await frame.evaluate((element) => element.scrollTo({ top: 0, behavior: 'instant' }));
  await frame.hover();
  const { x, y, height } = (await frame.boundingBox())!;
  await page.mouse.down();
  await page.mouse.move(x + seen.width / 2, y + height / 2 - 90, { steps: 3 });
  await page.mouse.up();
  assert.ok((await top()) > 50, `${await top()}`);
  const dragged = await top();
  await frame.press('ArrowDown');
  await until(page, `document.querySelector('.pannable').scrollTop > ${dragged}`);
  await frame.hover();
  await page.keyboard.down('Control');
  await page.mouse.wheel(0, -100);
  await page.keyboard.up('Control');
  await until(page, `document.querySelector('svg.graph').getBoundingClientRect().width > ${before * 1.2}`);
});

test('says that there were no requests yet, until there is one', { skip }, async () => {
  const { page } = await visit('about:blank');
  await page.route('**/classify?*', (route) => route.abort());
  await page.goto(`${(await running({ file })).url}/#model`);
  await page.getByText('No requests yet').waitFor();
  await page.unroute('**/classify?*');
  await choose(page, 'own.png', 'image/png', image);
  await page.getByText('Throughput, images per second').waitFor();
  assert.equal(await page.getByText('No requests yet').count(), 0);
});

const SCREENS = {
  'a phone, light': {
    viewport: { width: 390, height: 844 },
    colorScheme: 'light',
    reducedMotion: 'no-preference',
  },
  'a wide screen, dark, without motion': {
    viewport: { width: 1280, height: 800 },
    colorScheme: 'dark',
    reducedMotion: 'reduce',
  },
} as const;
for (const [name, options] of Object.entries(SCREENS)) {
  test(`on ${name}, the views of every layer fit, and axe finds no serious fault`, { skip }, async () => {
    const { page, complaints, open } = await inside(url, options);
    await watchCovering(page);
    await page.getByRole('button', { name: 'Find the nearest images' }).click();
    await page.getByRole('list', { name: 'Nearest images' }).waitFor();
    for (const [layer, shown] of [
      ['conv1', '.sum'],
      ['norm1', '.neighbours'],
      ['fc7', '#activations table'],
    ]) {
      await open(layer);
      await page.locator(shown).waitFor();
      await page.getByRole('list', { name: 'Strongest inputs' }).or(page.getByText('Six filters')).first().waitFor();
      await page.evaluate(`for (const one of document.querySelectorAll('details')) one.open = true`);
      await assertAccessible(page);
      const wide = await page.evaluate<number>('document.documentElement.scrollWidth');
      assert.ok(wide <= options.viewport.width, `${layer}: ${wide} pixels`);
    }
    assert.deepEqual(complaints, []);
  });
}
