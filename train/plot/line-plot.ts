/** A line plot as SVG: lines differ by colour, by mark and, where asked, by dashes. */
import { printable } from './markup.js';
import { type PlotSize, renderSvg } from './svg.js';
import { axis, FAINT, grid, legend, legendHeight, PALETTE, SYMBOLS, TEXT, title } from './theme.js';

/** One line; points in the order of x. A point that has no place on the axes, such as NaN, is a gap in the line. */
export interface PlotSeries {
  name: string;
  points: readonly (readonly [number, number])[];
  dashed?: boolean;
}

export interface LinePlot {
  title: string;
  xLabel: string;
  yLabel: string;
  series: readonly PlotSeries[];
  xLog?: boolean;
  yLog?: boolean;
  yMin?: number;
  yMax?: number;
  /** horizontal reference lines */
  levels?: readonly { y: number; label: string }[];
}

/** Marks along a line that has more points. */
const MARKS = 12;

/** A self-contained SVG document, also fit to be put inside HTML; readable on white and on GitHub. */
export function linePlot(plot: LinePlot, size: PlotSize = { width: 640, height: 380 }): string {
  const { series, xLog = false, yLog = false } = plot;
  const lines = series.map((line) => ({ ...line, points: line.points.map((point) => placed(point, xLog, yLog)) }));
  const names = lines.map(({ name }) => printable(name));
  const isWhole = !xLog && lines.every(({ points }) => points.every(([x]) => Number.isInteger(x)));
  const option = {
    title: title(printable(plot.title)),
    legend: { ...legend(), data: names },
    grid: grid(40 + legendHeight(names, size.width)),
    xAxis: {
      ...axis(printable(plot.xLabel)),
      type: xLog ? 'log' : 'value',
      scale: true,
      ...(isWhole && { minInterval: 1 }),
    },
    yAxis: {
      ...axis(printable(plot.yLabel)),
      type: yLog ? 'log' : 'value',
      scale: true,
      min: plot.yMin,
      max: plot.yMax,
    },
    series: [...lines.flatMap(lineWithMarks), levelLines(plot.levels ?? [], lines[0]?.points[0]?.[0])],
  };
  return renderSvg(option, describe(plot), size);
}

type Placed = [number, number | null];

function placed([x, y]: readonly [number, number], xLog: boolean, yLog: boolean): Placed {
  const fits = (value: number, isLog: boolean) => Number.isFinite(value) && (!isLog || value > 0);
  return fits(x, xLog) && fits(y, yLog) ? [x, y] : [fits(x, xLog) ? x : Number.NaN, null];
}

/** The line itself and, as a second series of its name, some of its points as marks: the line may be thinned out. */
function lineWithMarks({ name, points, dashed }: { name: string; points: Placed[]; dashed?: boolean }, index: number) {
  const color = PALETTE[index % PALETTE.length];
  const symbol = SYMBOLS[index % SYMBOLS.length];
  const shared = { type: 'line', name: printable(name), itemStyle: { color }, symbol, symbolSize: 7 };
  const line = { ...shared, lineStyle: { color, width: 2, type: dashed ? 'dashed' : 'solid' } };
  const every = Math.max(1, Math.ceil(points.length / MARKS));
  const marks = points.filter((_, i) => (i + 1) % every === 0);
  return [
    { ...line, data: points, showSymbol: false, sampling: 'lttb' },
    { ...shared, data: marks, showAllSymbol: true, lineStyle: { width: 0 } },
  ];
}

/** @param x  a place on the x axis: points there that are not drawn keep the levels inside the plot */
function levelLines(levels: readonly { y: number; label: string }[], x = Number.NaN) {
  const label = { position: 'insideStartTop', color: TEXT, fontFamily: 'sans-serif' };
  return {
    type: 'line',
    data: levels.map(({ y }) => [x, y]),
    symbol: 'none',
    lineStyle: { width: 0 },
    markLine: {
      symbol: 'none',
      lineStyle: { color: FAINT, type: 'dotted', width: 1.5 },
      data: levels.map(({ y, label: text }) => ({ yAxis: y, label: { ...label, formatter: () => printable(text) } })),
    },
  };
}

/** For those who do not see it: the title, and where each line begins and ends. */
function describe({ title: name, xLabel, yLabel, series, levels = [] }: LinePlot): string {
  const lines = series.map(({ name: line, points }) => {
    if (points.length === 0) return `${line}: no points`;
    const [[x0, y0], [x1, y1]] = [points[0], points.at(-1)!];
    return `${line}: ${short(y0)} at ${short(x0)}, ${short(y1)} at ${short(x1)}`;
  });
  const references = levels.map(({ y, label }) => `${label}: ${short(y)}`);
  return `${name}. ${yLabel} by ${xLabel}. ${[...lines, ...references].join('; ')}.`;
}

const short = (value: number) => String(Number(value.toPrecision(3)));
