/** Numbers as people read them. */

/** A fraction, e.g. 0.1234 as `12.34 %`. */
export function percent(fraction: number, digits = 2): string {
  return `${(100 * fraction).toFixed(digits)} %`;
}

/** Whether the top-5 error says something: of five classes or fewer it is 0 whatever a network does. */
export const hasTop5 = (classes: number): boolean => classes > 5;

/** Errors after the words "top-1" or "top-1 error", with the top-5 error if it is known and says something. */
export function errorPercents(top1Error: number, top5Error: number | undefined, classes: number, digits = 2): string {
  const hasBoth = top5Error !== undefined && hasTop5(classes);
  return `${percent(top1Error, digits)}${hasBoth ? `, top-5 ${percent(top5Error, digits)}` : ''}`;
}

/** A whole number, e.g. `60,965,224`. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `1 image`, `2 images`. */
export function counted(value: number, what: string): string {
  return `${count(value)} ${what}${value === 1 ? '' : 's'}`;
}

/** The standard error of a fraction counted on `images` images. */
export function standardError(fraction: number, images: number): number {
  return Math.sqrt((fraction * (1 - fraction)) / images);
}
