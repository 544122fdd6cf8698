import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeFiles } from '../data/tiny-images.js';
import { type EndedJob, launch, launchers } from './launchers.js';
import {
  alone,
  IN_PARTS,
  idxFiles,
  largestDifference,
  learnsLike,
  lines,
  mpich,
  openMpi,
  runFolder,
  together,
  trained,
  words,
} from './runs.js';

/** Trained by one process, once for all tests. */
let folder: string;
before(async () => {
  folder = await runFolder();
  if (launchers.every(({ skip }) => skip)) return;
  await alone(folder, 'one');
  await alone(folder, 'one in parts', 4, ...IN_PARTS);
});
after(() => rm(folder, { recursive: true }));

test('Open MPI: 3 processes learn what one in parts learns from the same batches', { skip: openMpi.skip }, async () => {
  await learnsLike(folder, 'one in parts', openMpi, 3, IN_PARTS);
});

test('MPICH: 2 processes learn what one learns from the same batches', { skip: mpich.skip }, async () => {
  await learnsLike(folder, 'one', mpich, 2);
});

test('float16 gradients lead to nearly the same weights', { skip: openMpi.skip }, async () => {
  await trained(openMpi, folder, 2, 'halves', '--compress-gradients');
  const difference = await largestDifference(join(folder, 'one'), join(folder, 'halves'));
  assert.ok(difference > 1e-6, 'gradients were rounded');
  assert.ok(difference < 1e-3, `largest difference ${difference}`);
});

test('processes with other settings or data refuse to start', { skip: openMpi.skip }, async (context) => {
  const files = { ...idxFiles('a/data', 65), ...idxFiles('b/data', 65, 'other noise') };
  const folder = await writeFiles(context, files);
  const out = join(folder, 'run');
  const start = (other: { folder: string; words: string[] }) =>
    launch(openMpi, [
      { size: 1, folder: join(folder, 'a'), words: words(out, 1, ...together) },
      { size: 1, ...other },
    ]);
  const says = ({ code, stderr }: EndedJob, what: RegExp) => {
    assert.notEqual(code, 0);
    assert.match(stderr, what);
  };
  says(
    await start({ folder: join(folder, 'a'), words: words(out, 1, '--seed', '5', ...together) }),
    /the processes must be equal, and are not: settings: rank 0 has \{[^}]*\}, rank 1 \{.*"seed":5/,
  );
  says(
    await start({ folder: join(folder, 'b'), words: words(out, 1, ...together) }),
    /some images \(SHA-256\): rank 0 has/,
  );
  says(
    await start({ folder, words: words(out, 1, ...together) }),
    /alexnet train: rank 1 of 2: data\/train-images-idx3-ubyte\.gz: cannot be read/,
  );
});

test('more processes than a batch has images leave the run as it was', { skip: openMpi.skip }, async () => {
  const config = join(folder, 'one/config.json');
  const before = await readFile(config, 'utf8');
  const asked = words('one', 5, ...together, '--resume', '--force', '--batch', '2');
  const { code, stderr } = await launch(openMpi, [{ size: 3, folder, words: asked }]);
  assert.notEqual(code, 0);
  assert.match(stderr, /changed: .*batch was 32, now 2/);
  assert.match(stderr, /a batch of 2 images for 3 processes/);
  assert.equal(await readFile(config, 'utf8'), before);
});

test('a process that dies ends the job, which continues with others', { skip: openMpi.skip }, async () => {
  let victim: number | undefined;
  const { code, stderr } = await launch(
    openMpi,
    [{ size: 2, folder, words: words('run', 400, ...together, '--checkpoint-minutes', '0.0001') }],
    (all) => {
      const [, pid] = /rank 1 is process (\d+)/.exec(all) ?? [];
      if (victim !== undefined || !/epoch +2\/400/.test(all)) return;
      victim = Number(pid);
      process.kill(victim, 'SIGKILL');
    },
  );
  assert.notEqual(code, 0);
  assert.match(stderr, /process rank 1 .*exited on signal 9/);
  assert.match(stderr, /step \d+: signalled, and waiting .*the last good checkpoint is run\/last/);

  const { epoch } = (await lines(join(folder, 'run'))).findLast(({ val_loss }) => val_loss !== undefined)!;
  const resumed = [{ size: 3, folder, words: words('run', epoch + 1, ...together, '--resume') }];
  const { code: resumedCode, stderr: resumedSays } = await launch(openMpi, resumed);
  assert.equal(resumedCode, 0, resumedSays);
  assert.match(resumedSays, /continuing after step \d+/);
  await alone(folder, 'undisturbed', epoch + 1);
  assert.ok((await largestDifference(join(folder, 'undisturbed'), join(folder, 'run'))) < 1e-4);
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
