/** The command `alexnet find-lr`. */
import { Command } from 'commander';
import { writeFileAtomically } from '../base/atomic-file.js';
import { UsageError } from '../base/errors.js';
import { showProgress } from '../base/progress.js';
import { checkReplaceable, isMarked, MARKUP_MARK } from '../base/replaceable.js';
import { headed } from '../base/terminal.js';
import { keepMemory } from '../onnx/backend/keep-memory.js';
import { type FindRateRequest, type FoundRate, findRate } from '../train/measure/find-rate.js';
import { linePlot } from '../train/plot/line-plot.js';
import type { Settings } from '../train/settings/config.js';
import { positiveInteger, positiveNumber } from './flag-types.js';
import { networkOptions, newRunRequest, updateOptions } from './training-flags.js';

type FindRateFlags = Omit<FindRateRequest, 'settings'> & Partial<Settings> & { plot?: string; json: boolean };

/** Rows of the table that people see. */
const ROWS = 20;

export function findRateCommand(): Command {
  const command = new Command('find-lr').description(
    'Suggest a learning rate: train a new network for some steps while the rate rises exponentially. Keeps no weights.',
  );
  return updateOptions(networkOptions(command))
    .optionsGroup('Search:')
    .option('--min-rate <rate>', 'learning rate of the first step, above 0', positiveNumber, 1e-6)
    .option(
      '--max-rate <rate>',
      'learning rate of the last step, above --min-rate; ends earlier if the loss explodes',
      positiveNumber,
      1,
    )
    .option('--steps <n>', 'steps, an update each, at least 20', positiveInteger, 100)
    .optionsGroup('Output:')
    .option('--plot <file>', 'write the losses over the rate as SVG')
    .option('--json', 'print the result as one JSON object', false)
    .action(runFindRate);
}

async function runFindRate(flags: FindRateFlags): Promise<void> {
  const { backend, provider, minRate, maxRate, steps } = flags;
  if (minRate >= maxRate) throw new UsageError(`--min-rate ${minRate} must be below --max-rate ${maxRate}`);
  if (steps < 20) throw new UsageError(`--steps ${steps}: expected at least 20, because fewer losses tell nothing`);
  if (flags.plot !== undefined) await checkReplaceable(flags.plot, 'a plot of "alexnet find-lr"', isMarked);
  keepMemory();
  const progress = showProgress();
  try {
    const found = await findRate({ ...newRunRequest(flags), backend, provider, minRate, maxRate, steps }, progress);
    progress.stop();
    console.log(flags.json ? JSON.stringify(toJson(found)) : headed(describeFoundRate(found)));
    if (flags.plot !== undefined) await writeFileAtomically(flags.plot, MARKUP_MARK + plot(found));
  } finally {
    progress.stop();
  }
}

function toJson({ points, steepest, lowest, divergence, ...rest }: FoundRate): object {
  return {
    ...rest,
    steps: points.length,
    suggested_lr: steepest && suggestion(steepest),
    steepest_lr: steepest,
    lowest_loss_lr: lowest,
    divergence_lr: divergence,
    points: points.map(({ learningRate, loss, smoothed }) => ({ lr: learningRate, loss, smoothed_loss: smoothed })),
  };
}

/** Two digits: the losses do not tell more. */
function suggestion(rate: number): number {
  return Number(rate.toPrecision(2));
}

function describeFoundRate({ points, steepest, lowest, divergence }: FoundRate): string {
  const every = Math.ceil(points.length / ROWS);
  const rows = points
    .filter((_, i) => i % every === 0 || i === points.length - 1)
    .map(({ learningRate, loss, smoothed }) =>
      [learningRate.toExponential(2), loss.toFixed(4), smoothed.toFixed(4)].map((cell) => cell.padStart(10)).join(''),
    );
  return [
    ['rate', 'loss', 'smoothed'].map((cell) => cell.padStart(10)).join(''),
    ...rows,
    steepest === null
      ? 'the loss does not fall at any rate: try more --steps or a higher --max-rate'
      : `the loss falls most steeply at ${short(steepest)} and is lowest at ${short(lowest)}`,
    divergence === null ? 'it does not diverge up to --max-rate' : `it diverges from ${short(divergence)} on`,
    ...(steepest === null ? [] : [`suggested: --lr ${suggestion(steepest)}`]),
  ].join('\n');
}

function short(rate: number): string {
  return String(Number(rate.toPrecision(3)));
}

function plot({ model, data, points }: FoundRate): string {
  const losses = points.map(({ loss }) => loss);
  const tenths = (value: number) => Math.round(10 * value) / 10;
  return linePlot({
    title: `${model} on ${data}`,
    xLabel: 'learning rate',
    yLabel: 'loss',
    xLog: true,
    yMin: tenths(Math.min(...losses) - 0.1),
    yMax: tenths(Math.min(Math.max(...losses), 1.5 * losses[0]) + 0.1), // an explosion would press all else flat
    series: [
      { name: 'loss of a batch', points: points.map(({ learningRate, loss }) => [learningRate, loss]), faint: true },
      { name: 'smoothed', points: points.map(({ learningRate, smoothed }) => [learningRate, smoothed]) },
    ],
  });
}
