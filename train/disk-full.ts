/** Writes that found no room. */
import { UserError } from '../model/errors.js';

const REASONS: Record<string, string> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'it is longer than files may be here (ulimit -f, or the file system)',
};

/** The file that could not be written is gone or was cut short; those that it was to replace are as they were. */
export class DiskFullError extends UserError {
  override name = 'DiskFullError';
  readonly reason: string;

  /** @param code  of the operating system, a key of `REASONS` */
  constructor(
    readonly path: string,
    readonly code: string,
    cause: unknown,
  ) {
    super(`${path}: cannot be written: ${REASONS[code]}; make room and repeat the command`, { cause });
    this.reason = REASONS[code];
  }
}

/** The error of a write to `path`: as a `DiskFullError` where there was no room, else as it is. */
export function writeError(path: string, error: unknown): unknown {
  const { code = '' } = error as NodeJS.ErrnoException;
  return Object.hasOwn(REASONS, code) && !(error instanceof DiskFullError)
    ? new DiskFullError(path, code, error)
    : error;
}
