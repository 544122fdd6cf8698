/**
 * `npm run bench -- learn`: the error against the number of training images, from scratch and with transfer, as tables
 * and plots. A network learns eight classes of CIFAR-10 (../shared/data/cifar10.tar.gz, or ALEXNET_DATA), another one a
 * hundred objects as six emoji vendors draw them. From these, and from nothing, the other two classes and the held-out
 * vendor's drawings are learnt from few images, by the commands that people type. Images of a class are all that a
 * command is given: it holds a fifth of them out.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MARKUP_MARK } from '../../base/replaceable.js';
import { linePlot } from '../../train/plot/line-plot.js';
import { realData } from '../real/command.js';
import { json } from '../real/shared-process.js';
import { heldOutVendor, known, readCifar, type Task, twoClasses, writeImages } from './few-images.js';

const ARCHIVE = 'cifar10.tar.gz';
const NETWORK = 'cifar10-18pct';
const IMAGES = [5, 20, 100];
const SCHEDULE = ['--batch', '32', '--schedule', 'cosine', '--weight-decay', '0.0005', '--clip-norm', '5'];
/** As in docs/train.md. */
const EIGHT = ['--epochs', '8', '--batch', '64', '--lr', '0.002', '--schedule', 'cosine', '--weight-decay', '0.0005'];
/** As `alexnet demo`. */
const SIX_VENDORS = ['--epochs', '10', '--batch', '64', '--lr', '0.01', '--weight-decay', '0.0005'];
/** Enough to learn a few images by heart. */
const MOST_EPOCHS = 100;

/** A way to learn a folder. @returns  words of a command, without its --out */
type Way = (data: string, epochs: number) => string[];

interface Plan {
  task: Task;
  plot: string;
  ways: Record<string, Way>;
}

/** @param rounds  draws of the training images */
export async function learn(rounds: number): Promise<void> {
  const archive = realData(ARCHIVE);
  if (!archive) return console.log(`skipped: needs ${ARCHIVE} in ../shared/data (or the folder ALEXNET_DATA)`);
  const folder = mkdtempSync(join(tmpdir(), 'alexnet-learn-'));
  try {
    for (const plan of await plans(archive, folder)) {
      const errors = await measure(plan, folder, rounds);
      console.log(`\n${table(plan, errors)}\n`);
      writeFileSync(plan.plot, MARKUP_MARK + plot(plan, errors));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function plans(archive: string, folder: string): Promise<Plan[]> {
  const cifar = await readCifar(archive);
  const [eight, vendors] = [join(folder, 'eight'), join(folder, 'vendors')];
  for (const [split, images] of [
    ['train', cifar.train],
    ['val', cifar.test],
  ] as const)
    await writeImages(join(folder, 'cifar', split), known(images));
  await trained('eight classes', eight, '--data', join(folder, 'cifar'), '--mirror', ...EIGHT);
  await trained('six vendors', vendors, '--data', 'emoji', '--clip-norm', '5', '--schedule', 'cosine', ...SIX_VENDORS);
  const scratch: Way = (data, epochs) => train(data, epochs, '--model', NETWORK, '--lr', '0.01');
  const lastLayer =
    (from: string): Way =>
    (data) => ['learn', data, '--from', from];
  const allLayers =
    (from: string): Way =>
    (data, epochs) =>
      train(data, epochs, '--from', from, '--lr', '0.002');
  const ofEight = { 'last layer, from eight classes': lastLayer(eight) };
  return [
    {
      task: twoClasses(cifar),
      plot: 'learn.svg',
      ways: { 'from scratch': scratch, ...ofEight, 'all layers, from eight classes': allLayers(eight) },
    },
    {
      task: await heldOutVendor(),
      plot: 'learn-emoji.svg',
      ways: { 'from scratch': scratch, ...ofEight, 'last layer, from six vendors': lastLayer(vendors) },
    },
  ];
}

const train = (data: string, epochs: number, ...more: string[]) => [
  ...['train', '--data', data, '--epochs', String(epochs)],
  ...SCHEDULE,
  ...more,
];

async function trained(what: string, run: string, ...words: string[]): Promise<void> {
  const { val } = await json<{ val: { top1_error: number } }>('train', '--model', NETWORK, '--out', run, ...words);
  console.log(`${NETWORK} on ${what}: validation error ${percent(val.top1_error)}`);
}

type Errors = Record<string, number[][]>;

/** Test errors by way, number of images and round. */
async function measure({ task, ways }: Plan, folder: string, rounds: number): Promise<Errors> {
  const test = join(folder, task.name, 'test');
  await writeImages(test, task.test);
  const errors: Errors = Object.fromEntries(Object.keys(ways).map((way) => [way, IMAGES.map(() => [])]));
  for (let round = 0; round < rounds; round++) {
    for (const [i, images] of IMAGES.entries()) {
      const data = join(folder, task.name, `${images}-${round}`);
      await writeImages(data, await task.train(images, round));
      const epochs = Math.min(MOST_EPOCHS, Math.ceil(task.passed / (images * task.classes)));
      for (const [name, way] of Object.entries(ways)) {
        const run = join(folder, 'run');
        await json(...way(data, epochs), '--out', run, '--force', '--seed', String(round));
        const told = await json<{ top1_error: number }>(
          'evaluate',
          '--run',
          run,
          '--data',
          test,
          '--val-fraction',
          '0',
        );
        errors[name][i].push(told.top1_error);
        console.log(`${task.name}, ${images} images a class, round ${round}: ${name} ${percent(told.top1_error)}`);
      }
    }
  }
  return errors;
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const percent = (fraction: number) => `${(100 * fraction).toFixed(1)} %`;

/** The mean in percent and its standard error. */
function shown(values: number[]): string {
  const centre = mean(values);
  const variance = values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1);
  return `${(100 * centre).toFixed(1)} ± ${(100 * Math.sqrt(variance / values.length)).toFixed(1)}`;
}

function table({ ways }: Plan, errors: Errors): string {
  const names = Object.keys(ways);
  const rows = IMAGES.map((images, i) => [String(images), ...names.map((name) => shown(errors[name][i]))]);
  return [['images a class', ...names], names.map(() => '---').concat('---'), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

function plot({ task, ways }: Plan, errors: Errors): string {
  return linePlot({
    title: task.title,
    xLabel: 'training images a class',
    yLabel: 'top-1 error, %',
    xLog: true,
    yMin: 0,
    series: Object.keys(ways).map((name, i) => ({
      name,
      points: IMAGES.map((images, at) => [images, 100 * mean(errors[name][at])] as const),
      dashed: i === 0,
    })),
  });
}
