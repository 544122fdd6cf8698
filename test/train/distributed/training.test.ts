import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { random } from '../../../model/random.js';
import { writeFiles } from '../tiny-pictures.js';
import { type EndedJob, type Launcher, launch, launchers } from './launchers.js';

const CLI = fileURLToPath(new URL('../../../train/cli.js', import.meta.url));
const [openMpi, mpich] = launchers;
const BATCH = 32;

/** Grey pictures of noise, brighter by class, as idx files: `pictures` to train on, and 11 to validate on. */
function idxFiles(folder: string, pictures: number, seed = 'noise'): Record<string, Buffer> {
  const [rows, columns, classes] = [9, 7, 4];
  const set = (name: string, count: number) => {
    const stream = random(seed, name);
    const labels = Buffer.from(Uint8Array.from({ length: count }, (_, i) => i % classes));
    const pixels = Buffer.from(
      Uint8Array.from({ length: count * rows * columns }, (_, i) => {
        return stream.integer(90) + 40 * labels[Math.floor(i / (rows * columns))];
      }),
    );
    return {
      [join(folder, `${name}-images-idx3-ubyte`)]: Buffer.concat([header(0x803, count, rows, columns), pixels]),
      [join(folder, `${name}-labels-idx1-ubyte`)]: Buffer.concat([header(0x801, count), labels]),
    };
  };
  return { ...set('train', pictures), ...set('t10k', 11) };
}

function header(...words: number[]): Buffer {
  const bytes = Buffer.alloc(4 * words.length);
  words.forEach((word, i) => {
    bytes.writeUInt32BE(word, 4 * i);
  });
  return bytes;
}

/** 65 pictures: three steps of 32, 32 and 1 an epoch, so that some processes have none of the last; without dropout, since masks differ. */
const words = (out: string, epochs: number, ...more: string[]) =>
  [CLI, 'train', '--data', 'idx:data', '--model', 'cifar10-quick', '--lr', '0.001', '--batch', String(BATCH)].concat(
    ['--schedule', 'constant', '--epochs', String(epochs), '--out', out],
    more,
  );
const together = ['--distributed', 'mpi'];
const IN_PARTS = ['--micro-batch', '5', '--clip-norm', '0.5', '--class-weights', 'balanced', '--freeze', 'conv1'];

async function trained(launcher: Launcher, folder: string, size: number, out: string, ...more: string[]) {
  const ended = await launch(launcher, [{ size, folder, words: words(out, 4, ...together, ...more) }]);
  assert.equal(ended.code, 0, ended.stderr);
  return ended;
}

/** One process, without a launcher. */
const alone = (folder: string, out: string, epochs = 4, ...more: string[]) =>
  promisify(execFile)(process.execPath, words(out, epochs, ...more), { cwd: folder });

async function weights(run: string): Promise<Float32Array> {
  const names = await readdir(join(run, 'last'));
  const bytes = await readFile(join(run, 'last', names.find((name) => name.startsWith('weights-'))!));
  return new Float32Array(Uint8Array.from(bytes).buffer);
}

async function largestDifference(one: string, other: string): Promise<number> {
  const [expected, actual] = [await weights(one), await weights(other)];
  assert.equal(actual.length, expected.length);
  return expected.reduce((largest, value, i) => Math.max(largest, Math.abs(value - actual[i])), 0);
}

const lines = async (run: string): Promise<{ epoch: number; step: number; val_loss?: number; loss: number }[]> =>
  (await readFile(join(run, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

/** Trained by one process, once for all tests. */
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-mpi-'));
  await mkdir(join(folder, 'data'));
  for (const [path, bytes] of Object.entries(idxFiles('data', 65))) await writeFile(join(folder, path), bytes);
  if (launchers.every(({ skip }) => skip)) return;
  await alone(folder, 'one');
  await alone(folder, 'one in parts', 4, ...IN_PARTS);
});
after(() => rm(folder, { recursive: true }));

for (const { launcher, size, like, more } of [
  { launcher: openMpi, size: 2, like: 'one', more: [] },
  { launcher: openMpi, size: 3, like: 'one in parts', more: IN_PARTS },
  { launcher: mpich, size: 2, like: 'one', more: [] },
]) {
  const title = `${launcher.library}: ${size} processes learn what ${like} learns from the same batches`;
  test(title, { skip: launcher.skip }, async () => {
    const [one, several] = [join(folder, like), join(folder, `${launcher.library} ${size}`)];
    const { stdout } = await trained(launcher, folder, size, several, ...more);
    assert.equal(stdout.trim().split('\n').length, 2, 'one process speaks');
    // 12 steps of float32 sums in another order.
    assert.ok((await largestDifference(one, several)) < 1e-5);
    const [expected, actual] = [await lines(one), await lines(several)];
    assert.equal(actual.length, expected.length);
    for (const [i, line] of actual.entries()) {
      assert.deepEqual([line.epoch, line.step], [expected[i].epoch, expected[i].step]);
      assert.ok(Math.abs(line.loss - expected[i].loss) < 1e-5);
      // Steeper than the weights: a pool whose largest value is another one now.
      assert.ok(Math.abs((line.val_loss ?? 0) - (expected[i].val_loss ?? 0)) < 1e-4);
    }
  });
}

test('float16 gradients lead to nearly the same weights', { skip: openMpi.skip }, async () => {
  await trained(openMpi, folder, 2, 'halves', '--compress-gradients');
  const difference = await largestDifference(join(folder, 'one'), join(folder, 'halves'));
  assert.ok(difference > 1e-6, 'gradients were rounded');
  assert.ok(difference < 1e-3, `largest difference ${difference}`);
});

test('processes with other settings or data refuse to start', { skip: openMpi.skip }, async (context) => {
  const files = { ...idxFiles('a/data', 65), ...idxFiles('b/data', 65, 'other noise') };
  const folder = await writeFiles(context, files);
  const out = join(folder, 'run');
  const start = (other: { folder: string; words: string[] }) =>
    launch(openMpi, [
      { size: 1, folder: join(folder, 'a'), words: words(out, 1, ...together) },
      { size: 1, ...other },
    ]);
  const says = ({ code, stderr }: EndedJob, what: RegExp) => {
    assert.notEqual(code, 0);
    assert.match(stderr, what);
  };
  says(
    await start({ folder: join(folder, 'a'), words: words(out, 1, '--seed', '5', ...together) }),
    /the processes must be equal, and are not: settings: rank 0 has \{[^}]*\}, rank 1 \{.*"seed":5/,
  );
  says(
    await start({ folder: join(folder, 'b'), words: words(out, 1, ...together) }),
    /some pictures \(SHA-256\): rank 0 has/,
  );
  says(
    await start({ folder, words: words(out, 1, ...together) }),
    /alexnet train: rank 1 of 2: data\/train-images-idx3-ubyte\.gz: cannot be read/,
  );
});

test('more processes than a batch has pictures leave the run as it was', { skip: openMpi.skip }, async () => {
  const config = join(folder, 'one/config.json');
  const before = await readFile(config, 'utf8');
  const asked = words('one', 5, ...together, '--resume', '--force', '--batch', '2');
  const { code, stderr } = await launch(openMpi, [{ size: 3, folder, words: asked }]);
  assert.notEqual(code, 0);
  assert.match(stderr, /changed: .*batch was 32, now 2/);
  assert.match(stderr, /a batch of 2 pictures for 3 processes/);
  assert.equal(await readFile(config, 'utf8'), before);
});

test('a process that dies ends the job, which goes on with others', { skip: openMpi.skip }, async () => {
  let victim: number | undefined;
  const { code, stderr } = await launch(
    openMpi,
    [{ size: 2, folder, words: words('run', 400, ...together, '--checkpoint-minutes', '0.0001') }],
    (all) => {
      const [, pid] = /rank 1 is process (\d+)/.exec(all) ?? [];
      if (victim !== undefined || !/epoch 2\/400/.test(all)) return;
      victim = Number(pid);
      process.kill(victim, 'SIGKILL');
    },
  );
  assert.notEqual(code, 0);
  assert.match(stderr, /process rank 1 .*exited on signal 9/);
  assert.match(stderr, /step \d+: signalled, and waiting .*the last good checkpoint is run\/last/);

  const { epoch } = (await lines(join(folder, 'run'))).findLast(({ val_loss }) => val_loss !== undefined)!;
  const resumed = [{ size: 3, folder, words: words('run', epoch + 1, ...together, '--resume') }];
  const { code: resumedCode, stderr: resumedSays } = await launch(openMpi, resumed);
  assert.equal(resumedCode, 0, resumedSays);
  assert.match(resumedSays, /going on after step \d+/);
  await alone(folder, 'undisturbed', epoch + 1);
  assert.ok((await largestDifference(join(folder, 'undisturbed'), join(folder, 'run'))) < 1e-4);
});

test('a signal to one process makes all stop after the same step and save', { skip: openMpi.skip }, async () => {
  let signalled = false;
  const job = [{ size: 2, folder, words: words('stopped', 400, ...together) }];
  const { code, stderr } = await launch(openMpi, job, (all) => {
    if (signalled || !/epoch 2\/400/.test(all)) return;
    signalled = true;
    process.kill(Number(/rank 1 is process (\d+)/.exec(all)![1]), 'SIGTERM');
  });
  assert.equal(code, 143, stderr);
  const [, step] = /saved step (\d+); go on with: alexnet train --resume/.exec(stderr)!;
  const { stderr: resumedSays } = await launch(openMpi, [
    { size: 2, folder, words: words('stopped', 1 + Math.ceil(Number(step) / 3), ...together, '--resume') },
  ]);
  assert.match(resumedSays, new RegExp(`going on after step ${step}`));
});
