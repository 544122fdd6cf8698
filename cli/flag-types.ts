/** Parses numbers given as flags; a bad one is a usage error (exit 2) that says what was expected. */
import { InvalidArgumentError } from 'commander';
import { CROP_COUNTS, type CropCount } from '../base/crops.js';
import { MODEL_NAME } from '../onnx/file/model-name.js';

function parse(text: string, expected: string, isGood: (value: number) => boolean): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(value) || !isGood(value)) throw new InvalidArgumentError(`Expected ${expected}, got "${text}".`);
  return value;
}

/** A whole number, at least 1. */
export const positiveInteger = (text: string) =>
  parse(text, 'a whole number of at least 1', (v) => Number.isInteger(v) && v >= 1);

/** A whole number, at least 0. */
export const wholeNumber = (text: string) =>
  parse(text, 'a whole number of at least 0', (v) => Number.isInteger(v) && v >= 0);

export const positiveNumber = (text: string) => parse(text, 'a number above 0', (v) => v > 0);

export const nonNegativeNumber = (text: string) => parse(text, 'a number of at least 0', (v) => v >= 0);

/** At least 0 and below 1. */
export const fractionBelowOne = (text: string) =>
  parse(text, 'a number of at least 0 and below 1', (v) => v >= 0 && v < 1);

/** Crops averaged an image, see `base/crops.ts`. */
export function cropCount(text: string): CropCount {
  const count = CROP_COUNTS.find((known) => String(known) === text);
  if (count !== undefined) return count;
  throw new InvalidArgumentError(`Expected ${CROP_COUNTS.join(', ')}, got "${text}".`);
}

/** What a server calls a model. */
export function modelName(text: string): string {
  if (MODEL_NAME.test(text)) return text;
  throw new InvalidArgumentError(`Expected up to 64 letters, digits, ".", "_" and "-", got "${text}".`);
}

/** Rising whole numbers with commas between: `120,130`. */
export function risingIntegers(text: string): number[] {
  const values = text.split(',').map(positiveInteger);
  if (values.some((value, i) => i > 0 && value <= values[i - 1])) {
    throw new InvalidArgumentError(`Expected rising numbers such as 30,60, got "${text}".`);
  }
  return values;
}
