/**
 * Tries that may fail for a time: again after a delay that doubles, with jitter so that processes do not come all at
 * once.
 */
import { setTimeout } from 'node:timers/promises';
import { UserError } from '../../../base/errors.js';
import type { RemoteOptions } from './options.js';

const MAX_DELAY_MS = 30_000;
/** Of what a server asks to be waited for. */
const MAX_ASKED_MS = 120_000;

/** A try that may go well another time. */
export class FailedTry extends Error {
  /** @param askedMs  what the server asks to be waited for */
  constructor(
    message: string,
    readonly askedMs = 0,
  ) {
    super(message);
  }
}

/**
 * @param what  for messages: where, and what was expected
 * @throws {UserError} after the last try; errors that are no `FailedTry` at once
 */
export async function withTries<T>(
  what: string,
  attempt: () => Promise<T>,
  { tries, delayMs, note }: Pick<RemoteOptions, 'tries' | 'delayMs' | 'note'>,
): Promise<T> {
  for (let done = 1; ; done++) {
    try {
      return await attempt();
    } catch (cause) {
      if (!(cause instanceof FailedTry)) throw cause;
      if (done === tries) {
        throw new UserError(
          `${what}, got ${cause.message} (${tries} tries); check the server and the connection, then repeat the command`,
          { cause },
        );
      }
      const jittered = Math.min(MAX_DELAY_MS, delayMs * 2 ** (done - 1)) * (0.5 + Math.random());
      const waitMs = Math.max(jittered, Math.min(MAX_ASKED_MS, cause.askedMs));
      const wait = `trying again in ${(waitMs / 1000).toFixed(1)} s, ${done + 1} of ${tries}`;
      note(`warning: ${what}, got ${cause.message}; ${wait}`);
      await setTimeout(waitMs);
    }
  }
}
