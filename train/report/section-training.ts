/** The curves of a run: everything that `metrics.jsonl` says, drawn and as a table. */

import { count, hasTop5, percent } from '../../base/format.js';
import { endsEpoch, type MetricsLine } from '../metrics/metrics-file.js';
import { type LinePlot, linePlot } from '../plot/line-plot.js';
import type { Run } from '../run/run-folder.js';
import { stepsPerEpoch } from '../settings/config.js';
import type { Report } from './gather.js';
import { Html, html, table } from './html.js';

export function trainingSection({ run, metrics }: Report): Html | undefined {
  if (metrics.length === 0) return undefined;
  const perEpoch = stepsPerEpoch(run.pictures.train, run.config.batch);
  const figures = plots(run, metrics, perEpoch).map((plot) => html`<figure>${new Html(linePlot(plot))}</figure>\n`);
  const ends = metrics.filter(endsEpoch);
  return html`<section id="training"><h2>Training</h2>
<p>Points of single batches are those of every tenth step; the training errors of an epoch are those of the images as they came, while
the weights changed, with dropout and cropped at random where the settings say so.</p>
<div class="plots">${figures}</div>
${ends.length > 0 ? epochTable(ends, hasTop5(run.labels.length)) : undefined}</section>`;
}

function plots({ config, labels }: Run, metrics: MetricsLine[], perEpoch: number): LinePlot[] {
  const ends = metrics.filter(endsEpoch);
  const batches = metrics.filter((line) => !endsEpoch(line));
  const endOf = new Map(ends.map(({ epoch, step }) => [epoch, step]));
  /** Epochs had other numbers of steps if the batch changed. */
  const epochs = ({ epoch, step }: MetricsLine) => {
    const start = endOf.get(epoch - 1) ?? 0;
    return epoch - 1 + (step - start) / ((endOf.get(epoch) ?? start + perEpoch) - start);
  };
  const at = (lines: MetricsLine[], key: string, factor = 1) =>
    lines.map((line) => [epochs(line), factor * line[key]] as const);
  const [highest, lowest] = metrics.reduce(
    ([high, low], { lr }) => [Math.max(high, lr), Math.min(low, lr)],
    [0, Number.POSITIVE_INFINITY],
  );
  const falls = ['step', 'plateau'].includes(config.schedule) && highest >= 10 * lowest;
  const xLabel = 'epoch';
  return [
    {
      title: 'Loss',
      xLabel,
      yLabel: 'cross-entropy',
      yMin: 0,
      series: [
        { name: 'validation', points: at(ends, 'val_loss') },
        { name: 'training, epoch', points: at(ends, 'loss'), dashed: true },
        { name: 'training, single batches', points: at(batches, 'loss'), faint: true },
      ],
    },
    {
      title: 'Errors',
      xLabel,
      yLabel: 'error, %',
      yMin: 0,
      series: [
        { name: 'validation top-1', points: at(ends, 'val_top1_error', 100) },
        { name: 'training top-1', points: at(ends, 'train_top1_error', 100), dashed: true },
        ...(hasTop5(labels.length) ? [{ name: 'validation top-5', points: at(ends, 'val_top5_error', 100) }] : []),
      ],
    },
    {
      title: 'Learning rate',
      xLabel,
      yLabel: 'learning rate',
      ...(falls ? { yLog: true } : { yMin: 0 }),
      series: [{ name: 'learning rate', points: at(metrics, 'lr') }],
    },
    {
      title: 'Throughput',
      xLabel,
      yLabel: 'images/s, mean of the epoch so far',
      yMin: 0,
      series: [{ name: 'training', points: at(metrics, 'images_per_second') }],
    },
  ];
}

function epochTable(ends: MetricsLine[], withTop5: boolean): Html {
  const columns = [
    'epoch',
    'step',
    'learning rate',
    'training loss',
    'training top-1',
    'validation loss',
    'validation top-1',
    ...(withTop5 ? ['validation top-5'] : []),
    'images/s',
  ];
  const rows = ends.map((line) => [
    line.epoch,
    count(line.step),
    Number(line.lr.toPrecision(3)),
    line.loss.toFixed(4),
    percent(line.train_top1_error),
    line.val_loss.toFixed(4),
    percent(line.val_top1_error!),
    ...(withTop5 ? [percent(line.val_top5_error)] : []),
    line.images_per_second.toFixed(1),
  ]);
  return table(
    'Epoch by epoch',
    columns.map((name) => ({ name, isNumber: true })),
    rows,
  );
}
