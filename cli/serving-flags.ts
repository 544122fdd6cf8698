/** Flags of the commands that serve and classify. */
import { InvalidArgumentError } from 'commander';

/** Parses a whole number from `low` to `high`. */
export function wholeNumber(low: number, high = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const range = high === Number.MAX_SAFE_INTEGER ? `${low} or more` : `${low} to ${high}`;
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= low && value <= high) return value;
    throw new InvalidArgumentError(`Expected a whole number, ${range}, got "${text}".`);
  };
}

/** At most 24 days: longer timers overflow and fire at once. */
const MAX_SECONDS = 2_000_000;

/** Parses a time in seconds. */
export function seconds(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (value > 0 && value <= MAX_SECONDS) return value;
  throw new InvalidArgumentError(`Expected seconds, more than 0 and at most ${MAX_SECONDS}, got "${text}".`);
}
