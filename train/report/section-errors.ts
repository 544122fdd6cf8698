/** Errors of a checkpoint: by crops, by class, and which class was taken for which. */

import { count, hasTop5, percent, standardError } from '../../base/format.js';
import { type Confusion, errorOf } from '../evaluate/confusion.js';
import type { Report } from './gather.js';
import { type Html, html, scrolling, table } from './html.js';
import type { CropErrors, Measured } from './measure.js';

/** Above this number of classes a matrix is too large to read; the pairs stand for it. */
const MATRIX_CLASSES = 30;
const PAIRS = 20;
/** Two if the network sees the whole image. */
const CROPS: Record<number, string> = { 1: 'centre crop', 2: 'image and mirror image, averaged' };

export function errorsSection({ measured, run }: Report): Html | undefined {
  if (!measured) return undefined;
  const { confusion } = measured;
  return html`<section id="errors"><h2>Errors</h2>
<p>Measured on the ${count(measured.single.images)} ${measured.kind} images of ${measured.data}.</p>
${measured.notes.map((note) => html`<p class="note">${note}</p>`)}
${cropTable(measured, run.labels.length)}</section>
<section id="classes"><h2>Classes</h2>
${run.labels.length <= MATRIX_CLASSES ? matrix(confusion, run.labels) : undefined}
<div class="pair">${classTable(confusion, run.labels)}
${pairTable(confusion, run.labels)}</div></section>`;
}

function cropTable({ single, ten }: Measured, classes: number): Html {
  const shown = <T>(errors: [T, T]): T[] => (hasTop5(classes) ? errors : errors.slice(0, 1));
  const row = ({ crops, top1Error, top5Error, loss, images }: CropErrors) => [
    CROPS[crops] ?? `${crops} crops, averaged`,
    ...shown([top1Error, top5Error]).map(
      (error) => `${percent(error)} ± ${(100 * standardError(error, images)).toFixed(2)}`,
    ),
    loss.toFixed(4),
  ];
  const columns = [
    { name: 'prediction' },
    ...[...shown(['top-1 error', 'top-5 error']), 'loss'].map((name) => ({ name, isNumber: true })),
  ];
  return table('Errors by crops, ± their standard error', columns, ten ? [row(single), row(ten)] : [row(single)]);
}

/** Rows are true classes; a cell's shade is the root of its share of the row, so that rare mistakes are seen too. */
function matrix(confusion: Confusion, labels: string[]): Html {
  const caption = 'Confusion matrix: images by true class (rows) and predicted class (columns)';
  const heads = labels.map((label) => html`<th scope="col"><span>${label}</span></th>`);
  const rows = labels.map((name, label) => {
    const images = confusion.images(label);
    const cells = labels.map((_, predicted) => cell(confusion.at(label, predicted), images, label === predicted));
    return html`<tr><th scope="row">${name}</th>${cells}</tr>\n`;
  });
  return scrolling(
    caption,
    html`<table class="matrix"><caption>${caption}</caption>
<thead><tr><td></td>${heads}</tr></thead>
<tbody>
${rows}</tbody></table>`,
  );
}

function cell(images: number, ofRow: number, isRight: boolean): Html {
  const shade = ofRow > 0 ? Math.round(100 * Math.sqrt(images / ofRow)) : 0;
  const shown = images > 0 || isRight ? count(images) : undefined;
  return html`<td class="${isRight ? 'right' : 'wrong'}" style="--share:${shade}%">${shown}</td>`;
}

function pairTable(confusion: Confusion, labels: string[]): Html {
  const pairs = confusion.pairs();
  if (pairs.length === 0) return html`<p>Every image was given its class.</p>`;
  const columns = [
    { name: 'true class' },
    { name: 'taken for' },
    { name: 'images', isNumber: true },
    { name: 'of the class', isNumber: true },
  ];
  const rows = pairs
    .slice(0, PAIRS)
    .map(({ label, predicted, images }) => [
      labels[label],
      labels[predicted],
      count(images),
      percent(images / confusion.images(label), 1),
    ]);
  const which = pairs.length > PAIRS ? `the ${PAIRS} most frequent of ${count(pairs.length)}` : 'all';
  return table(`Confused pairs, ${which}`, columns, rows);
}

function classTable(confusion: Confusion, labels: string[]): Html {
  const classes = [...confusion.worstFirst(), ...confusion.byClass().filter(({ images }) => images === 0)];
  const columns = [
    { name: 'class' },
    { name: 'images', isNumber: true },
    { name: 'top-1 error', isNumber: true },
    { name: 'most frequent mistake' },
  ];
  const rows = classes.map((errors) => [
    labels[errors.label],
    count(errors.images),
    errors.images > 0
      ? html`<span class="bar" style="--share:${Math.round(100 * errorOf(errors))}%">${percent(errorOf(errors), 1)}</span>`
      : 'no images',
    errors.mistake && `${labels[errors.mistake.predicted]} (${count(errors.mistake.images)})`,
  ]);
  return table('Classes, the greatest error first', columns, rows);
}
