/** A GPU that is lost in the middle of training. */
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
  folder = await mkdtemp(join(tmpdir(), 'alexnet-lost-'));
  await writeTwoColours(folder);
});
after(() => rm(folder, { recursive: true }));

test('a lost GPU ends training with the last checkpoint as it was, from which it resumes', async () => {
  const run = join(folder, 'run');
  const words = ['--data', join(folder, 'data'), '--model', 'cifar10-quick', '--epochs', '2', '--batch', '20'];
  const { status, stderr } = spawnSync(process.execPath, [CLI, 'train', ...words, '--out', run], {
    env: {
      ...process.env,
      NODE_OPTIONS: `--import ${new URL('./lose-device.js', import.meta.url)}`,
      LOST_WITH: run,
    },
    encoding: 'utf8',
  });
  assert.equal(status, 1, stderr);
  assert.ok(
    stderr.endsWith(
      'alexnet train: training stops after step 4: the GPU was lost: its driver reset it, or it was taken away (Failed to download ' +
        `data from buffer. wgpu::MapAsyncStatus value: 3); the last good checkpoint is ${run}/last. ` +
        `Continue with: alexnet train --resume --out ${run}\n`,
    ),
    stderr,
  );
  assert.match((await readdir(join(run, 'last'))).join(), /weights-4-/);
  const resumed = await alexnet('train', '--resume', '--out', run);
  assert.equal(resumed.code, 0, resumed.stderr);
});
