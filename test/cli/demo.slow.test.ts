/** `npm run demo` to its end: what it prints is what the file that it serves gives. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { COMMANDS } from '../../cli/command-table.js';
import { readPage } from '../docs/pages.js';
import { shape } from '../docs/shape.js';
import { alexnet, alexnetAs, json } from '../real/command.js';
import { writeNoise } from '../train/frozen/origin.js';

const out = await mkdtemp(join(tmpdir(), 'alexnet-demo-'));
process.env.ALEXNET_CACHE = join(out, 'cache');
after(() => rm(out, { recursive: true }));

/**
 * Lines of the README's demo that `printed` does not have, but for numbers, a wrong answer, and what --exit says instead
 * of how to go on, with the width of the box.
 */
function missing(printed: string): string[] {
  const block = readPage('README.md').blocks.find(({ text }) => text.includes('— Train '))!;
  const shapes = new Set(printed.split('\n').map(shape));
  return block.text.split('\n').filter((line) => {
    const varies = /[✗→]|│ +│|^│ {2}(?:try|file|Open) |^[╭╰]/.test(line);
    return line !== '…' && !varies && !shapes.has(shape(line));
  });
}

test('the demo prints the errors of the file that it serves, and its epochs do not contradict them', async () => {
  const { code, stdout, stderr } = await alexnetAs({ cwd: out }, 'demo', '--exit');
  assert.equal(code, 0, stderr);
  assert.match(stderr, /backend onnxruntime: onnxruntime-node on /);
  const file = join(out, 'runs/demo/emoji.onnx');
  const words = ['evaluate', '--onnx', file, '--data', 'emoji'];
  const errors: Record<string, number> = {};
  for (const [split, line] of [
    ['val', /errors on the 600 validation images, 1 crop: top-1 +([\d.]+) %/],
    ['test-centred', /centred on white +([\d.]+) %/],
    ['test-random', /any place, size and background +([\d.]+) %/],
  ] as const) {
    const { top1_error, crops } = await json<{ top1_error: number; crops: number }>(...words, '--split', split);
    assert.equal(line.exec(stdout)?.[1], (100 * top1_error).toFixed(1), split);
    assert.equal(crops, 1, 'trained without mirroring');
    errors[split] = top1_error;
  }
  const best = stderr.split('\n').findLast((text) => / best$/.test(text));
  assert.equal(/val loss .*? top-1 +([\d.]+) %/.exec(best ?? '')?.[1], (100 * errors.val).toFixed(1), best);
  const { stdout: answer } = await alexnet('classify', '--model', file, join(out, 'runs/demo/guitar.png'));
  assert.match(stdout, /✓ guitar +→ guitar \d+ %/);
  assert.doesNotMatch(stdout, /curl|Ctrl-C/);
  assert.match(stdout, /next +npx alexnet serve --model runs\/demo\/emoji\.onnx --index runs\/demo\/emoji\.index /);
  assert.deepEqual(missing(stdout + stderr), []);
  assert.match(answer, /guitar/);
});

/** What a test lacks of an example: a network, half an hour, or somebody who ends it. */
const INSTEAD: Record<string, string[] | undefined> = {
  learn: ['--from', 'runs/demo/emoji.onnx'],
  reproduce: ['--epochs', '1'],
  import: undefined,
  serve: undefined,
  demo: undefined,
};

test('the example in the help of every command works after the demo', async () => {
  await writeNoise(join(out, 'photos'), 20);
  for (const [name, { example }] of Object.entries(COMMANDS)) {
    const more = name in INSTEAD ? INSTEAD[name] : [];
    if (more === undefined) continue;
    const words = example.replace(' \\\n', '').split(/ +/);
    const { code, stderr } = await alexnetAs({ cwd: out }, name, ...words, ...more);
    assert.equal(code, 0, `${name}: ${stderr}`);
  }
});
