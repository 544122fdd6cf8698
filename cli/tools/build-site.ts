/** Bundles the page of static sites (serve/page/static) into dist/serve/static, for `alexnet page` to copy. */
import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { makeFolder } from '../../base/make-folder.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const source = join(root, 'serve/page/static');
const out = join(root, 'dist/serve/static');

await rm(out, { recursive: true, force: true });
await makeFolder(out);
for (const [format, ...names] of [
  ['iife', 'page.ts', 'page.css'], // a module would not run in a page opened as a file, and say nothing there
  ['esm', 'worker.ts'],
] as const) {
  await build({
    absWorkingDir: root,
    entryPoints: names.map((name) => join(source, name)),
    outdir: out,
    bundle: true,
    format,
    target: ['chrome111', 'firefox115', 'safari16.4'],
    minify: true,
  });
}
await copyFile(join(source, 'index.html'), join(out, 'index.html'));
await copyFile(join(source, '../favicon.svg'), join(out, 'favicon.svg'));
