/** Colours and frames for people at a terminal; plain text in files and pipes, and where NO_COLOR asks for it. */

/** Codes of ECMA-48 that begin and end a style. */
const STYLES = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], cyan: [36, 39] } as const;

export type Styles = Record<keyof typeof STYLES, (text: string) => string>;

/** What a stream shows of each style. Node reads NO_COLOR, FORCE_COLOR and TERM. */
export function stylesOf(stream: NodeJS.WriteStream): Styles {
  const shown = stream.isTTY && stream.hasColors();
  const style = ([begin, end]: readonly [number, number]) =>
    shown ? (text: string) => `\u001b[${begin}m${text}\u001b[${end}m` : (text: string) => text;
  return Object.fromEntries(Object.entries(STYLES).map(([name, codes]) => [name, style(codes)])) as Styles;
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
