/** What came out of an experiment: read from its runs' metrics, put into a table and a plot. */

import { percent } from '../../base/format.js';
import { formatDuration } from '../../base/progress.js';
import { endsEpoch, type MetricsLine, readMetrics } from '../metrics/metrics-file.js';
import type { PlotSeries } from '../plot/line-plot.js';
import { linePlot } from '../plot/line-plot.js';
import type { Run } from '../run/run-folder.js';
import type { Experiment } from './experiments.js';
import type { PlannedVariant } from './plan.js';

/** How one variant went. Errors are fractions. */
export interface Outcome {
  variant: string;
  model: string;
  learningRate: number;
  epochs: number;
  /** Whether it was given up for that; errors are then those of the last whole epoch, 1 if there was none. */
  diverged?: boolean;
  /** Over its last epoch, as the images were trained on. */
  trainError: number;
  /** After its last epoch, one crop an image: no choice of an epoch by the images it is judged on. */
  testError: number;
  /** Of the paper's ten crops, if the network takes a part of the image. */
  tenCropError?: number;
  testImages: number;
  /** Epochs to the training error aimed at, a fraction by interpolation; null if it was not reached. */
  epochsToTarget?: number | null;
  /** Of training alone. */
  seconds: number;
  /** After every epoch. */
  curve: { epoch: number; trainError: number; testError: number }[];
}

/** @param measured  on the last checkpoint */
export async function readOutcome(
  variant: PlannedVariant,
  run: Run,
  target: number | undefined,
  measured: Pick<Outcome, 'tenCropError' | 'diverged'>,
): Promise<Outcome> {
  const lines = (await readMetrics(run)).filter(endsEpoch);
  const curve = lines.map((line) => ({
    epoch: line.epoch,
    trainError: line.train_top1_error,
    testError: line.val_top1_error!,
  }));
  const last = curve.at(-1) ?? { epoch: 0, trainError: 1, testError: 1 };
  return {
    variant: variant.name,
    model: variant.model,
    learningRate: run.config.learningRate,
    epochs: last.epoch,
    trainError: last.trainError,
    testError: last.testError,
    ...measured,
    testImages: run.pictures.val,
    ...(target !== undefined && { epochsToTarget: epochsTo(target, curve) }),
    seconds: secondsTrained(lines, run.pictures.train),
    curve,
  };
}

/**
 * Seconds of training in a run so far.
 * @param lines     of its whole epochs; one that was interrupted after its last step tells no speed, and counts as the mean of the others
 * @param images  an epoch
 */
export function secondsTrained(lines: MetricsLine[], images: number): number {
  const told = lines.filter((line) => line.images_per_second > 0);
  const seconds = told.reduce((sum, line) => sum + images / line.images_per_second, 0);
  return told.length === 0 ? 0 : (seconds * lines.length) / told.length;
}

/**
 * Where the curve of training errors first falls to `target`, by a straight line between epochs. The error of an epoch
 * is the mean over it, so it stands for its middle; 1 before the first.
 */
function epochsTo(target: number, curve: Outcome['curve']): number | null {
  const at = curve.findIndex(({ trainError }) => trainError <= target);
  if (at < 0) return null;
  const middle = curve[at].epoch - 0.5;
  if (at === 0) return middle;
  const { trainError: before } = curve[at - 1];
  return middle - (target - curve[at].trainError) / (before - curve[at].trainError);
}

/** The rows as a Markdown table, what they say as a sentence, and where the paper has it. */
export function describeOutcome(experiment: Experiment, outcomes: Outcome[]): string {
  const ten = outcomes.some(({ tenCropError }) => tenCropError !== undefined);
  const race = experiment.until !== 'equal';
  const header = [
    'variant',
    'network',
    'learning rate',
    'epochs',
    ...(race ? ['epochs to the training error'] : []),
    'training error',
    'test error',
    ...(ten ? ['test error, ten crops'] : []),
    'training time',
  ];
  const rows = outcomes.map((one) => [
    one.variant,
    `\`${one.model}\``,
    String(one.learningRate),
    String(one.epochs),
    ...(race ? [one.epochsToTarget?.toFixed(1) ?? 'not reached'] : []),
    one.diverged ? 'diverged' : percent(one.trainError, 1),
    one.diverged ? 'diverged' : percent(one.testError, 1),
    ...(ten ? [one.tenCropError === undefined ? '' : percent(one.tenCropError, 1)] : []),
    formatDuration(one.seconds),
  ]);
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  const table = [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
  return `${experiment.title}\n\n${table}\n\nHere: ${finding(experiment, outcomes)}\nPaper: ${experiment.paper}.\n`;
}

function finding({ until }: Experiment, outcomes: Outcome[]): string {
  const [first, ...rest] = outcomes;
  if (first.diverged)
    return `${first.variant} diverged in epoch ${first.epochs + 1}, so there is nothing to compare with.`;
  const gone = rest.filter(({ diverged }) => diverged);
  const others = rest.filter(({ diverged }) => !diverged);
  const lost = gone.map(({ variant, epochs }) => `${variant} diverged in epoch ${epochs + 1}`);
  if (until !== 'equal') {
    const aim = percent(until.trainTop1Error, 1);
    return `${[...others.map((other) => compareRace(first, other, aim)), ...lost].join('; ')}.`;
  }
  const error = (one: Outcome) => one.tenCropError ?? one.testError;
  const points = others.map((other) => {
    const difference = 100 * (error(other) - error(first));
    return `${other.variant} ${Math.abs(difference).toFixed(2)} points ${difference > 0 ? 'worse' : 'better'} than ${first.variant}`;
  });
  // Of a difference between two shares of independent images; those of one test set differ by less.
  const spread = 100 * Math.sqrt((2 * error(first) * (1 - error(first))) / first.testImages);
  return `${[...points, ...lost].join(', ')} (test error; standard error at most ${spread.toFixed(2)} points, one seed).`;
}

function compareRace(first: Outcome, other: Outcome, aim: string): string {
  if (!first.epochsToTarget) return `${first.variant} did not reach ${aim} in ${first.epochs} epochs`;
  if (other.epochsToTarget) {
    const times = (other.epochsToTarget / first.epochsToTarget).toFixed(1);
    return `${first.variant} reaches ${aim} in ${times} times fewer epochs than ${other.variant}`;
  }
  const times = (other.epochs / first.epochsToTarget).toFixed(1);
  return `${first.variant} reaches ${aim} more than ${times} times faster than ${other.variant}, which had ${percent(other.trainError, 1)} when its time was over`;
}

/** Errors by epoch: training errors of a race, else test errors. */
export function plotOutcome({ title, until }: Experiment, outcomes: Outcome[]): string {
  const error = until === 'equal' ? 'testError' : 'trainError';
  const series = outcomes.map(
    ({ variant, curve }, i): PlotSeries => ({
      name: variant,
      dashed: i > 0,
      points: curve.map((point) => [point.epoch, 100 * point[error]]),
    }),
  );
  return linePlot({
    title,
    xLabel: 'epoch',
    yLabel: until === 'equal' ? 'test error, %' : 'training error, %',
    series,
    yMin: 0,
    levels: until === 'equal' ? [] : [{ y: 100 * until.trainTop1Error, label: percent(until.trainTop1Error, 1) }],
  });
}
