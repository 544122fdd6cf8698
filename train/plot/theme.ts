/**
 * Colours and marks of plots. The palette is that of Okabe and Ito ("Color Universal Design", 2008), which people with
 * any common colour blindness tell apart; its yellow, unreadable on white, is left out.
 */
export const BACKGROUND = '#ffffff';
export const TEXT = '#24292f';
export const FAINT = '#57606a';
export const GRID = '#d8dee4';

export const PALETTE = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#5c5c5c'];
/** Marks, one for each colour, for eyes or paper without colours. */
export const SYMBOLS = ['circle', 'triangle', 'rect', 'diamond', 'emptyCircle', 'emptyTriangle', 'emptyRect'];

/** What a page may put in place of these colours where its own background is dark: the same hues, lighter. */
export const DARK_COLOURS: Record<string, string> = {
  [BACKGROUND]: '#161b22',
  [TEXT]: '#f0f6fc',
  [FAINT]: '#9198a1',
  [GRID]: '#3d444d',
  '#0072b2': '#3d9be9',
  '#d55e00': '#f0803c',
  '#009e73': '#2fbf93',
  '#5c5c5c': '#b1bac4',
};

const FONT = { fontFamily: 'sans-serif', color: TEXT };

/** Ends with dots if it is wider than the plot; the width of bold letters is a guess of ECharts, and a low one. */
export const title = (text: string, width: number) => ({
  text,
  left: 8,
  top: 8,
  textStyle: { ...FONT, fontSize: 15, fontWeight: 'bold' as const, width: 0.85 * width, overflow: 'truncate' as const },
});

/** What both axes of a plot have in common. */
export const axis = (name: string) => ({
  name,
  nameLocation: 'middle' as const,
  nameTextStyle: { ...FONT, fontSize: 12 },
  axisLabel: { ...FONT, fontSize: 12 },
  axisLine: { onZero: false, lineStyle: { color: FAINT } },
  axisTick: { lineStyle: { color: FAINT } },
  splitLine: { lineStyle: { color: GRID } },
});

export const legend = () => ({ left: 8, top: 34, itemWidth: 34, itemGap: 18, textStyle: { ...FONT, fontSize: 12 } });

/**
 * Of the rows that a legend of these names takes, pixels; ECharts lays them out alike but does not move the plot down.
 */
export function legendHeight(names: readonly string[], width: number): number {
  let [rows, used] = [1, 0];
  for (const name of names) {
    const item = 34 + 5 + 18 + 7 * name.length; // icon, its gap, gap between items, letters of 12 pixels
    if (used > 0 && used + item > width - 16) [rows, used] = [rows + 1, 0];
    used += item;
  }
  return 26 + 31 * (rows - 1);
}

/** Room for title and legend; the axes' names and numbers are kept inside by ECharts. */
export const grid = (top: number) => ({ left: 16, right: 24, top, bottom: 12 });
