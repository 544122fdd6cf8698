/**
 * For what share of its time an AlexNet step waits for data: from memory, from a prepared set, and from JPEG decoded at
 * each use.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { silentProgress } from '../../base/progress.js';
import { permutation, random } from '../../base/random.js';
import { prepare } from '../../cli/prepare.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { keepMemory } from '../../onnx/backend/keep-memory.js';
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
import { IMAGES, photographFolder } from './photographs.js';

const BATCH = 128;
/** Of every source: they compile, map memory, and wait for the first batches. */
const WARM_UP_STEPS = 2;

/** Measures all three forms, `steps` steps each, of photographs in a folder of its own. */
export async function stallOfPhotographs(steps: number): Promise<void> {
  if (!existsSync(IMAGES)) return console.log(`skipped: needs ${IMAGES}`);
  const root = mkdtempSync(join(tmpdir(), 'alexnet-stall-'));
  try {
    const [folder, pack] = [join(root, 'pictures'), join(root, 'pack')];
    await photographFolder(folder);
    await prepare({ data: folder, out: pack, imagePx: 256, force: true }, silentProgress);
    await stall(folder, pack, steps);
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** What an AlexNet step waits for its batch: reading, decoding or checking what was not done before, and cutting it. */
export async function stall(folder: string, pack: string, steps: number): Promise<void> {
  keepMemory(); // as alexnet train does
  const sources: [string, string, OpenOptions['stream']][] = [
    ['from memory', folder, undefined],
    ['from the prepared set', pack, undefined],
    ['JPEG decoded at each use', folder, 'always'],
  ];
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
