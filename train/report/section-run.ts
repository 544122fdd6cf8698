/** The head of a report: what was trained on what, by which version, and the figures that matter most. */

import { count, counted, errorPercents, hasTop5, percent } from '../../base/format.js';
import { findNetwork } from '../../model/registry.js';
import { summarize } from '../../model/summary.js';
import { endsEpoch } from '../metrics/metrics-file.js';
import { betterOf, type Validation } from '../run/checkpoint.js';
import { UNKNOWN_DATA } from '../run/run-folder.js';
import type { Report } from './gather.js';
import { type Content, type Html, html, table } from './html.js';

export function title({ run: { config } }: Report): string {
  return config.data === UNKNOWN_DATA ? config.model : `${config.model} on ${config.data}`;
}

/** The figures in large, those that there are. */
export function keyFigures({ measured, metrics, run }: Report): Html {
  const figures: [string, string][] = [];
  if (measured) {
    const { top1Error, top5Error, loss, images } = measured.single;
    figures.push(['top-1 error', percent(top1Error)]);
    if (hasTop5(run.labels.length)) figures.push(['top-5 error', percent(top5Error)]);
    figures.push(['loss', loss.toFixed(4)]);
    figures.push([`${measured.kind} images`, count(images)]);
  }
  const rate = metrics.at(-1)?.images_per_second;
  if (rate !== undefined) figures.push(['images/s in training', rate.toFixed(rate < 10 ? 1 : 0)]);
  return html`<dl class="figures">${figures.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

export function runSection(report: Report): Html {
  const { run, checkpoint, backend } = report;
  const { config, labels, pictures: images, versions, imported } = run;
  const spec = findNetwork(config.model);
  const parameters = count(summarize(spec, labels.length).parameters);
  const size = [
    ...Object.entries(images).map(([split, n]) => `${count(n)} ${split} images`),
    `${count(labels.length)} classes`,
  ];
  const facts: [string, Content][] = [
    [
      'Network',
      `${config.model}, after ${spec.source}: ${parameters} parameters, input ${run.inputPx} × ${run.inputPx}`,
    ],
    ['Data', `${config.data}: ${size.join(', ')}`],
  ];
  if (imported) facts.push(['Imported', html`${imported.file}, SHA-256 <code>${imported.sha256}</code>`]);
  if (config.from) facts.push(['Fine-tuned from', html`${config.from}, weights <code>${config.fromWeights}</code>`]);
  if (!imported) facts.push(['Trained', progressOf(report)], ['Best validation error', bestOf(report)]);
  if (checkpoint) {
    const { name, state, weightsSha256 } = checkpoint;
    facts.push([
      'Checkpoint',
      html`${name}/, after epoch ${state.epoch}, step ${count(state.step)}; weights <code>${weightsSha256}</code>`,
    ]);
  }
  facts.push(['Version', `alexnet ${versions.alexnet}, Node ${versions.node}`]);
  if (backend) facts.push(['Backend of this report', backend]);
  return html`<section id="run"><h2>Run</h2>
${table('What was trained on what', [{ name: '' }, { name: '' }], facts)}</section>`;
}

function progressOf({ run: { config }, metrics, inUse }: Report): string {
  const epochs = metrics.filter(endsEpoch).length;
  const steps = metrics.at(-1)?.step ?? 0;
  const now = inUse ? '; training is in progress' : '';
  return `${epochs} of ${counted(config.epochs, 'epoch')}, ${counted(steps, 'step')} recorded${now}`;
}

function bestOf({ metrics, run }: Report): string {
  const ends = metrics.filter((line) => endsEpoch(line) && Number.isFinite(line.val_loss));
  const best = ends
    .map(({ epoch, val_loss: loss, val_top1_error: top1, val_top5_error: top5Error }) => ({
      epoch,
      loss,
      top1Error: top1!,
      top5Error,
    }))
    .reduce<Validation | null>((best, other) => betterOf(best, other), null);
  if (!best) return 'no epoch has ended yet';
  const { epoch, top1Error, top5Error } = best;
  return `top-1 ${errorPercents(top1Error, top5Error, run.labels.length)}, after epoch ${epoch}`;
}
