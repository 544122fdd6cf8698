import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { formatPredictions } from '../../serve/format-predictions.js';
import { alexnet } from '../real/shared-process.js';
import { corner, pattern } from './images.js';
import { alexnet as alexnetAlone, post, running } from './running.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-classify-command-'));
after(() => rmSync(folder, { recursive: true }));
const model = writeTinyModel(join(folder, 'tiny.onnx'));

const IMAGES = {
  'corner.png': await corner(2, 32, 24).png().toBuffer(),
  'turned.jpg': await pattern(100, 70).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
  'small.webp': await corner(1, 5, 3).webp().toBuffer(),
};
const paths = Object.entries(IMAGES).map(([name, bytes]) => {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
});

async function stdout(command: ReturnType<typeof alexnetAlone>): Promise<string> {
  let text = '';
  command.process.stdout?.on('data', (chunk) => {
    text += chunk;
  });
  await command.ended;
  return text;
}

test('gives exactly what the server answers', async () => {
  const { url } = await running({ file: model });
  const { code, stdout } = await alexnet('classify', '--model', model, '--json', '--top', '4', ...paths);
  const { results, crops } = JSON.parse(stdout);
  assert.equal(crops, 1);
  assert.equal(code, 0);
  for (const [i, bytes] of Object.values(IMAGES).entries()) {
    const reply = (await (await post(url, bytes)).json()) as { predictions: unknown };
    assert.deepEqual(results[i], { image: paths[i], predictions: reply.predictions });
  }
});

test('names what cannot be read, answers the rest and ends with 1', async () => {
  const broken = join(folder, 'broken.png');
  writeFileSync(broken, IMAGES['corner.png'].subarray(0, 60));
  const text = join(folder, 'text.jpg');
  writeFileSync(text, 'no image');
  const empty = join(folder, 'empty.jpg');
  writeFileSync(empty, '');
  const cut = join(folder, 'cut.jpg');
  writeFileSync(cut, (await corner(1).jpeg().toBuffer()).subarray(0, -100));
  const none = join(folder, 'none.jpg');
  const images = [broken, none, text, empty, cut, paths[0]];
  const { code, stdout } = await alexnet('classify', '--model', model, '--json', ...images);
  const { results } = JSON.parse(stdout) as { results: { image: string; error?: { code: string; message: string } }[] };
  assert.equal(code, 1);
  const decoding = 'the image cannot be decoded:';
  assert.deepEqual(
    results.map(({ image, error }) => [image, error?.code, error?.message]),
    [
      [broken, 'INVALID_IMAGE', `${decoding} damaged or cut short (PNG)`],
      [none, 'FILE_UNREADABLE', `${none}: no such file; expected an image`],
      [text, 'UNSUPPORTED_IMAGE_TYPE', 'not a JPEG, PNG, WebP, GIF, AVIF or TIFF image; convert it to one of them'],
      [empty, 'EMPTY_BODY', 'the file is empty'],
      [cut, 'INVALID_IMAGE', `${decoding} the file is cut short`],
      [paths[0], undefined, undefined],
    ],
  );
});

test('prints a block with bars for people, one per image, and reads an image from stdin', async () => {
  const command = alexnetAlone('classify', '--model', model, '--top', '2', paths[0], '-');
  command.process.stdin?.end(await corner(1).png().toBuffer());
  const blocks = (await stdout(command)).trimEnd().split('\n\n');
  assert.equal(await command.ended, 0);
  assert.equal(blocks.length, 2);
  assert.deepEqual(blocks[1].split('\n'), [
    '-',
    '  top right   94.8 % ██████████████████████▊',
    '  top left     1.7 % ▍',
  ]);
  assert.ok(blocks[0].startsWith(`${paths[0]}\n  bottom left`));
});

test('ends with 2 when --top is out of range', async () => {
  const { code, stderr } = await alexnet('classify', '--model', model, '--top', '5', paths[0]);
  assert.equal(code, 2);
  assert.match(stderr, /alexnet classify: --top: expected a whole number from 1 to 4, the number of classes, got "5"/);
});

test('draws bars of 24 columns in eighths', () => {
  const lines = formatPredictions([
    { index: 0, label: 'cat', probability: 1 },
    { index: 1, label: 'dragonfly', probability: 0.5 },
    { index: 2, label: 'ox', probability: 0 },
  ]).split('\n');
  assert.deepEqual(lines, [
    `  cat        100.0 % ${'█'.repeat(24)}`,
    `  dragonfly   50.0 % ${'█'.repeat(12)}`,
    '  ox           0.0 %',
  ]);
});
