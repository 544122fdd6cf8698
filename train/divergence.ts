/**
 * Tells when training is beyond hope. NaN is; so is a loss that for WINDOW steps and WINDOW more was above three times
 * that of guessing with equal probabilities, ln(classes), and was higher in the later ones: a network that ignores its
 * images does better. One that peaks after a start at a high rate does not stay there for so long, and falls.
 */

import { UserError } from '../base/errors.js';

/** Training that is beyond hope. */
export class DivergedError extends UserError {
  override name = 'DivergedError';
}

const WINDOW = 20;
const HOPELESS = 3;

export class DivergenceWatch {
  private readonly bound: number;

  /** @param recent  the last 2 · WINDOW losses or fewer; each new one is put into it, and the oldest taken out */
  constructor(
    private readonly classes: number,
    private readonly recent: number[],
  ) {
    this.bound = HOPELESS * Math.log(classes);
  }

  /**
   * Takes in the loss of the next step.
   * @returns what is wrong, for people; undefined if nothing is
   */
  observe(loss: number): string | undefined {
    const { recent, bound } = this;
    if (!Number.isFinite(loss)) return `loss is ${loss}`;
    recent.push(loss);
    if (recent.length > 2 * WINDOW) recent.shift();
    if (recent.length < 2 * WINDOW || recent.some((value) => value <= bound)) return undefined;
    const [before, now] = [mean(recent.slice(0, WINDOW)), mean(recent.slice(WINDOW))];
    if (now <= before) return undefined;
    return (
      `${2 * WINDOW} losses were above ${bound.toPrecision(3)}, ${HOPELESS} times that of guessing among ${this.classes} classes, ` +
      `and they rise (mean ${before.toPrecision(3)}, then ${now.toPrecision(3)})`
    );
  }
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
