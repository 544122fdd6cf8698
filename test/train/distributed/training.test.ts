import { rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { alone, learnsLike, openMpi, runFolder } from './runs.js';

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
