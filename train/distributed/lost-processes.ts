import type { Interrupt } from '../../base/process/interrupt.js';
import type { Communicator } from './communicator.js';

/** So long after a signal a process tells that it waits for others; Open MPI kills it after a second. */
const WAITING_MS = 400;

/**
 * A launcher that lost a process of the job signals the others, whose sums will never end, and kills them a little
 * later.
 * @param tell  called once, when this process was signalled and still waits
 * @returns     ends the watch
 */
export function watchForLostProcesses({ size }: Communicator, interrupt: Interrupt, tell: () => void): () => void {
  if (size === 1) return () => {};
  let signalledAt = Number.POSITIVE_INFINITY;
  const timer = setInterval(() => {
    if (interrupt.signal) signalledAt = Math.min(signalledAt, Date.now());
    if (Date.now() - signalledAt < WAITING_MS) return;
    clearInterval(timer);
    tell();
  }, WAITING_MS / 2);
  return () => clearInterval(timer);
}
