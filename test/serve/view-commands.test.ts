/** The commands that write views as files give the server's numbers. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { alexnet, json } from '../real/shared-process.js';
import { assertAccessible, skip, visit } from './chromium.js';
import { post, running } from './running.js';
import { LABELS, pixelsOf, pngOf, writeSmallNetwork } from './small-network.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-view-commands-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const model = await writeSmallNetwork(at('small.onnx'));
const image = await pngOf(pixelsOf(3));
writeFileSync(at('a.png'), image);
for (const [i, label] of LABELS.entries()) {
  mkdirSync(at(`data/train/${label}`), { recursive: true });
  for (const n of [0, 1, 2]) writeFileSync(at(`data/train/${label}/${n}.png`), await pngOf(pixelsOf(10 * i + n)));
}

test('index, neighbours and occlude print what the server answers, number by number', async () => {
  const index = at('data.index');
  const made = await json<Record<string, unknown>>(
    'index',
    '--model',
    model,
    '--data',
    at('data'),
    '--out',
    index,
    '--val-fraction',
    '0',
  );
  assert.deepEqual([made.layer, made.dimension, made.pictures, made.method], ['fc7', 7, 15, 'exact']);
  const { url } = await running({ file: model, index });

  const neighbours = await json<Record<string, unknown>>(
    'neighbours',
    at('a.png'),
    '--model',
    model,
    '--index',
    index,
    '-k',
    '4',
    '--out',
    at('n.html'),
  );
  type Neighbours = { neighbours: { name: string; label: string; distance: number }[] };
  const answered = (await (await post(url, image, {}, '/explain/neighbours?k=4')).json()) as Neighbours;
  const numbers = answered.neighbours.map(({ name, label, distance }) => ({ name, label, distance }));
  assert.deepEqual(neighbours.neighbours, numbers);
  assert.match(numbers[0].name, /^[a-z]+\/\d\.png$|^train\/[a-z]+\/\d\.png$/);
  const html = readFileSync(at('n.html'), 'utf8');
  for (const { name, distance } of numbers)
    assert.ok(html.includes(`<td>${name}</td>`) && html.includes(`<td>${distance}</td>`));
  assert.doesNotMatch(html, /(src|href)="(?!data:)/); // nothing from elsewhere

  const map = await json<Record<string, unknown>>(
    'occlude',
    at('a.png'),
    '--model',
    model,
    '--patch',
    '7',
    '--class',
    'cat',
    '--out',
    at('o.png'),
  );
  const lines = (await (await post(url, image, {}, '/explain/occlusion?patch=7&class=2')).text()).trimEnd().split('\n');
  const parts = lines.map((line) => JSON.parse(line));
  assert.deepEqual(
    map.probabilities,
    parts.slice(1, -1).flatMap(({ probabilities }) => probabilities),
  );
  assert.deepEqual([map.probability, map.lowest], [parts[0].probability, parts.at(-1).lowest]);
  const { width, height, format } = await sharp(at('o.png')).metadata();
  assert.equal(format, 'png');
  assert.ok(width! > 2 * height! * 0.9); // the image twice
});

test('filters draws every kernel, named, in the two groups', async () => {
  const { count, groups } = await json<Record<string, unknown>>('filters', '--model', model, '--out', at('f.svg'));
  assert.deepEqual([count, groups], [8, 2]);
  const svg = readFileSync(at('f.svg'), 'utf8');
  assert.deepEqual(
    [...svg.matchAll(/<title>conv1, kernel (\d)<\/title>/g)].map(([, n]) => Number(n)),
    [0, 1, 2, 3, 4, 5, 6, 7],
  );
  assert.match(svg, /conv1: kernels 4 to 7, group 2/);
  const { info } = await sharp(Buffer.from(svg)).png().toBuffer({ resolveWithObject: true });
  assert.ok(info.width > 100);
});

test('pages of drawings fit a phone, the widest table too, and are dark where that is wanted', { skip }, async () => {
  const options = ['--model', model, '--json'];
  await json('filters', ...options, '--out', at('filters.html'));
  await json('neighbours', at('a.png'), ...options, '--index', at('data.index'), '--out', at('neighbours.html'));
  await json('occlude', at('a.png'), ...options, '--patch', '3', '--stride', '1', '--out', at('occlude.html'));
  for (const name of ['filters', 'neighbours', 'occlude']) {
    const { page } = await visit(pathToFileURL(at(`${name}.html`)).href, { viewport: { width: 390, height: 844 } });
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 390, name);
    const dark = await visit(pathToFileURL(at(`${name}.html`)).href, { colorScheme: 'dark' });
    await assertAccessible(dark.page);
    const colours = await dark.page.evaluate<string[]>(`(() => {
      const its = (selector, property) => [...document.querySelectorAll(selector)].map((one) => getComputedStyle(one)[property]);
      return [...new Set([...its('body', 'backgroundColor'), ...its('svg > rect', 'fill'), ...its('svg text', 'fill'), ...its('td', 'color')])];
    })()`);
    assert.deepEqual(colours, ['rgb(13, 17, 23)', 'none', 'rgb(240, 246, 252)'], name);
  }
  const table = '(() => { const { parentElement: { scrollWidth }, offsetWidth } = document.querySelector("table");';
  const { page } = await visit(pathToFileURL(at('occlude.html')).href, { viewport: { width: 390, height: 844 } });
  assert.ok(await page.evaluate(`${table} return offsetWidth > 390 && scrollWidth >= offsetWidth; })()`));
});

test('says what is wrong: usage exits with 2, everything else with 1', async () => {
  for (const [code, message, ...words] of [
    [
      2,
      /--out x\.gif: expected a name that ends with \.png, \.svg, \.html/,
      'filters',
      '--model',
      model,
      '--out',
      'x.gif',
    ],
    [
      2,
      /--class: expected a label or a number from 0 to 4, got "gnu"/,
      'occlude',
      at('a.png'),
      '--model',
      model,
      '--class',
      'gnu',
    ],
    [2, /patch: expected 1 to 19 pixels/, 'occlude', at('a.png'), '--model', model, '--patch', '99'],
    [1, /not a JPEG, PNG, WebP, GIF, AVIF or TIFF image/, 'occlude', model, '--model', model],
    [1, /no such file/, 'neighbours', at('a.png'), '--model', model, '--index', at('none')],
    [
      1,
      /has no split "dev"; there are: test, train, val; choose one with --split/,
      'index',
      '--model',
      model,
      '--data',
      at('data'),
      '--split',
      'dev',
      '--out',
      at('x'),
    ],
  ] as const) {
    const ended = await alexnet(...words);
    assert.equal(ended.code, code, ended.stderr);
    assert.match(ended.stderr, message);
  }
});
