/** `alexnet train --freeze … --views N`: what frozen layers compute is kept. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import '../../../base/tfjs/backend-cpu.js';
import { tf } from '../../../base/tfjs/core.js';
import { buildNetwork } from '../../../model/network.js';
import { findNetwork } from '../../../model/registry.js';
import { cutNetwork, silenceFrozenDropout } from '../../../train/frozen/cut-network.js';
import { RowStore } from '../../../train/frozen/row-store.js';
import { loadCheckpoint } from '../../../train/run/load-checkpoint.js';
import { alexnet } from '../../real/shared-process.js';
import { weightsOf } from '../weights-of.js';
import { NETWORK, writeNoise, writeOrigin } from './origin.js';

const HEAD = ['--freeze', 'conv1..fc64'];

let folder: string;
let printed: { stdout: string; stderr: string };
const at = (...names: string[]) => join(folder, ...names);

const training = (out: string, ...words: string[]) => {
  const settings = ['--epochs', '3', '--batch', '8', '--schedule', 'constant', '--lr', '0.02', '--seed', '5'];
  return ['train', '--data', at('data'), '--from', at('origin'), '--out', at(out), ...settings, ...words];
};

/** In one process, which loads modules once. */
const RUN = `
const { runCommand } = await import(process.argv[1]);
for (const words of JSON.parse(process.argv[2])) {
  await runCommand(words);
  if (process.exitCode) throw new Error(words.join(' '));
}
`;

/** @returns stdout and stderr */
async function inOneProcess(commands: string[][]): Promise<{ stdout: string; stderr: string }> {
  const module = new URL('../../../cli/commands.js', import.meta.url).href;
  return promisify(execFile)(process.execPath, ['--input-type=module', '-e', RUN, module, JSON.stringify(commands)]);
}

const stateOf = async (run: string, which = 'last') => (await loadCheckpoint(at(run, which))).state;
const weights = async (run: string) => weightsOf((await loadCheckpoint(at(run, 'last'))).model);
const configOf = async (run: string) => JSON.parse(await readFile(at(run, 'config.json'), 'utf8')).config;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-frozen-'));
  await tf.setBackend('cpu');
  await writeNoise(at('data', 'train'), 10);
  await writeNoise(at('data', 'val'), 5);
  await writeOrigin(at('origin'), 10);
  await writeOrigin(at('thousand'), 1000);
  const plain = [...HEAD, '--no-mirror', '--no-random-crop', '--colour-noise', '0'];
  const varied = [...HEAD, '--views', '3', '--mirror', '--colour-noise', '0.1'];
  const thousand = ['--from', at('thousand'), '--lr', '0.001', '--epochs', '1'];
  const short = ['train', '--data', at('data'), '--from', at('origin'), '--epochs', '1', '--batch', '8', ...HEAD];
  printed = await inOneProcess([
    training('kept', ...plain, '--views', '1'),
    training('recomputed', ...plain, '--views', '0'),
    training('long', ...HEAD, '--epochs', '12'),
    training('whole', ...varied, '--epochs', '4'),
    training('parts', ...varied, '--epochs', '2'),
    ['train', '--resume', '--out', at('parts'), '--epochs', '4'],
    training('streamed', ...varied, '--epochs', '4', '--stream'),
    training('few', ...thousand),
    training('all', ...thousand, '--freeze', 'none'),
    [...short, '--out', at('rate')],
    [...short, '--out', at('stated'), '--lr', '0.003'],
    ['find-lr', ...short.slice(1, 5), ...short.slice(7), '--steps', '20'],
    [...short, '--dry-run'],
    ['evaluate', '--run', at('long'), '--split', 'val', '--json'],
  ]);
});
after(() => rm(folder, { recursive: true }));

test('a last layer trained on kept features is the one trained on features computed at every step, dropout included', async () => {
  const [kept, recomputed, before] = [
    await weights('kept'),
    await weights('recomputed'),
    await weightsOf((await loadCheckpoint(at('origin', 'best'))).model),
  ];
  for (const [name, values] of recomputed) {
    if (name.startsWith('fc10')) {
      const moved = values.some((value) => value !== 0);
      assert.ok(moved, name);
      for (const [i, value] of values.entries()) assert.ok(Math.abs(value - kept.get(name)![i]) < 1e-6, name);
    } else assert.deepEqual(kept.get(name), before.get(name), name);
  }
  assert.deepEqual(
    (await stateOf('kept')).bestValidation?.top1Error,
    (await stateOf('recomputed')).bestValidation?.top1Error,
  );
});

test('the best epoch is saved as best, and evaluates to the error that was recorded', async () => {
  const [last, best] = [await stateOf('long'), await stateOf('long', 'best')];
  assert.equal(last.epoch, 12);
  assert.equal(best.epoch, last.bestValidation!.epoch);
  const { top1_error } = JSON.parse(printed.stdout.trim().split('\n').at(-1)!);
  assert.equal(top1_error, last.bestValidation!.top1Error);
});

test('a resumed run ends with the bits of one that was not interrupted, and so does one that streams its images', async () => {
  const whole = await weights('whole');
  assert.deepEqual(await weights('parts'), whole);
  assert.deepEqual(await weights('streamed'), whole);
});

test('few images of new classes train the last layer alone of a network of 1000 classes', async () => {
  assert.match(
    printed.stderr,
    /fewer than 200 images a class: conv1\.\.fc64 stay as they are and fc10 learns; --freeze none trains all/,
  );
  const { freeze, views } = await configOf('few');
  assert.deepEqual([freeze, views], [['conv1', 'conv2', 'conv3', 'fc64'], 2]);
  assert.deepEqual([(await configOf('all')).freeze, (await configOf('all')).views], [[], 0]);
});

test('the learning rate of a last layer alone is that of its inputs, if none is given', async () => {
  const { learningRate } = await configOf('rate');
  assert.notEqual(learningRate, findNetwork(NETWORK).recipe.learningRate);
  assert.equal((await configOf('stated')).learningRate, 0.003);
});

test('--views without a frozen layer at the start is refused with what to add', async () => {
  for (const freeze of [[], ['--freeze', 'conv2']]) {
    const { code, stderr } = await alexnet(...training('refused', ...freeze, '--views', '2'));
    assert.equal(code, 2);
    assert.match(
      stderr,
      /--views 2 keeps what frozen layers compute, and conv1 is not frozen; add e\.g\. --freeze conv1\.\.fc64/,
    );
  }
});

test('find-lr and --dry-run compute frozen layers once too', () => {
  assert.match(printed.stdout, /^it (diverges|does not diverge)/m);
  assert.match(printed.stdout, /for 1 epoch with validation/);
});

test('dropout between frozen layers is off, dropout after the last of them is not', () => {
  const fc = { type: 'fc', relu: true, stddev: 0.1, bias: 1 } as const;
  const rows = [
    { ...fc, name: 'fc1', units: 9 },
    { type: 'dropout', name: 'drop1', rate: 0.5 },
    { ...fc, name: 'fc2', units: 40 },
    { type: 'dropout', name: 'drop2', rate: 0.5 },
    { ...fc, name: 'fc3', units: 'classes' },
  ] as const;
  const model = buildNetwork({ ...findNetwork(NETWORK), rows: [...rows] }, { classes: 5, seed: 3 });
  const { frozen, head } = cutNetwork(model, ['fc1', 'fc2'])!;
  assert.deepEqual(
    [frozen, head].map(({ outputs }) => outputs[0].shape),
    [
      [null, 40],
      [null, 5],
    ],
  );
  const image = tf.ones([1, 32, 32, 3]);
  const run = (network: typeof model, x: tf.Tensor) => (network.apply(x, { training: true }) as tf.Tensor).dataSync();
  const differs = (network: typeof model, x: tf.Tensor) => {
    const first = run(network, x);
    return String(run(network, x)) !== String(first);
  };
  assert.equal(differs(frozen, image), true);
  silenceFrozenDropout(model, ['fc1', 'fc2']);
  assert.equal(differs(frozen, image), false);
  assert.equal(differs(head, tf.ones([1, 40])), true);
  silenceFrozenDropout(model, []);
  assert.equal(differs(frozen, image), true);
});

test('rows come back from a file as from memory', () => {
  for (const room of ['memory', 'disk'] as const) {
    process.env.ALEXNET_CACHE = folder;
    const store = new RowStore(room, 3);
    const out = new Float32Array(3);
    store.set(2, Float32Array.of(7, 8, 9));
    store.set(0, Float32Array.of(1, 2, 3));
    store.read(2, out);
    assert.deepEqual([...out], [7, 8, 9], room);
    store.read(0, out);
    assert.deepEqual([...out], [1, 2, 3], room);
    store.dispose();
  }
});
