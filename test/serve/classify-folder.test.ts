/** `alexnet classify` over folders, for programs that read a line per image. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { FileResult } from '../../serve/classify-files.js';
import { alexnet } from '../real/shared-process.js';
import { corner } from './images.js';
import { CLI, post, running, start } from './running.js';
import { QUARTERS, writeTinyModel } from './tiny-model.js';

const root = mkdtempSync(join(tmpdir(), 'alexnet-classify-folder-'));
after(() => rmSync(root, { recursive: true }));
const labels = ['top, left', 'say "top right"', 'bottom left', 'bottom right'];
const model = writeTinyModel(join(root, 'tiny.onnx'), { metadata: { labels } });
const folder = join(root, 'images');
const bytes = await Promise.all([0, 1, 2, 3].map((quarter) => corner(quarter).png().toBuffer()));
for (const [path, content] of Object.entries({
  'b.PNG': bytes[1],
  'a, first.png': bytes[0],
  'deep/er/c.jpeg': bytes[2],
  'deep/broken.png': bytes[2].subarray(0, 60),
  'deep/text.jpg': Buffer.from('no image'),
  'notes.txt': Buffer.from('no image'),
  '.hidden/x.png': bytes[3],
  'z.png': bytes[3],
})) {
  mkdirSync(join(folder, path, '..'), { recursive: true });
  writeFileSync(join(folder, path), content);
}
symlinkSync(folder, join(folder, 'deep/back'));
const inFolder = (...names: string[]) => names.map((name) => join(folder, name));
const ORDER = inFolder('a, first.png', 'b.PNG', 'deep/broken.png', 'deep/er/c.jpeg', 'deep/text.jpg', 'z.png');

async function run(...words: string[]) {
  const { code, stdout, stderr } = await alexnet('classify', '--model', model, '--provider', 'cpu', ...words);
  return { code, lines: stdout.trimEnd().split('\n'), stderr };
}

test('--jsonl prints a line per image of a folder, in order, with the server’s own predictions', async () => {
  const { code, lines, stderr } = await run('--jsonl', folder);
  const results = lines.map((line) => JSON.parse(line) as FileResult);
  assert.deepEqual(
    results.map(({ image }) => image),
    ORDER,
  );
  const told = results.map((result) => ('error' in result ? result.error.code : result.predictions[0].index));
  assert.deepEqual(told, [0, 1, 'INVALID_IMAGE', 2, 'UNSUPPORTED_IMAGE_TYPE', 3]);
  assert.equal(code, 1);
  assert.match(stderr, /6 images, 2 not classified, [\d.]+ images\/s/);
  const { url } = await running({ file: model });
  const { predictions } = (await (await post(url, bytes[1])).json()) as { predictions: object[] };
  assert.deepEqual('predictions' in results[1] && results[1].predictions, predictions);
});

test('--csv prints a header and a line per image, quoted as RFC 4180 has it', async () => {
  const { lines } = await run('--csv', '--top', '1', folder);
  assert.equal(lines[0], 'image,label_1,probability_1,error');
  assert.match(lines[1], new RegExp(`^"${ORDER[0]}","top, left",0\\.9479\\d*,$`));
  assert.match(lines[2], /,"say ""top right""",0\.9479\d*,$/);
  assert.match(lines[3], /broken\.png,,,\S/);
  assert.equal(lines.length, 7);
});

test('takes more images than are decoded at a time, files and folders together', async () => {
  const many = join(root, 'many');
  mkdirSync(many);
  for (let i = 0; i < 150; i++) writeFileSync(join(many, `${String(i).padStart(3, '0')}.png`), bytes[i % 4]);
  const { code, lines } = await run('--jsonl', ORDER[5], many);
  assert.equal(code, 0);
  const best = lines.map((line) => (JSON.parse(line) as { predictions: { index: number }[] }).predictions[0].index);
  assert.deepEqual(best, [3, ...Array.from({ length: 150 }, (_, i) => i % 4)]);
  assert.equal(QUARTERS.length, 4);
});

test('stops once nobody reads the lines, and says once that they cannot be written', async () => {
  const words = [process.execPath, CLI, 'classify', '--model', model, '--provider', 'cpu', '--jsonl'];
  const images = Array(3000).fill(ORDER[1]);
  const unread = start(words[0], [...words.slice(1), ...images]);
  await unread.line;
  unread.process.stdout!.destroy();
  assert.equal(await unread.ended, 0);
  const [, count] = /^(\d+) images, all classified/m.exec(unread.stderr())!;
  assert.ok(Number(count) < images.length, count);
  if (!existsSync('/dev/full')) return;
  const full = start('sh', ['-c', '"$@" > /dev/full', 'sh', ...words, ...images.slice(0, 200)]);
  assert.equal(await full.ended, 1);
  assert.equal(full.stderr().match(/cannot write to stdout/g)?.length, 1);
});

test('names a folder that cannot be read on its line, and a folder without images before the model', async () => {
  const locked = join(root, 'locked');
  mkdirSync(join(locked, 'shut'), { recursive: true });
  writeFileSync(join(locked, 'a.png'), bytes[0]);
  chmodSync(join(locked, 'shut'), 0);
  if (process.getuid?.() !== 0) {
    const { code, lines } = await run('--jsonl', locked);
    assert.equal(code, 1);
    assert.equal(JSON.parse(lines[1]).error.code, 'FILE_UNREADABLE');
  }
  const empty = join(root, 'empty');
  mkdirSync(empty);
  const { code, stderr } = await run('--csv', empty);
  assert.equal(code, 1);
  assert.match(stderr, /empty: no images found \(\.jpg,/);
});

test('a model with a fixed batch of one classifies a folder as well', async () => {
  const file = writeTinyModel(join(root, 'fixed.onnx'), { metadata: null, batch: 1 });
  writeFileSync(join(root, 'config.json'), JSON.stringify({ labels }));
  const { code, stdout } = await alexnet('classify', '--model', file, '--jsonl', ORDER[0], ORDER[1]);
  assert.equal(JSON.parse(stdout.split('\n')[0]).predictions[0].label, labels[0]);
  assert.equal(code, 0);
});
