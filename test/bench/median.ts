/** The upper of the two middle values where their number is even. */
export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1];
