/** Signals that ask a command to end. The first lets it save or answer what it has; another ends it at once. */
import { constants } from 'node:os';
import { startedByNohup } from './nohup.js';
import { findLauncher, watch } from './npm-launcher.js';

/** SIGHUP: the terminal was closed. SIGBREAK: Ctrl-Break on Windows, where a closed console is SIGHUP as well. */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGBREAK'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];

/**
 * npm passes a signal on that its child has had from the terminal already; this soon after the first it is not a second
 * one.
 */
const COPY_MS = 1000;

/** The exit code that shells give a process ended by the signal. */
export function exitCodeOf(signal: StopSignal): number {
  return 128 + constants.signals[signal];
}

/**
 * Listens from now on. The death of the npm process that started this one counts as SIGTERM, since npx passes none on.
 * @param first  called once
 * @param again  called at every request after the first; a terminal that closes is none, since it sends several signals
 * @returns stops listening
 */
export function onStopSignal(first: (signal: StopSignal) => void, again: (signal: StopSignal) => void): () => void {
  const launcher = findLauncher();
  let begun = false;
  let asked: { signal: StopSignal; at: number } | undefined;
  const begin = (signal: StopSignal) => {
    if (!begun) first(signal);
    begun = true;
  };
  const unwatch = launcher === undefined ? () => undefined : watch(launcher, () => begin('SIGTERM'));
  const listener = (signal: StopSignal) => {
    if (signal === 'SIGHUP') {
      if (startedByNohup())
        unwatch(); // an npx that nohup started dies of it all the same
      else begin(signal);
    } else if (asked === undefined) {
      asked = { signal, at: performance.now() };
      begin(signal);
    } else if (launcher === undefined || signal !== asked.signal || performance.now() - asked.at > COPY_MS)
      again(signal);
  };
  for (const signal of STOP_SIGNALS) process.on(signal, listener);
  return () => {
    unwatch();
    for (const signal of STOP_SIGNALS) process.off(signal, listener);
  };
}
