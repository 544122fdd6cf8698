/** Results of image files as text: blocks for people, JSON or CSV a line each for programs. */
import type { FileResult } from './classify-files.js';
import { formatPredictions } from './format-predictions.js';

/** Of results that come one after the other. */
export interface ResultFormat {
  header?: string;
  of(result: FileResult): string;
}

/** What could not be read says why. */
export const TEXT: ResultFormat = {
  of: (result) => {
    const body =
      'error' in result ? `  not classified: ${result.error.message}` : formatPredictions(result.predictions);
    return `${result.image}\n${body}`;
  },
};

export const JSON_LINES: ResultFormat = { of: (result) => JSON.stringify(result) };

/** RFC 4180, but for the line breaks, which stay as the system's tools expect them. */
export function csv(top: number): ResultFormat {
  const columns = Array.from({ length: top }, (_, i) => [`label_${i + 1}`, `probability_${i + 1}`]).flat();
  return {
    header: ['image', ...columns, 'error'].join(','),
    of: (result) => {
      const values =
        'error' in result
          ? Array(2 * top).fill('')
          : result.predictions.flatMap(({ label, probability }) => [quoted(label), String(probability)]);
      return [quoted(result.image), ...values, 'error' in result ? quoted(result.error.message) : ''].join(',');
    },
  };
}

function quoted(text: string): string {
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
