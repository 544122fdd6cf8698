/** The other end of `hosting/fork-quietly.ts`: how a process begins that computes for the server. */
import { STOP_SIGNALS } from '../base/process/stop-signals.js';

/**
 * From now on this process ends with the server, and not by itself: signals of a terminal or a supervisor reach the
 * whole group.
 * @param begin  called with what the server wants, at once: a listener that it adds misses no message
 */
export function beginWithOptions<T>(begin: (options: T) => void): void {
  for (const signal of STOP_SIGNALS) process.on(signal, () => undefined);
  process.on('disconnect', () => process.exit(0));
  process.on('error', () => process.exit(0)); // an answer that the server is not there to take
  if (!process.connected) process.exit(0); // the server ended while this process was starting
  process.once('message', begin as (options: unknown) => void);
}
