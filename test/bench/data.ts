/**
 * `npm run bench -- data`: how fast photographs become a prepared set, next to PIL doing the same on one core, and for
 * what share of its time a training step waits for data. Photographs are those of ../shared/data/imagenet-samples.tar
 * (or ALEXNET_DATA), several times over.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { silentProgress } from '../../base/progress.js';
import { permutation, random } from '../../base/random.js';
import { prepare } from '../../cli/prepare.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { type BatchMemory, trainingBatch } from '../../train/data/batches/augment.js';
import { colourStatistics } from '../../train/data/batches/colour.js';
import { meanImage } from '../../train/data/batches/mean.js';
import type { OpenOptions } from '../../train/data/dataset.js';
import { openDataset } from '../../train/data/open-dataset.js';
import { batchesOf, loadAhead } from '../../train/data/stream/read-ahead.js';
import { modelWeights } from '../../train/run/weights.js';
import { resolveSettings } from '../../train/settings/config.js';
import { Sgd } from '../../train/sgd.js';
import { TrainingStep } from '../../train/step.js';
import { median } from './median.js';
import { IMAGES, photographs } from './photographs.js';

const PYTHON = process.env.ALEXNET_PYTHON ?? '/usr/bin/python3';
const PIL = fileURLToPath(new URL('../../../test/bench/pil_prepare.py', import.meta.url));
const COPIES = 5;
const BATCH = 128;
/** Of every source: they compile, map memory, and wait for the first batches. */
const WARM_UP_STEPS = 2;

export async function data(rounds: number, steps: number): Promise<void> {
  if (!existsSync(IMAGES)) return console.log(`skipped: needs ${IMAGES}`);
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
      ours.push(made.imagesPerSecond / cores);
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
      `alexnet prepare: ${median(ours).toFixed(0)} images/s a core, ${(median(ours) * cores).toFixed(0)} in all${against}`,
    );
    await stall(
      [
        ['from memory', folder, undefined],
        ['from the prepared set', pack, undefined],
        ['JPEG decoded at each use', folder, 'always'],
      ],
      steps,
    );
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** What an AlexNet step waits for its batch: reading, decoding or checking what was not done before, and cutting it. */
async function stall(sources: [string, string, OpenOptions['stream']][], steps: number): Promise<void> {
  const { name } = await selectBackend('onnxruntime');
  const spec = findNetwork('alexnet');
  const { imagePx, inputPx } = spec;
  const settings = resolveSettings(spec.recipe, {});
  const model = buildNetwork(spec, { classes: 1000, seed: 1 });
  const step = new TrainingStep(model, new Sgd(modelWeights(model, 'trainable'), settings));
  for (const [title, source, stream] of sources) {
    const dataset = await openDataset(source, { imagePx, stream });
    const { train } = dataset.splits;
    const mean = dataset.mean ?? meanImage(train, 0);
    const colours = dataset.colours ?? colourStatistics(train, 0);
    const order = permutation(train.length, random('bench')).subarray(0, BATCH * (steps + WARM_UP_STEPS));
    const times: { waited: number; cut: number; whole: number }[] = [];
    const memory: BatchMemory = {};
    let ended = performance.now();
    for await (const { indices, images } of loadAhead(train, batchesOf(order, BATCH))) {
      const loaded = performance.now();
      const options = { ...settings, colours, epoch: 0 };
      const batch = trainingBatch(images, { imagePx, inputPx, mean }, indices, options, memory);
      const ready = performance.now();
      step.run(batch, settings.learningRate);
      const now = performance.now();
      times.push({ waited: loaded - ended, cut: ready - loaded, whole: now - ended });
      ended = now;
      await setImmediate(); // as the loop does
    }
    const of = (value: (time: (typeof times)[number]) => number) => median(times.slice(WARM_UP_STEPS).map(value));
    console.log(
      `AlexNet, batch ${BATCH}, ${name}, ${title}: a step of ${of(({ whole }) => whole).toFixed(0)} ms waits ${of(({ waited }) => waited).toFixed(0)} ms for images ` +
        `and ${of(({ cut }) => cut).toFixed(0)} ms for cutting and colouring them, ${(100 * of(({ waited, cut, whole }) => (waited + cut) / whole)).toFixed(1)} % of it`,
    );
  }
}
