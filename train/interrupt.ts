/** Ctrl-C and SIGTERM: the first asks the loop to finish its step and save, the second ends the process at once. */

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** The signal that came, if one did. */
export interface Interrupt {
  signal?: keyof typeof EXIT_CODES;
}

/** The exit code that shells give a process ended by the signal. */
export function exitCodeOf(signal: keyof typeof EXIT_CODES): number {
  return EXIT_CODES[signal];
}

/**
 * Listens from now on; `close` stops listening.
 * @param end  the process, at the second signal
 */
export function listenForInterrupt(
  onFirst: (signal: string) => void,
  end: (code: number) => void = process.exit,
): Interrupt & { close(): void } {
  const interrupt: Interrupt & { close(): void } = {
    close: () => {
      for (const signal of signals) process.off(signal, listener);
    },
  };
  const signals = Object.keys(EXIT_CODES) as (keyof typeof EXIT_CODES)[];
  const listener = (signal: keyof typeof EXIT_CODES) => {
    if (interrupt.signal) end(EXIT_CODES[signal]);
    interrupt.signal = signal;
    onFirst(signal);
  };
  for (const signal of signals) process.on(signal, listener as NodeJS.SignalsListener);
  return interrupt;
}
