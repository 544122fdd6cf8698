import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from '../../../base/errors.js';
import type { Interrupt } from '../../../base/process/interrupt.js';
import { silentProgress } from '../../../base/progress.js';
import { classWeights } from '../../../train/data/batches/class-weights.js';
import { openRun } from '../../../train/run/run-folder.js';
import { startTraining } from '../../../train/start/start.js';
import { alexnet } from '../../real/shared-process.js';
import { type Files, plainPng, temporaryFolder, writeFiles } from './tiny-images.js';

const LABELS = ['ant', 'bee', 'hot dog'];
const CLASSES = Uint16Array.of(0, 1, 1, 0, 1, 2, 1, 1); // 2, 5 and 1 of 8

/** Mean over the training images. */
const meanOf = (weights: number[]) => CLASSES.reduce((sum, label) => sum + weights[label], 0) / CLASSES.length;

test('balances classes: each weighs as much as any other over all images', async () => {
  const weights = await classWeights('balanced', LABELS, CLASSES);
  assert.deepEqual(weights, [8 / 6, 8 / 15, 8 / 3]);
  assert.ok(Math.abs(meanOf(weights) - 1) < 1e-15);
});

test('takes weights by label from a file and brings their mean over the images to 1', async (t) => {
  const file = join(await temporaryFolder(t), 'weights.json');
  await writeFile(file, JSON.stringify({ 'hot dog': 6, ant: 3, bee: 0.5 }));
  const weights = await classWeights(file, LABELS, CLASSES);
  assert.ok(Math.abs(meanOf(weights) - 1) < 1e-15);
  assert.ok(Math.abs(weights[0] / weights[1] - 6) < 1e-12 && Math.abs(weights[2] / weights[0] - 2) < 1e-12);
});

test('says what is wrong with a file of weights', async (t) => {
  const file = join(await temporaryFolder(t), 'weights.json');
  const refuses = (pattern: RegExp) =>
    assert.rejects(classWeights(file, LABELS, CLASSES), (error: Error) => {
      assert.ok(error instanceof UserError, error.stack);
      assert.match(error.message, pattern);
      return true;
    });
  await refuses(/--class-weights .*weights\.json: cannot be read \(ENOENT\); expected balanced or a JSON file/);
  for (const [text, pattern] of [
    ['{"ant":1', /weights\.json: not JSON: /],
    ['[1,2,3]', /weights\.json: expected an object of weights by label, as \{"ant": 2, …\}/],
    ['{"ant":1,"bee":1,"hot dog":1,"hotdog":1,"cat":2}', /not labels of the data set: hotdog, cat$/],
    ['{"ant":1,"hot dog":1}', /no weight for bee; every label needs one/],
    ['{"ant":1,"bee":0,"hot dog":1}', /bee: expected a number above 0, got 0/],
    ['{"ant":1,"bee":2,"hot dog":"3"}', /hot dog: expected a number above 0, got "3"/],
    ['{"ant":1,"bee":1e999,"hot dog":3}', /bee: expected a number above 0, got Infinity/],
  ] as [string, RegExp][]) {
    await writeFile(file, text);
    await refuses(pattern);
  }
});

/** 6 ants and 2 bees. */
async function images(): Promise<Files> {
  const files: Files = {};
  for (let n = 0; n < 8; n++) {
    const bytes = await plainPng(20 * n, 200 - 10 * n, 90);
    files[`train/${n < 6 ? 'ant' : 'bee'}/${n}.png`] = bytes;
    files[`val/${n < 4 ? 'ant' : 'bee'}/${n}.png`] = bytes;
  }
  return files;
}

test('keeps the weights in config.json, resumes with them bit for bit, and refuses others', async (t) => {
  const [root, data] = [await temporaryFolder(t), await writeFiles(t, await images())];
  const train = (name: string, more: object, stopAt?: number) => {
    const interrupt: Interrupt = {};
    const step = ({ step: done }: { step: number }) => {
      if (done === stopAt) interrupt.signal = 'SIGINT';
    };
    const request = {
      data,
      model: 'cifar10-quick',
      settings: { epochs: 2, batch: 3 },
      backend: 'onnxruntime',
    } as const;
    const rest = { out: join(root, name), resume: false, force: false, checkpointMinutes: 5 };
    return startTraining({ ...request, ...rest, ...more }, { ...silentProgress, step }, interrupt);
  };
  const weightsOf = async (name: string) =>
    JSON.parse(await readFile(join(root, name, 'last', 'model.json'), 'utf8')).weightsManifest[0].paths;

  const plain = await train('plain', {});
  assert.equal(plain.run.config.classWeights, null);
  const whole = await train('whole', { classWeights: 'balanced' });
  assert.deepEqual((await openRun(join(root, 'whole'))).config.classWeights, [8 / 12, 8 / 4]);
  assert.deepEqual(whole.delegated, {});
  assert.notDeepEqual(await weightsOf('whole'), await weightsOf('plain')); // files of weights are named by their hash

  const first = await train('stopped', { classWeights: 'balanced' }, 2);
  assert.deepEqual([first.interruptedBy, first.state.step], ['SIGINT', 2]);
  const file = join(root, 'weights.json');
  await writeFile(file, '{"ant":1,"bee":2}');
  await assert.rejects(
    train('stopped', { classWeights: file, resume: true }),
    /stopped: cannot resume with other settings: classWeights was \[0\.66.*,2\], now \[0\.8,1\.6\]/,
  );
  await writeFile(file, '{"ant":5,"bee":15}'); // the same as balanced
  await train('stopped', { classWeights: file, resume: true });
  assert.deepEqual(await weightsOf('stopped'), await weightsOf('whole'));
});

test('takes --class-weights on the command line', async (t) => {
  const [root, data] = [await temporaryFolder(t), await writeFiles(t, await images())];
  const words = [
    '--data',
    data,
    '--model',
    'cifar10-quick',
    '--epochs',
    '1',
    '--batch',
    '8',
    '--out',
    join(root, 'run'),
  ];
  const { code, stderr } = await alexnet('train', ...words, '--class-weights', 'balanced', '--verbose');
  assert.equal(code, 0, stderr);
  assert.match(stderr, /\n {2}classWeights \[0\.66\d*,2\]\n/);
});
