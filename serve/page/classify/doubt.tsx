/** What to make of the numbers, where they do not speak for themselves. */
import { percent, words } from '../parts/numbers.js';
import type { Classified, Prediction } from '../server/answers.js';

/** Below, the best is a guess. */
const LEAST = 0.4;
/** As undecided as among this many equally probable classes, or more. */
const MOST_CLASSES = 4;

export function Doubt({ answer: { predictions, multi_label: eachAlone } }: { answer: Classified }) {
  const [{ label, probability }] = predictions;
  if (eachAlone) {
    return (
      <p class="aside">
        Each label is judged on its own: several may apply, or none, so the percentages need not add up to 100 %.
      </p>
    );
  }
  if (isSure(predictions)) return null;
  return (
    <p class="doubt">
      <strong>Not sure.</strong> The best guess, {words(label)}, has only {percent(probability)}. The image may show
      something that this network was never taught.
    </p>
  );
}

export function isSure(predictions: readonly Prediction[]): boolean {
  return predictions[0].probability >= LEAST && 2 ** leastEntropy(predictions) < MOST_CLASSES;
}

/** Bits. No class that is not among the best has more than the last of these. */
function leastEntropy(best: readonly Prediction[]): number {
  const given = best.map(({ probability }) => probability).filter((probability) => probability > 0);
  const rest = Math.max(0, 1 - given.reduce((sum, one) => sum + one, 0));
  const known = given.reduce((sum, one) => sum - one * Math.log2(one), 0);
  return known - rest * Math.log2(given.at(-1) ?? 1);
}
