/** The settings that a run was made with, and the versions of what made it. */
import { packageVersions } from '../../base/versions.js';
import type { Report } from './gather.js';
import { type Html, html, table } from './html.js';

export function settingsSection({ run }: Report): Html {
  const settings = Object.entries(run.config).map(([key, value]) => [key, html`<code>${JSON.stringify(value)}</code>`]);
  const now = packageVersions();
  const versions = Object.keys(now).map((name) => [name, run.versions[name] ?? '', now[name]]);
  return html`<section id="settings"><h2>Settings</h2>
${table('As in config.json', [{ name: 'setting' }, { name: 'value' }], settings)}
${table('Versions', [{ name: 'package' }, { name: 'of the run' }, { name: 'of this report' }], versions)}</section>`;
}
