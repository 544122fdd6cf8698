/** `alexnet train --resume` with other settings: refused, and with `--force` continued. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { ALEXNET } from '../../model/alexnet.js';
import { endedEarly } from '../../train/early-end.js';
import { readMetrics } from '../../train/metrics/metrics-file.js';
import { betterOf, startState } from '../../train/run/checkpoint.js';
import { afterChanges, changesOf, checkChanges } from '../../train/settings/changed-settings.js';
import { resolveSettings, type TrainConfig } from '../../train/settings/config.js';
import { alexnet } from '../real/shared-process.js';

const PAPER = resolveSettings(ALEXNET.recipe, {});

const stored: TrainConfig = { data: 'pictures.tar', model: 'alexnet', ...PAPER, batch: 64, seed: 3 };
const check = (wanted: Partial<TrainConfig>, force = false, config = stored) =>
  checkChanges('RUN', config, changesOf(config, wanted), force);

test('refuses to resume under other settings and names each', () => {
  assert.throws(() => check({ batch: 32, learningRate: 0.001, seed: 3 }), {
    name: 'UserError',
    message:
      'RUN: cannot resume with other settings: batch was 64, now 32; learningRate was 0.01, now 0.001. Leave those flags out to continue ' +
      'as before, add --force to continue under the new ones, or start a new run with another --out',
  });
});

test('resumes with the same settings, with none, and with more epochs except under cosine', () => {
  check({});
  check({ batch: 64, data: 'pictures.tar', model: undefined, epochs: 120 });
  assert.throws(() => check({ epochs: 120 }, false, { ...stored, schedule: 'cosine' }), {
    message: /epochs was 90, now 120/,
  });
});

test('takes a setting that an earlier version did not have as its default', () => {
  const { earlyStop: _, freeze: __, ...old } = stored;
  assert.deepEqual(changesOf(old as TrainConfig, { freeze: [], earlyStop: 3 }), { earlyStop: { from: null, to: 3 } });
});

test('lets no force change what the weights belong to', () => {
  check({ batch: 32, learningRate: 0.001 }, true);
  assert.throws(() => check({ batch: 32, model: 'caffenet', lrn: 'code' }, true), {
    message:
      'RUN: cannot resume with other settings, even with --force: model was "alexnet", now "caffenet"; lrn was null, now "code". ' +
      'Leave those flags out to continue as before, or start a new run with another --out',
  });
});

test('restarts the schedule or the epoch after changes that the checkpoint has not seen, and not after others', () => {
  const schedule = { best: 0.5, epochsSinceBest: 2, reductions: 1, ended: true };
  const state = { ...startState(), step: 25, epoch: 3, position: 4, lossSum: 9, rightSum: 7, schedule };
  const change = (step: number, epoch: number, ...keys: string[]) => ({
    step,
    epoch,
    time: '2012-12-03T00:00:00Z',
    changes: Object.fromEntries(keys.map((key) => [key, { from: 1, to: 2 }])),
  });
  const restarted = { best: 0.5, epochsSinceBest: 0, reductions: 0, ended: false, waitingSince: 3 };
  assert.deepEqual(afterChanges(state, [change(25, 3, 'learningRate', 'mirror')]), { ...state, schedule: restarted });
  const zeroed = { position: 0, lossSum: 0, rightSum: 0 };
  assert.deepEqual(afterChanges(state, [change(25, 3, 'batch')]), { ...state, ...zeroed });
  // an older checkpoint put in place
  assert.deepEqual(afterChanges(state, [change(31, 4, 'batch')]), { ...state, ...zeroed });
  assert.deepEqual(afterChanges(state, [change(24, 3, 'batch'), change(25, 2, 'learningRate')]), state);
  assert.deepEqual(afterChanges(state, undefined), state);
  assert.deepEqual(afterChanges(state, [change(25, 3, 'pictures')]), { ...state, ...zeroed });
  const patient = { ...state, schedule: { ...restarted, reductions: 1 } };
  assert.deepEqual(afterChanges(state, [change(25, 3, 'patience')]), patient);
  const judged = { ...state, bestValidation: { epoch: 2, loss: 1, top1Error: 0.5, top5Error: 0 } };
  assert.deepEqual(afterChanges(judged, [change(25, 3, 'validationPictures')]), {
    ...judged,
    bestValidation: null,
    schedule: { ...restarted, best: null, reductions: 1 },
  });
});

test('a lower loss at the same error is better, and an early stop waits for a lower error all the same', () => {
  const of = (epoch: number, top1Error: number, loss: number) => ({ epoch, loss, top1Error, top5Error: 0 });
  const first = of(2, 0.5, 1);
  assert.equal(betterOf(first, of(3, 0.5, 1)), first);
  assert.equal(betterOf(first, of(3, 0.6, 0.1)), first);
  const second = betterOf(betterOf(first, of(3, 0.5, 0.9)), of(4, 0.5, 0.8));
  assert.deepEqual(second, { ...of(4, 0.5, 0.8), since: 2 });
  const schedule = { best: 0.5, epochsSinceBest: 0, reductions: 0, ended: false };
  assert.match(endedEarly({ earlyStop: 3 }, { epoch: 5, bestValidation: second, schedule }) ?? '', /for 3 epochs/);
  assert.deepEqual(betterOf(second, of(6, 0.4, 2)), of(6, 0.4, 2));
});

test('waits for a better error from the change of a rate on', () => {
  const best = { epoch: 2, loss: 1, top1Error: 0.5, top5Error: 0 };
  const schedule = { best: 0.5, epochsSinceBest: 0, reductions: 0, ended: false };
  const ended = (epoch: number, waitingSince?: number) =>
    endedEarly({ earlyStop: 3 }, { epoch, bestValidation: best, schedule: { ...schedule, waitingSince } });
  assert.match(ended(5) ?? '', /not improved for 3 epochs/);
  assert.equal(ended(7, 5), undefined);
  assert.match(ended(8, 5) ?? '', /not improved for 3 epochs/);
});

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-changed-'));
  for (const [data, classes] of Object.entries({
    two: ['red', 'blue'],
    moved: ['red', 'blue'],
    other: ['red', 'lime'],
  })) {
    for (const path of classes.flatMap((name) => [`train/${name}`, `val/${name}`])) {
      await mkdir(join(folder, data, path), { recursive: true });
      const create = { width: 40, height: 36, channels: 3, background: path.split('/')[1] } as const;
      const count = data === 'moved' ? 5 : 4; // images were added
      for (let i = 0; i < count; i++)
        await sharp({ create })
          .png()
          .toFile(join(folder, data, path, `${i}.png`));
    }
  }
});
after(() => rm(folder, { recursive: true }));

test('continues under other settings when forced, says each, and keeps them in config.json and metrics.jsonl', async () => {
  const out = join(folder, 'run');
  const words = ['train', '--out', out, '--backend', 'onnxruntime'];
  const first = ['--data', join(folder, 'two'), '--model', 'cifar10-quick', '--batch', '4'];
  const began = await alexnet(...words, ...first, '--milestones', '3,9', '--epochs', '4', '--freeze', 'conv1');
  assert.equal(began.code, 0, began.stderr);

  const flags = [
    '--batch',
    '3',
    '--data',
    join(folder, 'moved'),
    '--freeze',
    'conv2',
    '--epochs',
    '6',
    '--colour-noise',
    '0.1',
  ];
  const refused = await alexnet(...words, '--resume', ...flags);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /cannot resume with other settings: data was ".*", now ".*"; batch was 4, now 3; freeze was/,
  );
  const otherClasses = await alexnet(...words, '--resume', '--force', '--data', join(folder, 'other'));
  assert.equal(otherClasses.code, 1);
  assert.match(otherClasses.stderr, /other: not the data set that .* was trained on: .*; labels must be equal too/);

  const forced = await alexnet(...words, '--resume', '--force', ...flags);
  assert.equal(forced.code, 0, forced.stderr);
  for (const line of [
    'batch was 4, now 3',
    'freeze was ["conv1"], now ["conv2"]',
    'pictures was {"train":8,"val":8}, now {"train":10,"val":10}',
    'validationPictures was "',
  ]) {
    assert.ok(forced.stderr.includes(`\nchanged: ${line}`), `${line} is not in:\n${forced.stderr}`);
  }
  const { config, history, pictures: images, colours } = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'));
  assert.deepEqual([config.batch, config.epochs, config.freeze, images.train], [3, 6, ['conv2'], 10]);
  assert.equal(colours.eigenvalues.length, 3);
  assert.equal(history.length, 1);
  const keys = ['data', 'epochs', 'batch', 'colourNoise', 'freeze', 'pictures', 'validationPictures'];
  assert.deepEqual([history[0].step, history[0].epoch, Object.keys(history[0].changes).sort()], [8, 4, keys.sort()]);

  const lines = (await readFile(join(out, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const changed = lines.filter((line) => line.changed);
  assert.deepEqual([changed.length, changed[0].step, changed[0].changed.batch], [1, 8, { from: 4, to: 3 }]);
  const figures = await readMetrics({ path: out });
  assert.deepEqual(
    figures.filter((line) => line.val_loss !== undefined).map(({ step }) => step),
    [2, 4, 6, 8, 12, 16], // two updates of 4 images an epoch, then four of 3
  );

  const tenth = figures.find((line) => line.step === 10)!;
  // in the fifth epoch, after the milestone; 10 / 4 steps are 2.5
  assert.ok(Math.abs(tenth.lr - 1e-4) < 1e-12, `${tenth.lr}`);

  const again = await alexnet(...words, '--resume', '--batch', '3');
  assert.equal(again.code, 0, again.stderr);
  assert.equal(JSON.parse(await readFile(join(out, 'config.json'), 'utf8')).history.length, 1);

  await rm(join(out, 'last'), { recursive: true });
  const fromBest = await alexnet(...words, '--resume');
  assert.equal(fromBest.code, 0, fromBest.stderr);
  assert.match(fromBest.stderr, /run\/last holds no checkpoint: continuing from .*run\/best\n/);
  assert.match(fromBest.stderr, /continuing after step 12\n|has finished its 6 epochs/); // since other validation images are judged by

  const best = join(out, 'best');
  assert.equal((await alexnet(...words, '--resume', '--epochs', '7')).code, 0);
  for (const [epochs, kind] of [
    ['8', 'model.json'],
    ['9', 'weights'],
  ]) {
    const cut = (await readdir(best)).find((name) => name.startsWith(kind))!;
    await truncate(join(best, cut), 300);
    const resumed = await alexnet(...words, '--resume', '--epochs', epochs);
    assert.equal(resumed.code, 0, resumed.stderr);
    assert.match(
      resumed.stderr,
      /^warning: .*best\/\S+: .*cut short.*; going on from last\/, and the best epoch from now/m,
    );
    const evaluated = await alexnet('evaluate', '--run', out, '--checkpoint', 'best');
    assert.equal(evaluated.code, 0, evaluated.stderr);
  }
});
