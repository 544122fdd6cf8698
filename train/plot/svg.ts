/**
 * Renders a chart of Apache ECharts to a still SVG document: no script, nothing to load, the same bytes each time. It
 * has a background of its own, so it can be read on any page; the page of a report restyles it by the colours of
 * `theme.ts`.
 */
import { createHash } from 'node:crypto';
import { escapeMarkup, printable } from '../../base/markup.js';
import { BACKGROUND } from './theme.js';

// As one file: its parts, imported, are some 200 modules, which take 0.4 s to load.
import echarts = require('echarts');

/** Of a plot, in CSS pixels; shown smaller if there is less room. */
export interface PlotSize {
  width: number;
  height: number;
}

/**
 * @param description  what the plot shows, for those who do not see it
 */
export function renderSvg(option: echarts.EChartsCoreOption, description: string, size: PlotSize): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, ...size });
  try {
    chart.setOption({ animation: false, backgroundColor: BACKGROUND, ...option });
    return tidy(chart.renderToSVGString({ useViewBox: true }), description);
  } finally {
    chart.dispose();
  }
}

/**
 * Without the styles for a hovering mouse and ECharts' own marks; ids are named by the contents and not by a counter.
 */
function tidy(svg: string, description: string): string {
  const bare = printable(svg)
    .replace(/<style >.*?<\/style>\n?/s, '')
    .replace(/ (?:class="zr[^"]*"|ecmeta_\w+="[^"]*"|pointer-events="visible"|xmlns:xlink="[^"]*")/g, '');
  const id = createHash('sha256')
    .update(bare.replace(/\bzr\d+-/g, ''))
    .digest('hex')
    .slice(0, 8);
  return bare
    .replace(/(id="|url\(#)zr\d+-/g, `$1p${id}-`)
    .replace(/^<svg /, () => `<svg role="img" aria-label="${escapeMarkup(description)}" `);
}
