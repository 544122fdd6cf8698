/** Runs of a small network by one process and by several, for tests of distributed training. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { random } from '../../../base/random.js';
import { type Launcher, launch, launchers } from './launchers.js';

const CLI = fileURLToPath(new URL('../../../cli/main.js', import.meta.url));
export const [openMpi, mpich] = launchers;
const BATCH = 32;

/** Grey images of noise, brighter by class, as idx files: `images` to train on, and 11 to validate on. */
export function idxFiles(folder: string, images: number, seed = 'noise'): Record<string, Buffer> {
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
  return { ...set('train', images), ...set('t10k', 11) };
}

function header(...words: number[]): Buffer {
  const bytes = Buffer.alloc(4 * words.length);
  words.forEach((word, i) => {
    bytes.writeUInt32BE(word, 4 * i);
  });
  return bytes;
}

/**
 * 65 images: three steps of 32, 32 and 1 an epoch, so that some processes have none of the last; without dropout, since
 * masks differ.
 */
export const words = (out: string, epochs: number, ...more: string[]) =>
  [CLI, 'train', '--data', 'idx:data', '--model', 'cifar10-quick', '--lr', '0.001', '--batch', String(BATCH)].concat(
    ['--schedule', 'constant', '--epochs', String(epochs), '--out', out],
    more,
  );
export const together = ['--distributed', 'mpi'];
export const IN_PARTS = [
  '--micro-batch',
  '5',
  '--clip-norm',
  '0.5',
  '--class-weights',
  'balanced',
  '--freeze',
  'conv1',
];

export async function trained(launcher: Launcher, folder: string, size: number, out: string, ...more: string[]) {
  const ended = await launch(launcher, [{ size, folder, words: words(out, 4, ...together, ...more) }]);
  assert.equal(ended.code, 0, ended.stderr);
  return ended;
}

/** One process, without a launcher. */
export const alone = (folder: string, out: string, epochs = 4, ...more: string[]) =>
  promisify(execFile)(process.execPath, words(out, epochs, ...more), { cwd: folder });

async function weights(run: string): Promise<Float32Array> {
  const names = await readdir(join(run, 'last'));
  const bytes = await readFile(join(run, 'last', names.find((name) => name.startsWith('weights-'))!));
  return new Float32Array(Uint8Array.from(bytes).buffer);
}

export async function largestDifference(one: string, other: string): Promise<number> {
  const [expected, actual] = [await weights(one), await weights(other)];
  assert.equal(actual.length, expected.length);
  return expected.reduce((largest, value, i) => Math.max(largest, Math.abs(value - actual[i])), 0);
}

export const lines = async (run: string): Promise<{ epoch: number; step: number; val_loss?: number; loss: number }[]> =>
  (await readFile(join(run, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

/** A folder with the images of these runs. */
export async function runFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'alexnet-mpi-'));
  await mkdir(join(folder, 'data'));
  for (const [path, bytes] of Object.entries(idxFiles('data', 65))) await writeFile(join(folder, path), bytes);
  return folder;
}

/** Trains with a launcher and compares weights and metrics with those of the run `like`, which one process trained. */
export async function learnsLike(folder: string, like: string, launcher: Launcher, size: number, more: string[] = []) {
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
}
