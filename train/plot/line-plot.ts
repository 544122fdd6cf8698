/** A line plot as SVG: lines differ by colour, by mark and, if asked, by dashes. */
import { type PlotSize, renderSvg } from './svg.js';
import { axis, FAINT, grid, legend, legendHeight, PALETTE, SYMBOLS, TEXT, title } from './theme.js';

/**
 * One line; points in the order of x. A point that has no place on the axes, such as NaN or the logarithm of 0, is a
 * gap.
 */
export interface PlotSeries {
  name: string;
  points: readonly (readonly [number, number])[];
  dashed?: boolean;
  /** Thin and grey behind the others, without marks: for values that scatter. */
  faint?: boolean;
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

/** In the legend, for a line without marks. */
const THIN_LINE = 'path://M0 0H34V1H0Z';
/** Marks along a line that has more points. */
const MARKS = 12;

/** A self-contained SVG document, also fit to be put inside HTML; readable on white and on GitHub. */
export function linePlot(plot: LinePlot, size: PlotSize = { width: 640, height: 380 }): string {
  const { series, xLog = false, yLog = false } = plot;
  const names = series.map(({ name }) => name);
  const isWhole = !xLog && series.every(({ points }) => points.every(([x]) => Number.isInteger(x)));
  const option = {
    title: title(plot.title, size.width),
    legend: {
      ...legend(),
      data: series.map(({ name, faint }) => ({ name, ...(faint && { icon: THIN_LINE }) })),
    },
    grid: grid(40 + legendHeight(names, size.width)),
    xAxis: {
      ...axis(plot.xLabel),
      type: xLog ? 'log' : 'value',
      scale: true,
      ...(isWhole && { minInterval: 1 }),
      ...(xLog && logLabels),
    },
    yAxis: {
      ...axis(plot.yLabel),
      type: yLog ? 'log' : 'value',
      scale: true,
      min: plot.yMin,
      max: plot.yMax,
      ...(yLog && logLabels),
    },
    series: [...series.flatMap(lineWithMarks), levelLines(plot.levels ?? [], series[0]?.points[0]?.[0])],
  };
  return renderSvg(option, describePlot(plot), size);
}

/** The line itself and, as a second series of its name, some of its points as marks: the line may be thinned out. */
function lineWithMarks({ name, points, dashed, faint }: PlotSeries, index: number) {
  const color = faint ? FAINT : PALETTE[index % PALETTE.length];
  const symbol = faint ? 'none' : SYMBOLS[index % SYMBOLS.length];
  const shared = { type: 'line', name, itemStyle: { color }, symbol, symbolSize: 7 };
  const look = faint ? { width: 1, opacity: 0.5 } : { width: 2 };
  const lineStyle = { color, type: dashed ? 'dashed' : 'solid', ...look };
  const data = points.map(([x, y]) => [x, Number.isFinite(y) ? y : null]); // ECharts would scale the axis to infinity
  const every = Math.max(1, Math.ceil(points.length / MARKS));
  const marks = data.filter((_, i) => (i + 1) % every === 0);
  return [
    { ...shared, data, lineStyle, z: faint ? 2 : 3, showSymbol: false, sampling: 'lttb' },
    ...(faint ? [] : [{ ...shared, data: marks, showAllSymbol: true, lineStyle: { width: 0 } }]),
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
      data: levels.map(({ y, label: text }) => ({ yAxis: y, label: { ...label, formatter: () => text } })),
    },
  };
}

/** For those who do not see it: the title, and where each line begins and ends. */
function describePlot({ title: name, xLabel, yLabel, series, levels = [] }: LinePlot): string {
  const lines = series.map(({ name: line, points }) => {
    if (points.length === 0) return `${line}: no points`;
    const [[x0, y0], [x1, y1]] = [points[0], points.at(-1)!];
    return `${line}: ${short(y0)} at ${short(x0)}, ${short(y1)} at ${short(x1)}`;
  });
  const references = levels.map(({ y, label }) => `${label}: ${short(y)}`);
  return `${name}. ${yLabel} by ${xLabel}. ${[...lines, ...references].join('; ')}.`;
}

const short = (value: number) => value.toLocaleString('en-US', { maximumSignificantDigits: 3 });

/** ECharts computes powers of ten by multiplication and would show what is lost in it. */
const logLabels = { axisLabel: { ...axis('').axisLabel, formatter: short } };
