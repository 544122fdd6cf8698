import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { findNetwork } from '../../model/registry.js';
import { EXPERIMENTS } from '../../train/reproduce/experiments.js';
import { describeOutcome, type Outcome, readOutcome } from '../../train/reproduce/outcome.js';
import type { Run } from '../../train/run/run-folder.js';
import { alexnet, alexnetIn, json } from '../real/shared-process.js';
import { epochLines, type Row, words, writeTwoColours } from './two-colours.js';

let folder: string;
let data: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-reproduce-'));
  data = join(folder, 'data');
  await writeTwoColours(folder);
});
after(() => rm(folder, { recursive: true }));

test('trains both variants for as many epochs, tabulates their metrics, and continues where it stopped', async () => {
  const out = join(folder, 'overlap');
  const { variants } = await json<{ variants: Row[] }>(...words(folder, 'overlap', out, '--epochs', '2'));
  assert.deepEqual(
    variants.map(({ variant, model, epochs }) => [variant, model, epochs]),
    [
      ['overlapping', 'cifar10-18pct', 2],
      ['side-by-side', 'cifar10-18pct.pool2', 2],
    ],
  );
  for (const { variant, trainError, testError } of variants) {
    const lines = await epochLines(join(out, variant));
    assert.equal(lines.length, 2);
    assert.deepEqual([trainError, testError], [lines[1].train_top1_error, lines[1].val_top1_error]);
  }
  const configs = await Promise.all(
    variants.map(async ({ variant }) => JSON.parse(await readFile(join(out, variant, 'config.json'), 'utf8')).config),
  );
  const [{ model: _a, ...one }, { model: _b, ...other }] = configs;
  assert.deepEqual(one, other); // they differ in the network alone
  const table = await readFile(join(out, 'table.md'), 'utf8');
  assert.match(table, /\| side-by-side \| `cifar10-18pct\.pool2` \|/);
  assert.match(table, /Paper: §3\.4/);
  assert.match(await readFile(join(out, 'plot.svg'), 'utf8'), /^<svg/);

  await rm(join(out, 'result.json'));
  await rm(join(out, 'side-by-side'), { recursive: true }); // as if it had been stopped between the two
  const relative = words(folder, 'overlap', out, '--epochs', '2').map((word) => (word === data ? 'data' : word));
  // the same data set, named from another folder
  const resumed = await alexnetIn(folder, ...relative, '--json');
  assert.equal(resumed.code, 0, resumed.stderr);
  const again: { variants: Row[] } = JSON.parse(resumed.stdout);
  assert.deepEqual(
    again.variants.map(({ curve }) => curve),
    variants.map(({ curve }) => curve),
  );
  assert.ok(existsSync(join(out, 'result.json')));
  const { code, stderr } = await alexnet(...words(folder, 'overlap', out, '--epochs', '2', '--seed', '5'));
  assert.equal(code, 1);
  assert.match(stderr, /holds an experiment with seed 0, not 5/);
});

test('says which variant diverged, and compares the others', () => {
  const outcome = (variant: string, testError: number, diverged = false): Outcome => ({
    variant,
    model: 'm',
    learningRate: 0.1,
    epochs: 7,
    diverged,
    trainError: 0.2,
    testError,
    testImages: 900,
    seconds: 61,
    curve: [],
  });
  const text = describeOutcome(EXPERIMENTS.momentum, [outcome('a', 0.3), outcome('b', 0.9, true), outcome('c', 0.34)]);
  assert.match(text, /\| b \| `m` \| 0\.1 \| 7 \| diverged \| diverged \| 1:01 \|/);
  assert.match(text, /Here: c 4\.00 points worse than a, b diverged in epoch 8 \(test error/);
});

test('interpolates the epoch at which a training error is reached', async () => {
  const path = join(folder, 'curve');
  await mkdir(path);
  const errors = [0.9, 0.4, 0.2, 0.3];
  const lines = errors.map((error, i) => ({
    step: i,
    epoch: i + 1,
    train_top1_error: error,
    val_top1_error: error + 0.05,
    images_per_second: 50,
  }));
  const between = { step: 1, epoch: 1, loss: 2 };
  await writeFile(join(path, 'metrics.jsonl'), [between, ...lines].map((line) => `${JSON.stringify(line)}\n`).join(''));
  const run = { path, config: { learningRate: 0.01 }, pictures: { train: 100, val: 9 } } as unknown as Run;
  const variant = { name: 'x', model: 'y', settings: {} };
  // Half way down from 0.4, the mean of epoch 2 and so its middle 1.5, to 0.2, that of 2.5.
  const outcome = await readOutcome(variant, run, 0.3, {});
  assert.ok(Math.abs(outcome.epochsToTarget! - 2) < 1e-9);
  assert.equal((await readOutcome(variant, run, 0.1, {})).epochsToTarget, null);
  assert.equal((await readOutcome(variant, run, 0.95, {})).epochsToTarget, 0.5);
  assert.equal(outcome.seconds, 8);
  assert.deepEqual([outcome.trainError, outcome.testError, outcome.epochs], [0.3, 0.35, 4]);
});

test('varies any network in one thing', () => {
  const models = (name: string, base: string) =>
    EXPERIMENTS[name].variants(findNetwork(base)).map(({ model }) => model);
  assert.deepEqual(models('lrn', 'alexnet'), ['alexnet', 'alexnet.no-norm1.no-norm2']);
  assert.deepEqual(models('dropout', 'alexnet'), ['alexnet', 'alexnet.no-drop6.no-drop7']);
  assert.deepEqual(models('dropout', 'cifar10-quick'), ['cifar10-quick.dropout', 'cifar10-quick']);
  assert.deepEqual(
    models('depth', 'alexnet').slice(1),
    [2, 3, 4, 5].map((i) => `alexnet.no-conv${i}`),
  );
  for (const [name, { model, variants }] of Object.entries(EXPERIMENTS)) {
    const all = variants(findNetwork(model)).map((variant) =>
      JSON.stringify([findNetwork(variant.model), variant.settings]),
    );
    assert.equal(new Set(all).size, all.length, `${name} has two equal variants`);
  }
});

test('says what it needs', async () => {
  const refused = async (code: number, message: RegExp, ...given: string[]) => {
    const ended = await alexnet('reproduce', ...given);
    assert.equal(ended.code, code, ended.stderr);
    assert.match(ended.stderr, message);
  };
  await refused(1, /unknown experiment "figure2"; did you mean figure1\?/, 'figure2', '--data', data);
  await refused(2, /--data DATA is missing/, 'lrn');
  await refused(2, /Expected a time such as 90s, 30m or 2h, got "soon"/, 'lrn', '--data', data, '--budget', 'soon');
  const tight = ['overlap', '--data', data, '--out', join(folder, 'tight'), '--budget', '0.001s'];
  await refused(1, /one epoch of all 2 variants takes 0:0\d here/, ...tight);
});
