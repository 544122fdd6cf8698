/** Flags of the commands that serve and classify. */
import { InvalidArgumentError } from 'commander';
import { MAX_SECONDS, rangeInWords } from '../serve/check-options.js';

/** Parses a whole number from `low` to `high`. */
export function wholeNumber(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= low && value <= high) return value;
    throw new InvalidArgumentError(`Expected a whole number, ${rangeInWords([low, high])}, got "${text}".`);
  };
}

/** Parses a time in seconds. */
export function seconds(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (value > 0 && value <= MAX_SECONDS) return value;
  throw new InvalidArgumentError(`Expected seconds, more than 0 and at most ${MAX_SECONDS}, got "${text}".`);
}
