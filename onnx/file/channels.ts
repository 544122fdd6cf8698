/** The channels of a classifier's input, and on which axis they are. */

/** A model's channels, in its order. */
export const CHANNELS = { RGB: 3, BGR: 3, GREY: 1, RGBA: 4 } as const;
export type Channels = keyof typeof CHANNELS;

/** That of an input whose lengths tell: three channels, else one or four, on one side alone. */
export function layoutOf(shape: readonly number[]): 'NCHW' | 'NHWC' | undefined {
  for (const counts of [[3], [1, 4]]) {
    const [first, last] = [counts.includes(shape[1]), counts.includes(shape[3])];
    if (first !== last) return first ? 'NCHW' : 'NHWC';
    if (first) return undefined;
  }
  return undefined;
}
