/** Lengths that data decide, while a program is traced: the trace chooses them, as it does those of free axes. */
import type { FreeAxis } from './free-axes.js';

/** Lengths that data decide, in the order in which they are met. */
export interface DynamicLengths {
  /** Which of an axis's traced lengths it takes. */
  point(index: number): 0 | 1 | 2;
  /** Filled by the first trace, followed by the others. */
  readonly axes: FreeAxis[];
}

let current: (DynamicLengths & { lengths: number; loops: number }) | undefined;

/** Calls `body` with lengths for what data decide in it. */
export async function withLengths<T>(lengths: DynamicLengths, body: () => Promise<T>): Promise<T> {
  const outer = current;
  current = { ...lengths, lengths: 0, loops: 0 };
  try {
    return await body();
  } finally {
    current = outer;
  }
}

/** A length in a trace, and its number among those that data decide. */
export interface TracedLength {
  index: number;
  length: number;
}

/** The next axis whose length the data decide. @param name  of its length in the file */
export function nextLength(name: string, what: string, traced: FreeAxis['traced']): TracedLength {
  const { axes, point } = current!;
  const index = current!.lengths++;
  axes[index] ??= {
    name: `${name}${index === 0 ? '' : index}`,
    what,
    advice: 'cut the model before it with outputs (--outputs)',
    traced,
  };
  return { index, length: axes[index].traced[point(index)] };
}

/** The number of the next loop whose rounds the data decide. */
export const nextLoop = (): number => current!.loops++;
