/** `alexnet train --dry-run`, as a person runs it. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { alexnet, json } from '../real/shared-process.js';

let folder: string;
let data: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-dry-run-'));
  data = join(folder, 'data');
  for (const [split, count] of Object.entries({ train: 23, val: 7 })) {
    for (const background of ['red', 'blue', 'lime']) {
      await mkdir(join(data, split, background), { recursive: true });
      const create = { width: 40, height: 36, channels: 3, background } as const;
      for (let i = 0; i < count; i++)
        await sharp({ create })
          .png()
          .toFile(join(data, split, background, `${i}.png`));
    }
  }
});
after(() => rm(folder, { recursive: true }));

interface Measured {
  parameters: number;
  classes: number;
  pictures: Record<string, number>;
  steps_per_epoch: number;
  images_per_second: number;
  validation_images_per_second: number;
  hours: number;
  micro_batch: number | null;
  peak_memory_bytes: number;
  checkpoint_bytes: number;
}

const words = (...more: string[]) => ['train', '--data', data, '--model', 'cifar10-quick', '--epochs', '2', ...more];

test('tells what the run then takes, and writes nothing', async () => {
  const measured = await json<Measured>(...words('--batch', '32', '--dry-run'));
  assert.deepEqual(await readdir(folder), ['data']);
  assert.deepEqual([measured.classes, measured.pictures, measured.steps_per_epoch], [3, { train: 69, val: 21 }, 3]);
  const seconds = 69 / measured.images_per_second + 21 / measured.validation_images_per_second;
  assert.ok(Math.abs(measured.hours / ((2 * seconds) / 3600) - 1) < 1e-9);
  assert.equal(measured.micro_batch, null);
  assert.ok(measured.peak_memory_bytes > 50e6 && measured.peak_memory_bytes < 2e9, `${measured.peak_memory_bytes}`);

  const run = join(folder, 'run');
  const trained = await json<{ steps: number }>(...words('--batch', '32', '--out', run));
  assert.equal(trained.steps, 2 * measured.steps_per_epoch);
  const checkpoint = await readdir(join(run, 'last'));
  const sizes = await Promise.all(checkpoint.map(async (name) => (await stat(join(run, 'last', name))).size));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(Math.abs(measured.checkpoint_bytes - bytes) < 1000, `said ${measured.checkpoint_bytes}, are ${bytes}`);
  // conv1 to conv3, fc64, fc10 of the table, counted by hand; weights and velocities are float32
  const parameters = 2432 + 25632 + 51264 + 65600 + 195;
  assert.equal(measured.parameters, parameters);
  assert.ok(bytes > 8 * parameters && bytes < 8 * parameters + 20_000);
});

test('measures a micro-batch that is asked for, and prints for people', async () => {
  const { code, stdout, stderr } = await alexnet(...words('--batch', '32', '--micro-batch', '7', '--dry-run'));
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^cifar10-quick: 145,123 parameters for the 3 classes of /);
  assert.match(stdout, /\n69 train and 21 val images: 3 steps of 32 an epoch, 6 in 2 epochs\n/);
  assert.match(stdout, /\n[\d.]+ images\/s training, [\d.]+ validating, on \w+\n/);
  assert.match(stdout, /\nmemory: 0\.\d\d GB at the peak, 7 images at once\n/);
});

test('refuses --resume, and a request without data, with exit code 2', async () => {
  const resumed = await alexnet(...words('--dry-run', '--resume', '--out', join(folder, 'none')));
  assert.equal(resumed.code, 2);
  assert.match(resumed.stderr, /--dry-run measures a new run; leave --resume out/);
  assert.equal((await alexnet('train', '--dry-run', '--model', 'alexnet')).code, 2);
});

test('estimates several processes from one and the network', async () => {
  const flags = ['--batch', '32', '--dry-run', '--ranks', '3', '--network', '1Mb'];
  const measured = await json<Measured & Record<string, number>>(...words(...flags));
  const bytes = 4 * measured.parameters;
  assert.deepEqual([measured.ranks, measured.gradient_bytes], [3, bytes]);
  // Every byte passes a link 2 · 2/3 times, at 125,000 a second; four rounds of 50 µs.
  const network = ((4 / 3) * bytes) / 125_000 + 4 * 50e-6;
  assert.ok(Math.abs(measured.network_seconds - network) < 1e-9, `${measured.network_seconds}`);
  // All of it in one bucket: nothing is left to compute meanwhile.
  assert.ok(Math.abs(measured.exposed_network_seconds - network) < 1e-9);
  const step = measured.computing_seconds + network;
  assert.ok(Math.abs(measured.images_per_second / (32 / step) - 1) < 1e-9);
  assert.deepEqual([measured.steps_per_epoch, measured.pictures.train], [3, 69]);
});
