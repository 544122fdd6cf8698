/** Flags of every command that reads a data set: which images to hold out if it has no val or test, and which to skip. */
import { type Command, InvalidArgumentError } from 'commander';
import type { DataChoice, MaxBad } from '../train/data/dataset.js';
import { DEFAULT_HOLD_OUT } from '../train/data/layout/hold-out.js';
import { DEFAULT_MAX_BAD } from '../train/data/stream/bad-images.js';
import { fractionBelowOne, wholeNumber } from './flag-types.js';

export interface DataFlags {
  valFraction?: number;
  splitSeed?: number;
  maxBad?: MaxBad;
}

export const AS_THE_RUN = 'as the run, else ';

/** @param otherDefault  where the command knows better than the usual default */
export function dataOptions(command: Command, otherDefault = ''): Command {
  const { fraction, seed } = DEFAULT_HOLD_OUT;
  return command
    .optionsGroup('Data:')
    .option(
      '--val-fraction <share>',
      `of data without val/ and test/: share of each class to hold out, 0 to below 1; 0: none, errors are of the training images (default: ${otherDefault}${fraction})`,
      fractionBelowOne,
    )
    .option(
      '--split-seed <n>',
      `which images these are: any whole number (default: ${otherDefault}${seed})`,
      wholeNumber,
    )
    .option(
      '--max-bad <limit>',
      `unreadable images to name and leave out before the command gives up: a share such as 5% or a number (default: ${otherDefault}${100 * DEFAULT_MAX_BAD.share}%, and one in any case)`,
      maxBad,
    );
}

export function dataChoice({ valFraction: fraction, splitSeed: seed, maxBad }: DataFlags): DataChoice {
  return { holdOut: fraction === undefined && seed === undefined ? undefined : { fraction, seed }, maxBad };
}

/** `5%`, or a number of images. */
function maxBad(text: string): MaxBad {
  const [, number, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text.trim()) ?? [];
  const value = Number(number);
  if (percent === '%' && value <= 100) return { share: value / 100 };
  if (percent === '' && Number.isInteger(value)) return { images: value };
  throw new InvalidArgumentError(`Expected a share such as 5% or a number of images such as 3, got "${text}".`);
}
