/** Output that is documented, compared with what is printed. */

/**
 * Text but for numbers, units, white space, file names with a label in them, and what is only said of some epochs and
 * differences.
 */
export function shape(text: string): string {
  return text
    .replace(/\S*guitar\S*/g, 'guitar')
    .replace(/\b[0-9a-f]{64}\b/g, '#')
    .replace(/(?<![\w.-])\d[\d,]*(\.\d+)?(e[+-]?\d+)?/g, '#')
    .replace(/# (ms|s|seconds|minutes|hours)\b/g, '# s')
    .replace(/# (step|epoch)\b/g, '# $1s')
    .replace(/# (kB|MB|GB)\b/g, '# MB')
    .replace(/ {2}best$|; worst \S+ # for #/gm, '')
    .replace(/\s+/g, ' ')
    .trim();
}

/** @param output  of the docs: `…` stands for any lines; what came before it, such as the backend, may be left out */
export function matches(output: string, printed: string): boolean {
  const escaped = shape(output)
    .replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    .replace(/ ?… ?/g, '.*');
  return new RegExp(`(^| )${escaped}$`).test(shape(printed));
}
