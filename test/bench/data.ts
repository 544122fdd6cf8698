/**
 * `npm run bench -- data`: how fast photographs become a prepared set, beside PIL doing the same on one core, and what share of a training step
 * reading them from disk takes. Photographs are those of ../shared/data/imagenet-samples.tar (or ALEXNET_DATA), several times over.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { selectBackend } from '../../train/backend.js';
import { resolveSettings } from '../../train/config.js';
import { trainingBatch } from '../../train/data/augment.js';
import { openDataset } from '../../train/data/open-dataset.js';
import { prepare } from '../../train/prepare.js';
import { silentProgress } from '../../train/progress.js';
import { Sgd } from '../../train/sgd.js';
import { TrainingStep } from '../../train/step.js';
import { modelWeights } from '../../train/weights.js';
import { PICTURES, photographs } from './photographs.js';

const PYTHON = process.env.ALEXNET_PYTHON ?? '/usr/bin/python3';
const PIL = fileURLToPath(new URL('../../../test/bench/pil_prepare.py', import.meta.url));
const COPIES = 5;
const BATCH = 128;

const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1];

export async function data(rounds: number, steps: number): Promise<void> {
  if (!existsSync(PICTURES)) return console.log(`skipped: needs ${PICTURES}`);
  const root = mkdtempSync(join(tmpdir(), 'alexnet-data-'));
  try {
    const all = await photographs();
    const folder = join(root, 'pictures');
    all.forEach((bytes, i) => {
      const place = join(folder, 'train', `class ${i % 10}`);
      mkdirSync(place, { recursive: true });
      for (let copy = 0; copy < COPIES; copy++) writeFileSync(join(place, `${i}-${copy}.jpg`), bytes);
    });
    const cores = availableParallelism();
    console.log(
      `${cpus().length} × ${cpus()[0].model}, Node ${process.versions.node}; ${all.length * COPIES} JPEG photographs`,
    );
    const [ours, pil]: [number[], number[]] = [[], []];
    const pack = join(root, 'pack');
    for (let round = 0; round < rounds; round++) {
      const made = await prepare({ data: folder, out: pack, imagePx: 256, force: true }, silentProgress);
      ours.push(made.picturesPerSecond / cores);
      if (existsSync(PYTHON)) {
        const printed = execFileSync(PYTHON, [PIL, folder], { encoding: 'utf8' });
        pil.push(JSON.parse(printed.trim().split('\n').at(-1)!).pictures_per_s);
      }
    }
    const against =
      pil.length > 0
        ? `; PIL ${median(pil).toFixed(0)} on one core, median ratio ${median(ours.map((rate, i) => rate / pil[i])).toFixed(2)}`
        : '';
    console.log(
      `alexnet prepare: ${median(ours).toFixed(0)} pictures/s a core, ${(median(ours) * cores).toFixed(0)} in all${against}`,
    );
    await stall(pack, steps);
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** The share of an AlexNet step that cutting its batch from the prepared set takes. */
async function stall(pack: string, steps: number): Promise<void> {
  const { name } = await selectBackend('onnxruntime');
  const spec = findNetwork('alexnet');
  const { imagePx, inputPx } = spec;
  const dataset = await openDataset(pack, { imagePx });
  const { train } = dataset.splits;
  const settings = resolveSettings(spec.recipe, {});
  const model = buildNetwork(spec, { classes: 1000, seed: 1 });
  const step = new TrainingStep(model, new Sgd(modelWeights(model, 'trainable'), settings));
  const shares: number[] = [];
  const read: number[] = [];
  for (let i = 0; i < steps + 2; i++) {
    const order = Uint32Array.from({ length: BATCH }, (_, n) => (i * BATCH * 7 + n * 31) % train.length);
    const started = performance.now();
    const batch = trainingBatch(train, imagePx, dataset.mean!, order, {
      ...settings,
      inputPx,
      colours: dataset.colours,
      epoch: 0,
    });
    const ready = performance.now();
    step.run(batch, settings.learningRate);
    if (i < 2) continue; // compiles and maps memory
    shares.push((ready - started) / (performance.now() - started));
    read.push(ready - started);
  }
  console.log(
    `AlexNet, batch ${BATCH}, ${name}: reading, checking, cropping and colouring a batch takes ${median(read).toFixed(0)} ms, ${(100 * median(shares)).toFixed(1)} % of a step`,
  );
}
