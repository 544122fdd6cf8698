import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { UsageError } from '../../base/errors.js';
import {
  fractionBelowOne,
  nonNegativeNumber,
  positiveInteger,
  positiveNumber,
  risingIntegers,
  wholeNumber,
} from '../../cli/flag-types.js';
import { ALEXNET } from '../../model/alexnet.js';
import { CIFAR10_18PCT } from '../../model/cifar10.js';
import { checkFree, createRun, openRun } from '../../train/run/run-folder.js';
import { checkFlags, resolveSettings, type TrainConfig } from '../../train/settings/config.js';

const PAPER = resolveSettings(ALEXNET.recipe, {});

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-run-'));
});
after(() => rm(folder, { recursive: true }));

const stored: TrainConfig = { data: 'pictures.tar', model: 'alexnet', ...PAPER, batch: 64, seed: 3 };

function makeRun(name: string) {
  const record = { config: stored, imagePx: 3, inputPx: 2, pictures: { train: 9, val: 4 }, versions: { node: '20' } };
  const mean = Float32Array.from({ length: 27 }, (_, i) => i / 4);
  const samples = Uint8Array.from({ length: 54 }, (_, i) => i);
  return createRun(join(folder, name), { ...record, labels: ['cat', 'dog'], mean, samples });
}

test('refuses a flag that would have no effect', () => {
  assert.throws(() => checkFlags({ milestones: [3] }, PAPER), {
    name: 'UsageError',
    message: '--milestones counts under --schedule step alone, and the schedule is plateau; leave one out',
  });
  assert.throws(() => checkFlags({ patience: 2 }, { ...PAPER, schedule: 'cosine' }), /--patience counts under/);
  checkFlags({ patience: 2, epochs: 4 }, PAPER);
});

test('trains alexnet as the paper says', () => {
  const { learningRate, momentum, weightDecay, batch, epochs, schedule } = resolveSettings(ALEXNET.recipe, {});
  assert.deepEqual(
    [learningRate, momentum, weightDecay, batch, epochs, schedule],
    [0.01, 0.9, 0.0005, 128, 90, 'plateau'],
  );
});

test('takes the recipe over the defaults and flags over both', () => {
  const settings = resolveSettings(CIFAR10_18PCT.recipe, { learningRate: 0.05, batch: 32 });
  assert.equal(settings.learningRate, 0.05);
  assert.equal(settings.batch, 32);
  assert.equal(settings.biasLearningRateFactor, 2);
  assert.deepEqual(settings.weightDecayByLayer, { fc10: 1 });
  assert.deepEqual(settings.milestones, [120, 130]);
});

test('lets --weight-decay replace the recipe’s decay of single layers too', () => {
  const settings = resolveSettings(CIFAR10_18PCT.recipe, { weightDecay: 0.1 });
  assert.equal(settings.weightDecay, 0.1);
  assert.deepEqual(settings.weightDecayByLayer, {});
});

test('refuses settings that contradict each other', () => {
  assert.throws(
    () => resolveSettings(ALEXNET.recipe, { schedule: 'step' }),
    (error: Error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, /^schedule step needs --milestones/);
      return true;
    },
  );
  assert.throws(() => resolveSettings(ALEXNET.recipe, { epochs: 2, warmupEpochs: 3 }), {
    message: '--warmup-epochs 3 is more than --epochs 2',
  });
});

test('parses flags that are numbers and says what was expected of others', () => {
  assert.equal(positiveNumber('1e-3'), 0.001);
  assert.equal(wholeNumber('0'), 0);
  assert.deepEqual(risingIntegers('120,130'), [120, 130]);
  for (const [parse, text, message] of [
    [positiveNumber, '-1', 'Expected a number above 0, got "-1".'],
    [positiveNumber, 'NaN', 'Expected a number above 0, got "NaN".'],
    [positiveNumber, '', 'Expected a number above 0, got "".'],
    [nonNegativeNumber, 'Infinity', 'Expected a number of at least 0, got "Infinity".'],
    [positiveInteger, '2.5', 'Expected a whole number of at least 1, got "2.5".'],
    [fractionBelowOne, '1', 'Expected a number of at least 0 and below 1, got "1".'],
    [risingIntegers, '3,2', 'Expected rising numbers such as 30,60, got "3,2".'],
  ] as const) {
    assert.throws(() => parse(text), { code: 'commander.invalidArgument', message });
  }
});

test('gives a run back as it was created', async () => {
  const run = await makeRun('same');
  assert.deepEqual(await openRun(run.path), run);
  assert.deepEqual(run.config, stored);
  assert.deepEqual(run.labels, ['cat', 'dog']);
  assert.equal(run.mean[5], 1.25);
  assert.deepEqual([run.samples.length, run.samples[53]], [54, 53]);
});

test('refuses a folder that holds a run unless told to replace it', async () => {
  const { path, last } = await makeRun('taken');
  await assert.rejects(checkFree(path, false), { name: 'UserError', message: /taken: holds a run already; --resume/ });
  await checkFree(path, true);
  await checkFree(join(folder, 'free'), false);
  await writeFile(join(path, 'notes.txt'), 'mine');
  await makeRun('taken');
  assert.equal(await readFile(join(path, 'notes.txt'), 'utf8'), 'mine');
  await assert.rejects(readFile(join(last, 'model.json')));
});

test('says what is wrong with a folder without a run, a cut mean.bin and a cut config.json', async () => {
  await assert.rejects(openRun(join(folder, 'none')), {
    name: 'UserError',
    message: /none: holds no run \(no config.json\)/,
  });
  const { path } = await makeRun('cut');
  await truncate(join(path, 'mean.bin'), 40);
  await assert.rejects(openRun(path), {
    name: 'UserError',
    message: /mean.bin: expected 108 bytes \(float32 \[3, 3, 3\]\), got 40/,
  });
  await truncate(join(path, 'config.json'), 40);
  await assert.rejects(openRun(path), { name: 'UserError', message: /config.json: cannot be read as JSON/ });
});
