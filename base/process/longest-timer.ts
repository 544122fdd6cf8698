/** Of Node, milliseconds: some 24 days. Longer ones fire at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;
