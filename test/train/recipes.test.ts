/** `alexnet train --recipe`: values against the files they are from, and what a person sees of them. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { UsageError } from '../../base/errors.js';
import { ALEXNET } from '../../model/alexnet.js';
import { NETWORKS } from '../../model/registry.js';
import type { NetworkName } from '../../model/spec.js';
import { learningRateAt, startSchedule } from '../../train/schedule.js';
import { RECIPES, type RecipeName, resolveSettings } from '../../train/settings/config.js';
import { publishedRecipe } from '../../train/settings/recipes.js';
import { alexnet } from '../real/shared-process.js';

const PAPER = resolveSettings(ALEXNET.recipe, {});

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-recipes-'));
  for (const path of ['train/cat', 'train/dog', 'val/cat', 'val/dog']) {
    await mkdir(join(folder, 'data', path), { recursive: true });
    const create = { width: 40, height: 36, channels: 3, background: path.endsWith('cat') ? 'red' : 'blue' } as const;
    for (const name of ['1.png', '2.png', '3.png']) await sharp({ create }).toFile(join(folder, 'data', path, name));
  }
});
after(() => rm(folder, { recursive: true }));

const of = (recipe: RecipeName, network: NetworkName) => {
  const spec = NETWORKS[network];
  return resolveSettings({ ...spec.recipe, ...publishedRecipe(recipe, spec).settings }, {});
};

test('paper is the recipe of alexnet, for every network', () => {
  for (const network of Object.keys(NETWORKS) as NetworkName[]) {
    assert.deepEqual(of('paper', network), { ...PAPER, lrn: network === 'alexnet' ? 'printed' : null });
  }
});

test('cuda-convnet reduces the rate at the epochs of the log of the authors’ 2010 run', () => {
  const settings = of('cuda-convnet', 'alexnet');
  const rates = [22, 23, 50, 51, 77, 78, 92].map((epoch) => learningRateAt(settings, startSchedule(), 7 * epoch, 7));
  rates.forEach((rate, i) => {
    const logged = [0.01, 0.001, 0.001, 0.0001, 0.0001, 0.00001, 0.00001][i];
    assert.ok(Math.abs(rate / logged - 1) < 1e-12, `expected ${logged}, got ${rate}`);
  });
  assert.equal(settings.epochs, 93);
  assert.deepEqual([settings.biasLearningRateFactor, settings.colourNoise, settings.lrn], [2, 0.1, 'code']);
});

test('caffe counts epochs as its solver counts iterations, without colour noise', () => {
  const settings = of('caffe', 'alexnet');
  const iterationsPerEpoch = 1_281_167 / settings.batch;
  assert.equal(settings.batch, 256);
  assert.equal(Math.round(450_000 / iterationsPerEpoch), settings.epochs);
  const stepSizes = settings.milestones.map((epoch) => (epoch * iterationsPerEpoch) / 100_000);
  stepSizes.forEach((steps, i) => {
    assert.ok(Math.abs(steps - (i + 1)) < 0.01, `milestone ${i} is after ${steps} times stepsize`);
  });
  assert.deepEqual([settings.colourNoise, settings.mirror, settings.randomCrop, settings.lrn], [0, true, true, 'code']);
  assert.equal(of('caffe', 'alexnet-torchvision').lrn, null); // has no normalisation to choose
});

test('the networks of CIFAR-10 take what was published for them', () => {
  const eighty = of('cuda-convnet', 'cifar10-quick');
  assert.deepEqual(
    [eighty.learningRate, eighty.batch, eighty.weightDecay, eighty.weightDecayByLayer, eighty.milestones],
    [0.001, 128, 0.004, { fc64: 0.03, fc10: 0.03 }, [8]],
  );
  const full = of('caffe', 'cifar10-18pct');
  const iterations = [...full.milestones, full.epochs].map((epoch) => (epoch * 50_000) / full.batch);
  assert.deepEqual(iterations, [60_000, 65_000, 70_000]); // max_iter of the three solvers
  assert.deepEqual(of('cuda-convnet', 'cifar10-11pct'), resolveSettings(NETWORKS['cifar10-11pct'].recipe, {}));
  assert.throws(
    () => of('caffe', 'cifar10-11pct'),
    (error: Error) => {
      assert.ok(error instanceof UsageError);
      assert.match(
        error.message,
        /^--recipe caffe: has no values for cifar10-11pct, only for cifar10-18pct, cifar10-quick/,
      );
      return true;
    },
  );
});

test('overrides the network’s recipe, is overridden by flags, is printed value by value and kept by name', async () => {
  const out = join(folder, 'run');
  const words = ['train', '--data', join(folder, 'data'), '--model', 'cifar10-quick', '--out', out];
  const flags = ['--recipe', 'cuda-convnet', '--batch', '4', '--epochs', '1'];
  const { code, stderr } = await alexnet(...words, ...flags);
  assert.equal(code, 0, stderr);
  const printed = stderr.slice(stderr.indexOf('recipe cuda-convnet: cuda-convnet layer-params-80sec.cfg'));
  for (const line of [
    'batch 128 (by its flag 4)',
    'epochs 10 (by its flag 1)',
    'learningRate 0.001',
    'milestones [8]',
  ]) {
    assert.ok(printed.includes(`\n  ${line}\n`), `${line} is not in:\n${printed}`);
  }
  const { config } = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'));
  assert.deepEqual(
    [config.recipe, config.batch, config.epochs, config.weightDecayByLayer],
    ['cuda-convnet', 4, 1, { fc64: 0.03, fc10: 0.03 }],
  );

  const other = await alexnet('train', '--resume', '--out', out, '--recipe', 'caffe');
  assert.equal(other.code, 1);
  assert.match(other.stderr, /cannot resume with other settings: recipe was "cuda-convnet", now "caffe"/);
  const unknown = await alexnet(...words, '--recipe', 'torchvision');
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, new RegExp(`Allowed choices are ${RECIPES.join(', ')}`));
});
