/** Writes that failed, for most because there was no room. */
import { UserError } from './errors.js';

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

/**
 * The error of a write to `path`: a `DiskFullError` if there was no room, a `UserError` if the system refused it, else
 * as it is.
 */
export function writeError(path: string, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined || error instanceof UserError) return error;
  if (Object.hasOwn(REASONS, code)) return new DiskFullError(path, code, error);
  return new UserError(`${path}: cannot be written: ${message}`, { cause: error });
}
