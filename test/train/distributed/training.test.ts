import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { launch } from './launchers.js';
import { alone, learnsLike, openMpi, runFolder, together, words } from './runs.js';

/** Trained by one process. */
let folder: string;
before(async () => {
  folder = await runFolder();
  if (!openMpi.skip) await alone(folder, 'one');
});
after(() => rm(folder, { recursive: true }));

test('Open MPI: 2 processes learn what one learns from the same batches', { skip: openMpi.skip }, async () => {
  await learnsLike(folder, 'one', openMpi, 2);
});

test('a signal to one process makes all stop after the same step and save', { skip: openMpi.skip }, async () => {
  let signalled = false;
  const job = [{ size: 2, folder, words: words('stopped', 400, ...together) }];
  const { code, stderr } = await launch(openMpi, job, (all) => {
    if (signalled || !/epoch +2\/400/.test(all)) return;
    signalled = true;
    process.kill(Number(/rank 1 is process (\d+)/.exec(all)![1]), 'SIGTERM');
  });
  assert.equal(code, 143, stderr);
  const [, step] = /saved step (\d+); continue with: alexnet train --resume/.exec(stderr)!;
  const { stderr: resumedSays } = await launch(openMpi, [
    { size: 2, folder, words: words('stopped', 1 + Math.ceil(Number(step) / 3), ...together, '--resume') },
  ]);
  assert.match(resumedSays, new RegExp(`continuing after step ${step}`));
});
