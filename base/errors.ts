/**
 * Errors that a user can act on: the message says where, what was expected, what came and what to do, so commands print
 * it without a stack trace and exit with 1. Anything else that reaches the top is a fault of ours.
 */
export class UserError extends Error {
  override name = 'UserError';
}

/** A tensor or layer whose shape does not fit; the message names both shapes. */
export class ShapeError extends UserError {
  override name = 'ShapeError';
}

/** A command called in a way that cannot work, whatever the files hold; commands exit with 2, not 1. */
export class UsageError extends UserError {
  override name = 'UsageError';
}

/** An option of a library call that cannot be used; a command has a flag for it, named the same with dashes. */
export class OptionError extends UsageError {
  override name = 'OptionError';

  /** The message where a flag gave it. */
  readonly forCommand: string;

  constructor(option: string, problem: string, options?: ErrorOptions) {
    super(`${option}: ${problem}`, options);
    this.forCommand = `--${dashed(option)}: ${problem}`;
  }
}

/** An option for readers who may have given it from code or as a flag: `allowedHosts (--allowed-hosts)`. */
export const bothNames = (option: string, flag = dashed(option)): string => `${option} (--${flag})`;

const dashed = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
