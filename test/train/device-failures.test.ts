/** A GPU that fails in the middle of training, with the words that onnxruntime has for it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { alexnet } from '../real/command.js';
import { writeTwoColours } from './two-colours.js';

const CLI = fileURLToPath(new URL('../../cli/main.js', import.meta.url));

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-gpu-'));
  await writeTwoColours(folder);
});
after(() => rm(folder, { recursive: true }));

/** What `alexnet train` says, if everything fails with this message after the first epoch. */
function trainUntil(run: string, message: string): string {
  const words = [
    '--data',
    join(folder, 'data'),
    '--model',
    'cifar10-quick',
    '--epochs',
    '2',
    '--batch',
    '20',
    '--out',
    run,
  ];
  const env = {
    ...process.env,
    NODE_OPTIONS: `--import ${new URL('./fail-runs.js', import.meta.url)}`,
    FAIL_AFTER: run,
    FAIL_WITH: message,
  };
  const { status, stderr } = spawnSync(process.execPath, [CLI, 'train', ...words], { env, encoding: 'utf8' });
  assert.equal(status, 1, stderr);
  return stderr.slice(stderr.lastIndexOf('alexnet train: training stops'));
}

test('a lost GPU ends training with the last checkpoint as it was, from which it resumes', async () => {
  const run = join(folder, 'run');
  const lost = 'Failed to download data from buffer. wgpu::MapAsyncStatus value: 3';
  assert.equal(
    trainUntil(run, lost),
    `alexnet train: training stops after step 4: the GPU was lost: its driver reset it, or it was taken away (${lost}); ` +
      `the last good checkpoint is ${run}/last. Continue with: alexnet train --resume --out ${run}\n`,
  );
  assert.match((await readdir(join(run, 'last'))).join(), /weights-4-/);

  const resumed = await alexnet('train', '--resume', '--out', run);
  assert.equal(resumed.code, 0, resumed.stderr);
});

test('GPU memory that runs out ends training with what takes less', () => {
  const run = join(folder, 'full');
  const tooLarge = 'WebGPU validation failed. Buffer size (5000000000) exceeds the max buffer size limit (4294967296).';
  assert.match(
    trainUntil(run, tooLarge),
    new RegExp(
      '^alexnet train: training stops after step 4: out of GPU memory: this computation needs up to 0.\\d\\d GB ' +
        '\\(WebGPU validation failed. Buffer size .* limit .*\\); the last good checkpoint is .*/full/last. Compute fewer images at once, ' +
        'for the same updates: alexnet train --resume --out .*/full --force --micro-batch 5\\n$',
    ),
  );
});
