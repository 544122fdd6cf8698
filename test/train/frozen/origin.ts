/** Something to start from and to learn, for tests: a run with drawn weights, and noise in class folders. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { random } from '../../../base/random.js';
import { buildNetwork } from '../../../model/network.js';
import { findNetwork } from '../../../model/registry.js';
import { saveCheckpoint, startState } from '../../../train/run/checkpoint.js';
import { createRun } from '../../../train/run/run-folder.js';
import { resolveSettings } from '../../../train/settings/config.js';

/** It has dropout before its last layer, `fc10`. */
export const NETWORK = 'cifar10-quick.dropout';

/** `class 0` and `class 1`, the second redder. @param folder  of the class folders */
export async function writeNoise(folder: string, count: number): Promise<void> {
  for (const [label, tint] of [60, 100].entries()) {
    await mkdir(join(folder, `class ${label}`), { recursive: true });
    for (let i = 0; i < count; i++) {
      const stream = random(folder.slice(-5), label, i);
      const pixels = Uint8Array.from(
        { length: 32 * 32 * 3 },
        (_, at) => stream.integer(150) + (at % 3 === 0 ? tint : 0),
      );
      await sharp(pixels, { raw: { width: 32, height: 32, channels: 3 } })
        .png()
        .toFile(join(folder, `class ${label}`, `${i}.png`));
    }
  }
}

/** A run as `alexnet import` makes them: weights and no data. tfjs needs a backend. */
export async function writeOrigin(path: string, classes: number): Promise<void> {
  const spec = findNetwork(NETWORK);
  // Drawn as large as they keep values; the network's own are so small that nothing is learnt in a few steps.
  const rows = spec.rows.map((row) => ('stddev' in row ? { ...row, stddev: 'fan-in' as const } : row));
  const model = buildNetwork({ ...spec, rows }, { classes, seed: 3 });
  const run = await createRun(path, {
    config: { data: 'unknown', model: spec.name, ...resolveSettings(spec.recipe, {}) },
    imagePx: spec.imagePx,
    inputPx: spec.inputPx,
    pictures: { train: 0, val: 0 },
    versions: {},
    labels: Array.from({ length: classes }, (_, i) => `thing ${i}`),
    mean: new Float32Array(3 * spec.imagePx ** 2).fill(110),
    samples: new Uint8Array(3 * spec.imagePx ** 2),
  });
  await saveCheckpoint(run.best, model, [], startState());
  model.dispose();
}
