/** Run by `distributed.ts` in each of two processes: prints, from rank 0, a JSON line a round. */
import { random } from '../../base/random.js';
import { ALEXNET } from '../../model/alexnet.js';
import { buildNetwork } from '../../model/network.js';
import { findNetwork } from '../../model/registry.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import type { Split } from '../../train/data/dataset.js';
import { sumNumbers } from '../../train/distributed/communicator.js';
import { Rehearsal, stepCost } from '../../train/distributed/cost-model.js';
import { joinJob } from '../../train/distributed/mpi.js';
import { resolveSettings } from '../../train/settings/config.js';
import { Trainer } from '../../train/trainer.js';

export interface RankRound {
  compressed: boolean;
  bytes: number;
  /** Seconds of a step. */
  computing: number;
  estimated: number;
  together: number;
  /** Of an all-reduce's ring. */
  bytesPerSecond: number;
}

const CLASSES = 1000;
const STEPS = 3;

const [rounds, batch] = process.argv.slice(2).map(Number);
const group = joinJob();
await selectBackend('onnxruntime');
const spec = findNetwork('alexnet');
const { imagePx, inputPx } = spec;
const config = { data: 'noise', model: 'alexnet', ...resolveSettings(ALEXNET.recipe, { batch, colourNoise: 0 }) };
const stream = random('noise');
const noise = Uint8Array.from({ length: 3 * imagePx ** 2 }, () => stream.integer(256));
const split: Split = {
  length: 4 * batch,
  labels: Uint16Array.from({ length: 4 * batch }, (_, i) => i % CLASSES),
  name: String,
  pixels: () => noise,
};
const dataset = {
  source: 'noise',
  imagePx,
  labels: Array.from({ length: CLASSES }, (_, i) => String(i)),
  splits: { train: split, val: split },
  skipped: [],
  notes: [],
};
const run = { config, imagePx, inputPx, mean: new Float32Array(3 * imagePx ** 2).fill(128) };

for (const compressed of [false, true]) {
  const model = buildNetwork(spec, { classes: CLASSES, seed: 0 });
  const gradientType = compressed ? 'float16' : 'float32';
  const rehearsal = new Rehearsal(group.size);
  const alone = new Trainer(model, dataset, run, { group: rehearsal, gradientType });
  const together = new Trainer(model, dataset, run, { group, gradientType });
  await step(alone); // compiles
  await step(together);
  for (let round = 0; round < rounds; round++) {
    const bytesPerSecond = await ringSpeed();
    const computing = await seconds(alone, rehearsal);
    const bytes = rehearsal.buckets.reduce((sum, bucket) => sum + bucket.bytes, 0);
    const { exposed } = stepCost(rehearsal.buckets, group.size, bytesPerSecond);
    const line: RankRound = {
      compressed,
      bytes,
      computing,
      estimated: computing + exposed,
      together: await seconds(together),
      bytesPerSecond,
    };
    if (group.rank === 0) console.log(JSON.stringify(line));
  }
  alone.dispose();
  together.dispose();
  model.dispose();
}
group.finalize();

async function step(trainer: Trainer): Promise<void> {
  await trainer.update(trainer.batches(0), { step: 0, epoch: 0 }, 0);
}

/** Of a step; both processes begin together. */
async function seconds(trainer: Trainer, rehearsal?: Rehearsal): Promise<number> {
  await sumNumbers(group, []);
  const started = performance.now();
  for (let i = 0; i < STEPS; i++) {
    rehearsal?.startStep();
    await step(trainer);
  }
  return (performance.now() - started) / 1000 / STEPS;
}

/** Bytes a second of gradients' size, as a ring counts them. */
async function ringSpeed(): Promise<number> {
  const values = new Float32Array(61e6);
  await sumNumbers(group, []);
  const started = performance.now();
  await group.allReduceSum(values);
  const { network } = stepCost([{ ready: 0, bytes: values.byteLength }], group.size, 1e30);
  return values.byteLength / ((performance.now() - started) / 1000 - network);
}
