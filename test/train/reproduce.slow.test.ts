import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { alexnet, json } from '../real/command.js';
import { epochLines, type Row, words, writeTwoColours } from './two-colours.js';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-reproduce-'));
  await writeTwoColours(folder);
});
after(() => rm(folder, { recursive: true }));

test('races to a training error at rates found by a search', async () => {
  const out = join(folder, 'figure1');
  const { variants } = await json<{ variants: Row[] }>(
    ...words(folder, 'figure1', out, '--model', 'cifar10-quick', '--epochs', '12', '--budget', '1s'),
  );
  const plan = JSON.parse(await readFile(join(out, 'plan.json'), 'utf8'));
  for (const { name, settings } of plan.variants) {
    const losses = Object.entries(plan.search[name] as Record<string, number | null>);
    assert.equal(losses.length, 5);
    const best = losses.reduce((a, b) => ((b[1] ?? Infinity) < (a[1] ?? Infinity) ? b : a));
    assert.equal(settings.learningRate, Number(best[0]));
  }
  for (const { variant, epochs, trainError, epochsToTarget } of variants) {
    const lines = await epochLines(join(out, variant));
    assert.ok(lines.slice(0, -1).every((line) => line.train_top1_error > 0.25));
    if (trainError > 0.25) assert.deepEqual([epochs, epochsToTarget], [12, null]);
    else assert.ok(epochsToTarget! > epochs - 1.5 && epochsToTarget! <= epochs - 0.5);
  }
  assert.ok(variants.some(({ trainError }) => trainError <= 0.25));
});

test('trains every variant of a race for an epoch at least, however short the time', async () => {
  const out = join(folder, 'short race');
  const short = ['figure1', out, '--model', 'cifar10-quick', '--budget', '0.01s'] as const;
  const { request, ...plan } = JSON.parse(await readFile(join(folder, 'figure1', 'plan.json'), 'utf8'));
  const { epochs: _, ...timed } = { ...request, budgetSeconds: 0.01 };
  await mkdir(out);
  await writeFile(join(out, 'plan.json'), JSON.stringify({ ...plan, request: timed }));
  const { variants } = await json<{ variants: Row[] }>(...words(folder, ...short));
  assert.deepEqual(
    variants.map(({ epochs }) => epochs),
    [1, 1],
  );
  const again = await json<{ variants: Row[] }>(...words(folder, ...short));
  assert.deepEqual(again.variants, variants); // their time was over
  const { code, stderr } = await alexnet(
    ...words(folder, 'figure1', out, '--model', 'cifar10-quick', '--budget', '60s'),
  );
  assert.equal(code, 1);
  assert.match(stderr, /holds an experiment with budgetSeconds 0\.01, not 60/);
});
