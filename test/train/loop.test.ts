import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { UserError } from '../../base/errors.js';
import type { Interrupt } from '../../base/process/interrupt.js';
import { type Progress, silentProgress } from '../../base/progress.js';
import { tf } from '../../base/tfjs/core.js';
import { epochBatches } from '../../train/data/batches/epoch-batches.js';
import type { Dataset } from '../../train/data/dataset.js';
import { train } from '../../train/loop.js';
import { hasCheckpoint, loadCheckpoint } from '../../train/run/load-checkpoint.js';
import { openRun, type Run } from '../../train/run/run-folder.js';
import { learningRateAt, startSchedule } from '../../train/schedule.js';
import type { Settings } from '../../train/settings/config.js';
import { flatWeights, tinyDataset, tinyModel, tinyRun } from './tiny.js';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-loop-'));
});
after(() => rm(folder, { recursive: true }));

// 26 images in batches of 8: 3 steps an epoch, 2 images left out
const SETTINGS = {
  epochs: 3,
  batch: 8,
  learningRate: 0.002,
  schedule: 'plateau',
  patience: 1,
  seed: 5,
  microBatch: 5,
} as const;
const dataset = tinyDataset();

function newRun(name: string, settings: Partial<Settings> = {}): Promise<Run> {
  return tinyRun(join(folder, name), dataset, { ...SETTINGS, ...settings });
}

/** Trains from where the run is; stops after the step or during the validation that `stopAt` names. */
async function go(run: Run, stopAt?: { step?: number; validation?: number }, data = dataset, notes: string[] = []) {
  const interrupt: Interrupt = {};
  let validations = 0;
  const progress: Progress = {
    ...silentProgress,
    note: (line) => notes.push(line),
    step: ({ step }) => {
      if (step === stopAt?.step) interrupt.signal = 'SIGINT';
    },
    work: (_, done) => {
      if (done < 11) validations += 1;
      if (validations === stopAt?.validation) interrupt.signal = 'SIGTERM';
    },
  };
  const from = hasCheckpoint(run.last) ? await loadCheckpoint(run.last) : undefined;
  const model = from?.model ?? tinyModel();
  const training = { run, dataset: data, model, from, progress, interrupt, checkpointMinutes: 5 };
  return { model, notes, ...(await train(training)) };
}

const readMetrics = async (run: Run) =>
  (await readFile(join(run.path, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

test('interrupted in an epoch and in a validation and resumed, ends with the weights of the run without interruption, bit for bit', async () => {
  const whole = await newRun('whole');
  const straight = await go(whole);
  assert.equal(straight.state.step, 12); // 26 images in batches of 8, 8, 8 and 2

  const run = await newRun('interrupted');
  const first = await go(run, { step: 2 });
  assert.deepEqual([first.interruptedBy, first.state.step, first.state.position], ['SIGINT', 2, 2]);
  const second = await go(run, { validation: 1 });
  assert.deepEqual(
    [second.interruptedBy, second.state.step, second.state.epoch, second.state.position],
    ['SIGTERM', 4, 0, 4],
  );
  const last = await go(run);
  assert.equal(last.interruptedBy, undefined);

  assert.deepEqual(flatWeights(last.model), flatWeights(straight.model));
  assert.deepEqual(last.state, straight.state);
  for (const which of ['last', 'best'] as const) {
    const [a, b] = [await loadCheckpoint(whole[which]), await loadCheckpoint(run[which])];
    assert.equal(a.weightsSha256, b.weightsSha256);
    assert.deepEqual(await a.readVelocities(), await b.readVelocities());
  }
});

test('resumed from an older checkpoint, drops the metrics after it and writes them again', async () => {
  const run = await newRun('killed');
  await go(run, { step: 5 });
  const before = await readMetrics(run);
  const lines = [
    { step: 6, epoch: 2, loss: 1, val_top1_error: 1 },
    { step: 10, epoch: 4, loss: 1 },
  ];
  await appendFile(
    join(run.path, 'metrics.jsonl'),
    `${lines.map((line) => JSON.stringify(line)).join('\n')}\n{"step":1`,
  );
  await go(run);
  const after = await readMetrics(run);
  assert.deepEqual(after.slice(0, before.length), before);
  const epochs = after.filter((line) => line.val_top1_error !== undefined).map((line) => line.epoch);
  assert.deepEqual(epochs, [1, 2, 3]);
  assert.ok(after.every((line) => line.lr > 0));
  const rows = (await readFile(join(run.path, 'metrics.csv'), 'utf8')).trim().split('\n').slice(1);
  assert.deepEqual(
    rows.map((row) => Number(row.split(',')[0])),
    [1, 2, 3],
  );
  assert.equal((await readdir(join(run.path, 'events'))).length, 1);
});

test('saves the checkpoint with the lowest validation error, of equals that with the lowest loss, in best/', async () => {
  const run = await newRun('best', { epochs: 5 });
  const { state } = await go(run);
  const ends = (await readMetrics(run)).filter((line) => 'val_top1_error' in line);
  assert.equal(ends.length, 5);
  const [first] = ends.toSorted((a, b) => a.val_top1_error - b.val_top1_error || a.val_loss - b.val_loss);
  const best = await loadCheckpoint(run.best);
  assert.equal(best.state.epoch, first.epoch);
  assert.deepEqual(state.bestValidation, best.state.lastValidation);
});

test('tells of an epoch the rate of its last step, and of speed that of the epoch', async () => {
  for (const [name, warmupEpochs] of [
    ['rates', 0],
    ['warm-up alone', 3],
  ] as const) {
    const run = await newRun(name, { schedule: 'cosine', warmupEpochs });
    await go(run);
    const lines = (await readMetrics(run)).filter((line) => 'val_top1_error' in line);
    const rateAt = (step: number) => learningRateAt(run.config, startSchedule(), step, 4);
    assert.deepEqual(
      lines.map(({ lr }) => lr),
      [3, 7, 11].map(rateAt),
    );
    assert.ok(lines.every(({ images_per_second }) => images_per_second > 0));
    assert.equal(new Set(lines.map(({ images_per_second }) => images_per_second)).size, 3);
  }
});

test('has nothing left to do when a finished run is resumed', async () => {
  const run = await openRun(join(folder, 'whole'));
  const again = await go(run);
  assert.equal(again.state.step, 12);
  assert.equal(again.imagesPerSecond, 0);
});

test('ends before the last epoch when plateau has reduced the rate three times', async () => {
  const run = await newRun('plateau', { epochs: 30, learningRate: 1e-9 });
  const { state } = await go(run);
  assert.equal(state.schedule.ended, true);
  // the first sets the best error, then one of patience for each reduction and for the end
  assert.equal(state.epoch, 5);
});

for (const schedule of ['constant', 'plateau'] as const) {
  test(`ends after N epochs without a better validation error, resumed or not, under ${schedule}`, async () => {
    const settings = { epochs: 30, learningRate: 1e-9, schedule, patience: 9, earlyStop: 3 };
    const straight = await go(await newRun(`early-${schedule}`, settings));
    assert.equal(straight.state.epoch, 4); // the first sets the best error
    assert.equal(
      straight.notes.at(-1),
      'ended after epoch 4: the validation error has not improved for 3 epochs (--early-stop 3)',
    );
    const run = await newRun(`early-${schedule}-resumed`, settings);
    await go(run, { step: 3 * 4 + 1 });
    const resumed = await go(run);
    assert.deepEqual(resumed.state, straight.state);
    assert.equal((await go(run)).state.epoch, 4); // nothing left to do
  });
}

test('stops when the loss grows beyond hope although it is finite, with the last good checkpoint', async () => {
  const run = await newRun('hopeless', {
    epochs: 90,
    schedule: 'constant',
    momentum: 0,
    learningRate: 1,
    weightDecay: 2.3,
    clipNorm: 1e-3,
  });
  const notes: string[] = [];
  await assert.rejects(go(run, undefined, dataset, notes), (error: Error) => {
    assert.ok(error instanceof UserError);
    assert.match(
      error.message,
      /^training diverged at step \d+, learning rate 1\.00: 40 losses were above 4\.16, .* rise \(mean .*\); the last good/,
    );
    return true;
  });
  const { state } = await loadCheckpoint(run.last);
  assert.ok(state.step > 0);
  const advice = notes.filter((note) => note.includes('no better than guessing among 4 classes (1.39)'));
  assert.equal(advice.length, 1); // and not at every epoch
  assert.match(
    advice[0],
    /, start again with --lr 0\.01 or start from the weights of a trained or imported run \(--from RUN\)$/,
  );
});

test('stops with step, learning rate and last good checkpoint when the loss is no longer finite', async () => {
  const run = await newRun('diverged');
  await go(run, { step: 5 });
  const weights = flatWeights((await loadCheckpoint(run.last)).model);
  run.config.learningRate = 1e30;
  await assert.rejects(go(run), (error: Error) => {
    assert.ok(error instanceof UserError);
    assert.match(
      error.message,
      /^training diverged at step \d, learning rate 1\.00e\+30: (loss is (NaN|Infinity)|weight .* holds NaN)/,
    );
    assert.ok(error.message.includes(`the last good checkpoint is ${run.last}`));
    return true;
  });
  assert.deepEqual(flatWeights((await loadCheckpoint(run.last)).model), weights);
});

test('saves the steps before images that cannot be loaded, in an epoch and in a validation, and continues once they are back', async () => {
  const straight = await go(await newRun('readable'));
  const run = await newRun('unreadable');
  /** Whose images at these positions are gone. */
  const without = (which: 'train' | 'val', gone: (index: number) => boolean): Dataset => {
    const split = dataset.splits[which];
    const load = async (indices: Uint32Array) => {
      const index = indices.find(gone);
      if (index !== undefined) throw new UserError(`${split.name(index)}: gone; put it back`);
      return split;
    };
    return { ...dataset, splits: { ...dataset.splits, [which]: { ...split, load } } };
  };
  const [third] = [
    ...epochBatches(dataset.splits.train, { seed: SETTINGS.seed, epoch: 0, batch: 8, rank: 0, size: 1 }, 2),
  ];
  const cases = [
    { gone: without('train', (index) => third.includes(index)), name: 'train/\\d+', step: 2 },
    { gone: without('val', (index) => index === 10), name: 'val/10', step: 4 },
  ];
  for (const { gone, name, step } of cases) {
    await assert.rejects(go(run, undefined, gone), (error: Error) => {
      assert.ok(error instanceof UserError);
      const [before, after] = error.message.split(run.last);
      assert.equal(before, `training stops after step ${step}, saved in `);
      assert.match(
        after,
        new RegExp(`^: ${name}\\.png: gone; put it back\\. Continue with: alexnet train --resume --out /`),
      );
      return true;
    });
    const { state } = await loadCheckpoint(run.last);
    assert.deepEqual([state.step, state.position, state.epoch], [step, step, 0]);
  }
  const last = await go(run);
  assert.deepEqual(flatWeights(last.model), flatWeights(straight.model));
  assert.deepEqual(last.state, straight.state);
});

test('saves inside an epoch when the minutes between checkpoints are over', async () => {
  const run = await newRun('crashed');
  const progress: Progress = {
    ...silentProgress,
    step: ({ step }) => {
      if (step === 3) throw new Error('power cut');
    },
  };
  const crashing = train({ run, dataset, model: tinyModel(), progress, interrupt: {}, checkpointMinutes: 0 });
  await assert.rejects(crashing, { message: 'power cut' });
  const { state } = await loadCheckpoint(run.last);
  assert.deepEqual([state.step, state.position, state.epoch], [2, 2, 0]);
});

test('counts the validations to come in the time that is left, once one was timed', async () => {
  const run = await newRun('eta', { epochs: 2 });
  const left: number[] = [];
  const progress: Progress = { ...silentProgress, step: ({ etaSeconds }) => left.push(etaSeconds) };
  await train({ run, dataset, model: tinyModel(), progress, interrupt: {}, checkpointMinutes: 5 });
  assert.equal(left.length, 8);
  assert.ok(left[7] > 0, `${left[7]} s after the last step`); // a validation is to come, and no step
});

test('takes the whole split as the batch if it is smaller, and frees all but the model', async () => {
  const run = await newRun('small', { batch: 100, microBatch: null, epochs: 1 });
  const model = tinyModel();
  const before = tf.memory().numTensors;
  const { state } = await train({ run, dataset, model, progress: silentProgress, interrupt: {}, checkpointMinutes: 5 });
  assert.equal(state.step, 1);
  assert.equal(tf.memory().numTensors, before);
});
