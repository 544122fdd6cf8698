/** What `alexnet evaluate` prints. */
import { errorPercents, percent } from '../base/format.js';
import { errorOf } from '../train/evaluate/confusion.js';
import type { EvaluationReport } from '../train/evaluate/evaluate-run.js';

/** Classes in the table; of more, those with the greatest errors. */
const MOST_CLASSES = 30;
const WORST_CLASSES = 10;

export function evaluationJson(report: EvaluationReport): object {
  const { images, top1Error, top5Error, confusion, labels, told: _, ...rest } = report;
  const [pair] = confusion.pairs();
  return {
    images,
    top1_error: top1Error,
    top5_error: top5Error,
    ...rest,
    classes: confusion.byClass().map((errors) => ({
      label: labels[errors.label],
      images: errors.images,
      top1_error: errors.images > 0 ? errorOf(errors) : null,
    })),
    most_confused: pair ? { label: labels[pair.label], predicted: labels[pair.predicted], images: pair.images } : null,
  };
}

export function describeEvaluation({ confusion, labels, ...report }: EvaluationReport): string {
  const { model, data, images, told, top1Error, top5Error } = report;
  const errors = errorPercents(top1Error, top5Error, labels.length);
  const lines = [`${model} on ${data}, ${images} ${told.kind} images, ${told.crops}: top-1 error ${errors}`];
  const measured = confusion.worstFirst();
  const shown = measured.slice(0, measured.length > MOST_CLASSES ? WORST_CLASSES : MOST_CLASSES);
  const width = Math.max(...shown.map(({ label }) => labels[label].length));
  for (const errors of shown) {
    const share = percent(errorOf(errors), 1).padStart(7);
    lines.push(`  ${labels[errors.label].padEnd(width)} ${share} of ${errors.images}`);
  }
  if (shown.length < measured.length) lines.push(`  … the ${shown.length} greatest of ${measured.length} classes`);
  const [pair] = confusion.pairs();
  if (pair) {
    const { label, predicted, images: taken } = pair;
    lines.push(
      `most confused: ${labels[label]} taken for ${labels[predicted]}, ${taken} of ${confusion.images(label)} images`,
    );
  }
  return lines.join('\n');
}
