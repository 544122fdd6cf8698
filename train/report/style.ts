/** How a report looks: one column, light or dark as the reader's system is, and fit for paper. */
import { DARK_COLOURS } from '../plot/theme.js';

/** Plots have colours for a white page; on a dark one each is replaced. */
const DARK_PLOTS = Object.entries(DARK_COLOURS)
  .map(([light, dark]) => `figure svg [fill="${light}"]{fill:${dark}}figure svg [stroke="${light}"]{stroke:${dark}}`)
  .join('\n');

const LIGHT =
  '--page:#fff;--card:#f6f8fa;--text:#1f2328;--faint:#59636e;--line:#d1d9e0;--link:#0969da;--right:#0072b2;--wrong:#d55e00;--note:#fff8c5';
const DARK =
  '--page:#0d1117;--card:#161b22;--text:#f0f6fc;--faint:#9198a1;--line:#3d444d;--link:#4493f8;--right:#2f8fd0;--wrong:#e0702a;--note:#3a2d0c';

export const STYLE = `
:root{${LIGHT}}
@media screen and (prefers-color-scheme:dark){:root{${DARK}}
${DARK_PLOTS}}
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:72rem;background:var(--page);color:var(--text);font:16px/1.55 system-ui,sans-serif}
h1{font-size:2rem;line-height:1.2;margin:0 0 1rem;overflow-wrap:anywhere}
h2{font-size:1.4rem;margin:3rem 0 .75rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}
p{max-width:48rem}
a{color:var(--link)}
a:focus-visible,.scroll:focus-visible{outline:2px solid var(--link);outline-offset:2px}
code{font:.85em ui-monospace,monospace;overflow-wrap:anywhere}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;padding:0;list-style:none}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;margin:0 0 1rem}
.figures div{display:flex;flex-direction:column-reverse;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.75rem 1rem}
.figures dt{color:var(--faint);font-size:.85rem}
.figures dd{margin:0;white-space:nowrap;font-size:1.5rem;font-weight:600;font-variant-numeric:tabular-nums}
.missing,.note{background:var(--note);border:1px solid var(--line);border-radius:8px;padding:.6rem 1rem}
.missing h2{font-size:1rem;margin:0;border:0;padding:0}
.missing ul{margin:.25rem 0;padding-left:1.25rem}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(30rem,100%),1fr));gap:1rem}
figure{margin:0}
.plots figure{border:1px solid var(--line);border-radius:8px;overflow:hidden}
figure svg,figure img{display:block;max-width:100%;height:auto}
.plots svg{width:100%}
figcaption{color:var(--faint);font-size:.9rem;margin-top:.5rem}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(30rem,100%),1fr));gap:0 2rem;align-items:start}
.scroll{max-width:100%;overflow:auto;max-height:34rem;margin:1.25rem 0}
table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:.25rem 0 .5rem}
th,td{padding:.35rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
thead th{position:sticky;top:0;background:var(--page);color:var(--faint);font-weight:600}
tbody th{font-weight:500}
td:not(.number){overflow-wrap:anywhere}
.number{text-align:right;white-space:nowrap}
.bar{display:inline-block;min-width:5rem;padding:0 .4rem;border-radius:3px;background:linear-gradient(to left,color-mix(in srgb,var(--wrong) 35%,transparent) var(--share),transparent var(--share))}
.matrix caption{min-width:min(36rem,80vw)}
.matrix th,.matrix td{padding:.2rem .45rem;border:1px solid var(--page);text-align:right}
.matrix td{min-width:2.2rem}
.matrix thead th{vertical-align:bottom}
.matrix thead th span{writing-mode:vertical-rl;transform:rotate(180deg)}
.matrix tbody th{position:sticky;left:0;background:var(--page);text-align:left}
.matrix .right{background:color-mix(in srgb,var(--right) calc(.6*var(--share)),var(--card))}
.matrix .wrong{background:color-mix(in srgb,var(--wrong) calc(.6*var(--share)),var(--card))}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(10rem,1fr));gap:1.25rem 1rem;padding:0;list-style:none}
.cards img{border-radius:6px;border:1px solid var(--line)}
.cards figcaption{color:var(--text);line-height:1.4;overflow-wrap:anywhere}
.cards small{color:var(--faint)}
.pixels img{image-rendering:pixelated}
.kernels{display:grid;gap:1.25rem;justify-items:start}
footer{margin-top:3rem;color:var(--faint);font-size:.85rem}
@media print{
body{max-width:none;padding:0;font-size:11pt}
nav{display:none}
.scroll{max-height:none;overflow:visible}
thead th,.matrix tbody th{position:static}
figure,tr,.matrix,.cards li,.figures div{break-inside:avoid}
h2{break-after:avoid}
.figures div,.bar,.matrix td{print-color-adjust:exact}
}
`;
