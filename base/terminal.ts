/** Colours and frames for people at a terminal; plain text in files and pipes, and where NO_COLOR asks for it. */

/** Codes of ECMA-48 that begin and end a style. */
const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const;

export type Styles = Record<keyof typeof CODES, (text: string) => string>;

const stylesBy = (style: (begin: number, end: number) => (text: string) => string) =>
  Object.fromEntries(Object.entries(CODES).map(([name, [begin, end]]) => [name, style(begin, end)])) as Styles;

/** For text whose styles are taken out again where they are not shown. */
export const STYLED = stylesBy((begin, end) => (text) => `\u001b[${begin}m${text}\u001b[${end}m`);
const PLAIN = stylesBy(() => (text) => text);

/** What a stream shows of each style: on a terminal that has colours, unless NO_COLOR or FORCE_COLOR says otherwise. */
export function stylesOf(stream: NodeJS.WriteStream): Styles {
  return (asked() ?? (stream.isTTY && stream.hasColors())) ? STYLED : PLAIN;
}

function asked({ NO_COLOR, FORCE_COLOR } = process.env): boolean | undefined {
  if (NO_COLOR || FORCE_COLOR === '0' || FORCE_COLOR === 'false') return false;
  return FORCE_COLOR ? true : undefined;
}

/** A command's result for a person: headings in bold, by default the first line; bars in colour. */
export function headed(text: string, heading = /^.*/): string {
  const { bold, cyan } = stylesOf(process.stdout);
  return text.replace(heading, bold).replace(/[█-▏]+/g, cyan);
}

/** Columns that a text takes, its styles aside. */
export function columnsOf(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the character that begins a style
  return text.replaceAll(/\u001b\[\d+m/g, '').length;
}

/** Lines in a box as wide as the longest of them. */
export function framed(lines: readonly string[]): string {
  const width = Math.max(...lines.map(columnsOf));
  const edge = '─'.repeat(width + 4);
  return [`╭${edge}╮`, ...lines.map((line) => `│  ${line}${' '.repeat(width - columnsOf(line))}  │`), `╰${edge}╯`].join(
    '\n',
  );
}
