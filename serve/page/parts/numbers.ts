/** Numbers as the page writes them: English digits groups, units after a narrow space. */

const NARROW = '\u202f';

export function percent(fraction: number): string {
  const value = 100 * fraction;
  if (value > 0 && value < 0.05) return `< 0.1${NARROW}%`;
  return `${value.toFixed(1)}${NARROW}%`;
}

/** Three digits, where small differences count. */
export function finePercent(fraction: number): string {
  return `${significant(100 * fraction)}${NARROW}%`;
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}

export function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(1) : count(Math.round(value))}${NARROW}ms`;
}

export function bytes(value: number): string {
  if (value < 1000) return `${value}${NARROW}B`;
  if (value < 1e6) return `${(value / 1e3).toFixed(1)}${NARROW}kB`;
  return `${(value / 1e6).toFixed(1)}${NARROW}MB`;
}

/** Three significant digits, without an exponent where that is readable. */
export function significant(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(2) : Number(value.toPrecision(3)).toString();
}

/** [96, 55, 55] → 96 × 55 × 55 */
export function shape(lengths: readonly (number | string)[]): string {
  return lengths.join(' × ');
}
