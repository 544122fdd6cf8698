/** Flags of every command that reads a data set: which images to hold out if it has no val or test. */
import type { Command } from 'commander';
import { DEFAULT_HOLD_OUT } from '../train/data/layout/hold-out.js';
import type { HoldOutRequest } from '../train/data/layout/image-places.js';
import { fractionBelowOne, wholeNumber } from './flag-types.js';

export interface HoldOutFlags {
  valFraction?: number;
  splitSeed?: number;
}

/** @param otherDefault  where the command knows better than the usual default */
export function holdOutOptions(command: Command, otherDefault = ''): Command {
  const { fraction, seed } = DEFAULT_HOLD_OUT;
  return command
    .option(
      '--val-fraction <share>',
      `of data without val/ and test/: images of each class to hold out; 0: none, errors are of the training images (default: ${otherDefault}${fraction})`,
      fractionBelowOne,
    )
    .option('--split-seed <n>', `which images these are (default: ${otherDefault}${seed})`, wholeNumber);
}

/** @returns undefined if no flag was given */
export function holdOutFrom({ valFraction: fraction, splitSeed: seed }: HoldOutFlags): HoldOutRequest | undefined {
  return fraction === undefined && seed === undefined ? undefined : { fraction, seed };
}

export const AS_THE_RUN = 'as the run, else ';
