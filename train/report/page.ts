/** A report as one HTML page that loads nothing and runs nothing: its policy forbids both. */

import { MARKUP_MARK } from '../../base/replaceable.js';
import { toolVersion } from '../../base/tool-version.js';
import type { Report } from './gather.js';
import { Html, html } from './html.js';
import { errorsSection } from './section-errors.js';
import { kernelsSection } from './section-kernels.js';
import { keyFigures, runSection, title } from './section-run.js';
import { settingsSection } from './section-settings.js';
import { trainingSection } from './section-training.js';
import { worstSection } from './section-worst.js';
import { STYLE } from './style.js';

/** Whatever a browser may want to load, only images inside the page are allowed. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

export async function page(report: Report, writtenAt: Date): Promise<string> {
  const name = title(report);
  const sections = [
    runSection(report),
    trainingSection(report),
    errorsSection(report),
    await worstSection(report),
    await kernelsSection(report),
    settingsSection(report),
  ];
  return html`<!doctype html>
${new Html(MARKUP_MARK)}<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${name}: report</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<header>
<h1>${name}</h1>
${keyFigures(report)}
${missing(report)}
${contents(sections)}
</header>
<main>
${sections}
</main>
<footer><p>${report.run.path}, written by alexnet ${toolVersion()} on <time datetime="${writtenAt.toISOString()}">${writtenAt.toISOString().slice(0, 16).replace('T', ' ')} UTC</time>.</p></footer>
</body>
</html>
`.text;
}

function missing(report: Report): Html | undefined {
  if (report.missing.length === 0) return undefined;
  const items = report.missing.map((sentence) => html`<li>${sentence}</li>`);
  return html`<aside class="missing" aria-label="Missing"><h2>Not in this report</h2><ul>${items}</ul></aside>`;
}

/** Links to the sections that there are, named as their headings are. */
function contents(sections: (Html | undefined)[]): Html {
  const heads = sections.flatMap((section) => [...(section?.text ?? '').matchAll(/<section id="(\w+)"><h2>([^<]*)</g)]);
  return html`<nav aria-label="Sections"><ul>${heads.map(([, id, heading]) => html`<li><a href="#${id}">${heading}</a></li>`)}</ul></nav>`;
}
