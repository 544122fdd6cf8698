/** What the views answer where they cannot: each a sentence. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { assertClose } from '../model/close.js';
import { corner } from './images.js';
import { errorOf, post, running } from './running.js';
import { pixelsOf, pngOf, writeSmallNetwork } from './small-network.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-view-errors-'));
after(() => rmSync(folder, { recursive: true }));
const file = await writeSmallNetwork(join(folder, 'small.onnx'));
const { url } = await running({ file, maxBytes: 20_000 });
const image = await pngOf(pixelsOf(1));
const view = (path: string, body: Uint8Array = image) => post(url, body, {}, `/explain/${path}`);

test('names what is wrong with a parameter, and what was expected', async () => {
  for (const [path, message] of [
    ['activations?layers=conv1,conv9', /^layer: expected one of conv1, norm1, pool1, .*fc8.*, got "conv9"$/],
    ['activations?crop=10', /^crop: expected a whole number from 0 to 9, got 10$/],
    ['activations?crop=-1', /^crop: .*expected (int|number), received string.*, got "-1"$/i],
    ['lrn', /^layer: /],
    ['lrn?layer=conv1', /^layer: expected one of norm1, norm2, got "conv1"$/],
    ['lrn?layer=norm2&channel=12', /^channel: expected a whole number from 0 to 11, got 12$/],
    ['lrn?layer=norm1&channel=0&y=8&x=0', /^y: expected a whole number from 0 to 7, got 8$/],
    ['occlusion?patch=20', /^patch: expected 1 to 19 pixels, the side of the crop, got 20$/],
    ['occlusion?class=5', /^class: expected a whole number from 0 to 4, got 5$/],
    ['occlusion?class=ant', /^class: .*, got "ant"$/],
  ] as const) {
    const error = await errorOf(view(path));
    assert.equal(`${error.status} ${error.code}`, '400 BAD_REQUEST', path);
    assert.match(error.message, message);
  }
});

test('refuses what is not an image as classification does', async () => {
  const text = await errorOf(view('occlusion', Buffer.from('I am a text file named image.jpg')));
  assert.deepEqual([text.status, text.code], [415, 'UNSUPPORTED_IMAGE_TYPE']);
  const large = await errorOf(view('activations', Buffer.alloc(20_001)));
  assert.deepEqual([large.status, large.code], [413, 'IMAGE_TOO_LARGE']);
  const broken = await errorOf(view('activations', image.subarray(0, 200)));
  assert.deepEqual([broken.status, broken.code], [400, 'INVALID_IMAGE']);
  const none = await errorOf(view('picture', Buffer.alloc(0)));
  assert.deepEqual([none.status, none.code], [400, 'EMPTY_BODY']);
});

test('shows an image of one pixel', async () => {
  const pixel = await sharp({ create: { width: 1, height: 1, channels: 3, background: '#3060c0' } })
    .png()
    .toBuffer();
  const response = await view('occlusion?stride=19&patch=19', pixel);
  assert.equal(response.status, 200);
  assert.equal(JSON.parse((await response.text()).trimEnd().split('\n').at(-1)!).type, 'end');
});

test('says what is missing without an index', async () => {
  for (const response of [await view('neighbours'), await fetch(`${url}/explain/strongest?layer=conv1&channel=0`)]) {
    const { status, code, message } = await errorOf(response);
    assert.deepEqual([status, code], [404, 'VIEW_UNAVAILABLE']);
    assert.match(message, /alexnet index --model FILE --data DATA --out INDEX.* as index \(--index\)/);
  }
});

test('answers other paths and methods in the same shape', async () => {
  const missing = await errorOf(fetch(`${url}/explain/nothing`));
  assert.deepEqual([missing.status, missing.code], [404, 'NOT_FOUND']);
  const method = await fetch(`${url}/explain/occlusion`);
  assert.deepEqual([method.status, method.headers.get('allow')], [405, 'POST']);
});

test('shows of a network without convolutions what it has, and says what not', async () => {
  const { url } = await running({ file: writeTinyModel(join(folder, 'tiny.onnx')) });
  type Layers = { layers: { name: string }[]; unavailable: string[]; crops: { name: string }[] };
  const answer = (await (await fetch(`${url}/explain/layers`)).json()) as Layers;
  assert.deepEqual(
    answer.layers.map(({ name }) => name),
    ['logits', 'probabilities'],
  );
  assert.deepEqual(
    answer.crops.map(({ name }) => name),
    ['whole'],
  );
  assert.equal(answer.unavailable.length, 2);
  const kernels = await errorOf(fetch(`${url}/explain/kernels`));
  assert.deepEqual([kernels.status, kernels.code], [404, 'VIEW_UNAVAILABLE']);
  const body = await corner(2).png().toBuffer();
  const lrn = await errorOf(post(url, body, {}, '/explain/lrn?layer=logits'));
  assert.match(lrn.message, /^this model has no response normalisation/);
  // Its file tells no mean: the patch is of the level 128, whose logit is 4 · 128 / 255.
  const map = await post(url, body, {}, '/explain/occlusion?patch=4&stride=4');
  const lines = (await map.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(lines[0].class.label, 'bottom left');
  const [grey, white] = [Math.exp((4 * 128) / 255), Math.exp(4)];
  const elsewhere = white / (white + grey + 2);
  assertClose(lines[1].probabilities, [elsewhere, elsewhere, grey / (grey + 3), elsewhere], 1e-6);
});

test('shows nothing of a file that was changed since it was loaded', async () => {
  const changing = await writeSmallNetwork(join(folder, 'changing.onnx'));
  const { url } = await running({ file: changing });
  assert.equal((await fetch(`${url}/explain/layers`)).status, 200);
  writeFileSync(changing, 'something else');
  const { status, code, message } = await errorOf(fetch(`${url}/explain/layers`));
  assert.deepEqual([status, code], [404, 'VIEW_UNAVAILABLE']);
  assert.match(message, /changed after it was loaded; load it again/);
  assert.equal((await post(url, image)).status, 200); // what was loaded keeps answering
});
