/** Predictions for people: one line each, the most probable first, with a bar. */
import type { Prediction } from './served-model.js';

const BAR_WIDTH = 24;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

export function formatPredictions(predictions: readonly Prediction[]): string {
  const width = Math.max(...predictions.map(({ label }) => label.length));
  return predictions
    .map(({ label, probability }) => {
      const percent = (100 * probability).toFixed(1).padStart(5);
      return `  ${label.padEnd(width)}  ${percent} % ${bar(probability)}`.trimEnd();
    })
    .join('\n');
}

function bar(probability: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, probability)) * BAR_WIDTH * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8];
}
