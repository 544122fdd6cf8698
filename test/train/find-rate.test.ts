/** `alexnet find-lr`: what it concludes from losses, and the command as a person runs it. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { random } from '../../base/random.js';
import { type RateCurve, rateCurve } from '../../train/measure/rate-curve.js';
import { alexnet, json } from '../real/shared-process.js';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-find-lr-'));
  for (const path of ['train/cat', 'train/dog', 'val/cat', 'val/dog']) {
    await mkdir(join(folder, path), { recursive: true });
    const create = { width: 40, height: 36, channels: 3, background: path.endsWith('cat') ? 'red' : 'blue' } as const;
    for (const name of ['1.png', '2.png', '3.png']) await sharp({ create }).toFile(join(folder, path, name));
  }
});
after(() => rm(folder, { recursive: true }));

/** Losses over 101 rates from 1e-6 to 1, so 0.06 of a power of ten apart, with some noise. */
function curve(loss: (log10Rate: number) => number): RateCurve {
  const stream = random('noise');
  const points = Array.from({ length: 101 }, (_, i) => ({
    learningRate: 10 ** (-6 + 0.06 * i),
    loss: loss(-6 + 0.06 * i) + 0.02 * stream.normal(),
  }));
  return rateCurve(points);
}

/** Both ends as powers of ten. */
function between(low: number, rate: number | null, high: number): void {
  const power = Math.log10(rate ?? Number.NaN);
  assert.ok(power >= low && power <= high, `expected a rate of 1e${low} to 1e${high}, got 1e${power.toFixed(2)}`);
}

test('suggests the rate of the steepest fall and says from where on the loss is worse than at the start', () => {
  const fall = (x: number) => 2.3 - 1.5 / (1 + Math.exp(-6 * (x + 2.4))); // steepest at 10^-2.4, flat from 10^-1.6 on
  const { steepest, lowest, divergence } = curve((x) => fall(x) + (x > -0.8 ? 40 * (x + 0.8) : 0));
  between(-2.6, steepest, -2.2);
  between(-2, lowest, -0.8);
  between(-1.1, divergence, -0.6);
});

test('is not misled by an explosion of the loss right after the fall', () => {
  const { steepest, divergence } = curve((x) => (x < -2 ? 2.3 - Math.max(0, x + 3.2) : 20_000));
  between(-3.2, steepest, -2.2);
  between(-2.2, divergence, -1.9);
});

test('suggests nothing if the loss only wanders, and knows no divergence if there is none', () => {
  const flat = curve(() => 2.3);
  assert.deepEqual([flat.steepest, flat.divergence], [null, null]);
  const falling = curve((x) => (x < -1 ? 2.3 : 2.3 - (x + 1)));
  between(-1, falling.steepest, 0);
  assert.equal(falling.divergence, null);
});

test('takes the rate of a loss that is NaN as where it diverges', () => {
  const points = [0.1, 0.2, 0.4, 0.8].map((learningRate) => ({ learningRate, loss: 3 - learningRate }));
  const { divergence, points: kept } = rateCurve([...points, { learningRate: 1.6, loss: Number.NaN }]);
  assert.equal(divergence, 1.6);
  assert.equal(kept.length, 4);
});

interface Found {
  model: string;
  batch: number;
  steps: number;
  suggested_lr: number;
  steepest_lr: number;
  divergence_lr: number | null;
  points: { lr: number; loss: number; smoothed_loss: number }[];
}

test('raises the rate exponentially from the first to the last, over several epochs, and keeps nothing but the plot', async () => {
  const plot = join(folder, 'rates.svg');
  const words = ['find-lr', '--data', folder, '--model', 'cifar10-quick', '--batch', '3', '--backend', 'onnxruntime'];
  const rates = ['--min-rate', '1e-5', '--max-rate', '0.1', '--steps', '31', '--plot', plot];
  const found = await json<Found>(...words, ...rates);
  assert.deepEqual([found.model, found.batch, found.points.length], ['cifar10-quick', 3, found.steps]);
  assert.ok(found.steps > 15 && found.steps <= 31);
  assert.ok(Math.abs(found.points[0].loss - Math.LN2) < 0.01, `first loss ${found.points[0].loss}`);
  found.points.forEach(({ lr }, i) => {
    assert.ok(Math.abs(Math.log10(lr) - (-5 + (4 / 30) * i)) < 1e-9, `rate ${i} is ${lr}`);
  });
  assert.ok(found.suggested_lr > 1e-5 && found.suggested_lr < 0.1);
  assert.equal(found.suggested_lr, Number(found.steepest_lr.toPrecision(2)));
  assert.match(await readFile(plot, 'utf8'), /<svg.*cifar10-quick on .*learning rate.*<\/svg>/s);
  assert.deepEqual((await readdir(folder)).sort(), ['rates.svg', 'train', 'val']);
});

test('prints a table and a suggestion for people, and refuses what cannot work', async () => {
  const words = ['find-lr', '--data', folder, '--model', 'cifar10-quick', '--batch', '6', '--backend', 'onnxruntime'];
  const { code, stdout, stderr } = await alexnet(...words, '--steps', '20');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^ +rate +loss +smoothed\n +1\.00e-6 +0\.69\d\d +0\.69\d\d\n/);
  assert.match(
    stdout,
    /the loss falls most steeply at [\d.e-]+ and is lowest at [\d.e-]+\n.*\nsuggested: --lr [\d.e-]+\n$/,
  );
  for (const [flags, says] of [
    [['--min-rate', '0.1', '--max-rate', '0.01'], /--min-rate 0\.1 must be below --max-rate 0\.01/],
    [['--steps', '9'], /--steps 9: expected at least 20/],
  ] as const) {
    const refused = await alexnet(...words, ...flags);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, says);
  }
  assert.equal((await alexnet('find-lr', '--data', folder)).code, 2);
});
