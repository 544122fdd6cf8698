import { STOP_SIGNALS } from '../base/process/stop-signals.js';

/**
 * In a forked process. Signals of a terminal or a supervisor reach the whole group; the server decides when this
 * process ends.
 */
export function endWithServer(): void {
  for (const signal of STOP_SIGNALS) process.on(signal, () => undefined);
  process.on('disconnect', () => process.exit(0));
  if (!process.connected) process.exit(0); // the server ended while this process was starting
}
