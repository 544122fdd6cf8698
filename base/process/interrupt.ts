/**
 * Ctrl-C, SIGTERM and a closed terminal: the first asks the loop to finish its step and save, a second ends the process
 * at once.
 */
import { exitCodeOf, onStopSignal, type StopSignal } from './stop-signals.js';

/** The signal that came, if one did. */
export interface Interrupt {
  signal?: StopSignal;
}

/**
 * Listens from now on; `close` stops listening.
 * @param end  the process, at the second signal
 */
export function listenForInterrupt(
  onFirst: (signal: StopSignal) => void,
  end: (code: number) => void = process.exit,
): Interrupt & { close(): void } {
  const interrupt: Interrupt & { close(): void } = {
    close: onStopSignal(
      (signal) => {
        interrupt.signal = signal;
        onFirst(signal);
      },
      (signal) => end(exitCodeOf(signal)),
    ),
  };
  return interrupt;
}
