/** Numbers as people read them. */

/** A fraction, e.g. 0.1234 as `12.34 %`. */
export function percent(fraction: number, digits = 2): string {
  return `${(100 * fraction).toFixed(digits)} %`;
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
