/** What options of the server and of a classifier may be, given from code or as flags. */
import { OptionError } from '../base/errors.js';
import { PROVIDER_CHOICES } from '../onnx/backend/provider.js';

type Range = readonly [low: number, high: number];

const ANY = Number.MAX_SAFE_INTEGER;

/** From the first to the last, whole unless the last is infinite. */
export const WHOLE_NUMBERS = {
  replicas: [1, 64],
  threads: [1, 1024],
  helperMemory: [0, Number.POSITIVE_INFINITY],
  batch: [1, 256],
  batchDelayMs: [0, 10_000],
  cacheBytes: [0, ANY],
  maxWaiting: [0, Number.POSITIVE_INFINITY],
  maxBytes: [1, Number.POSITIVE_INFINITY],
  maxInFlight: [1, Number.POSITIVE_INFINITY],
  maxBatchImages: [1, 1000],
  maxBatchBytes: [1, Number.POSITIVE_INFINITY],
  maxPixels: [1, Number.POSITIVE_INFINITY],
} as const satisfies Record<string, Range>;

/** At most 24 days: longer timers overflow and fire at once. */
export const MAX_SECONDS = 2_000_000;

/** The least milliseconds: of these two, 0 has a meaning. */
const TIMES = {
  timeoutMs: Number.MIN_VALUE,
  uploadTimeoutMs: Number.MIN_VALUE,
  keepAliveMs: 0,
  viewIdleMs: 0,
} as const;

type Checked = 'provider' | keyof typeof WHOLE_NUMBERS | keyof typeof TIMES;

/**
 * Undefined options pass: they have defaults.
 * @throws {OptionError} for the first that cannot be used
 */
export function checkOptions(options: Partial<Record<Checked, unknown>>): void {
  const { provider } = options;
  const requireThat = (isGood: boolean, name: Checked, expected: string) => {
    if (options[name] === undefined || isGood) return;
    throw new OptionError(name, `expected ${expected}, got ${inWords(options[name])}`);
  };
  requireThat(PROVIDER_CHOICES.includes(provider as 'cpu'), 'provider', `one of ${PROVIDER_CHOICES.join(', ')}`);
  for (const [name, [low, high]] of Object.entries(WHOLE_NUMBERS) as [keyof typeof WHOLE_NUMBERS, Range][]) {
    const [value, isAny] = [options[name], high === Number.POSITIVE_INFINITY];
    const expected = `a ${isAny ? '' : 'whole '}number, ${rangeInWords([low, high])}`;
    requireThat((isAny || Number.isInteger(value)) && inRange(value, low, high), name, expected);
  }
  const longest = 1000 * MAX_SECONDS;
  for (const [name, least] of Object.entries(TIMES) as [keyof typeof TIMES, number][])
    requireThat(inRange(options[name], least, longest), name, `milliseconds, up to ${longest}`);
}

/** @throws {OptionError} */
export function checkFile(file: unknown): void {
  if (typeof file === 'string' && file !== '') return;
  throw new OptionError('file', `expected the path of a .onnx file, got ${inWords(file)}`);
}

/** `1 to 64`, `0 or more`. */
export const rangeInWords = ([low, high]: Range): string => (high >= ANY ? `${low} or more` : `${low} to ${high}`);

const inRange = (value: unknown, low: number, high: number): boolean =>
  typeof value === 'number' && value >= low && value <= high;

const inWords = (value: unknown): string => (typeof value === 'string' ? JSON.stringify(value) : String(value));
