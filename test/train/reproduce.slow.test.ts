import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { json } from '../real/command.js';
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
