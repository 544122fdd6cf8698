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
  const units: [number, string][] = [
    [1e9, 'GB'],
    [1e6, 'MB'],
    [1e3, 'kB'],
  ];
  const [size, unit] = units.find(([least]) => value >= least) ?? [1, 'B'];
  return `${Number((value / size).toFixed(1))}${NARROW}${unit}`;
}

/** Labels of files, as people write them. */
export function words(label: string): string {
  return label.replaceAll('_', ' ');
}

/** Three significant digits, without an exponent where that is readable. */
export function significant(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? value.toExponential(2) : Number(value.toPrecision(3)).toString();
  return text.replaceAll('-', '−');
}

/** [96, 55, 55] → 96 × 55 × 55 */
export function shape(lengths: readonly (number | string)[]): string {
  return lengths.join(' × ');
}
