/**
 * Bundles the page (serve/page) into dist/serve/page: the document, and assets whose names hold their hash. Runs at
 * build time alone, and so may take what the server must not: the drawings of the embedded data set, rendered as
 * samples.
 */
import { createHash } from 'node:crypto';
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';
import { makeFolder } from '../../base/make-folder.js';
import { heldOutPng } from '../../train/data/emoji/emoji.js';
import { HELD_OUT_VENDOR } from '../../train/data/emoji/emoji-classes.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const source = join(root, 'serve/page');
const out = join(root, 'dist/serve/page');
const assets = join(out, 'assets');

/** Of the embedded data set, for the models that were trained on it. */
const DRAWINGS = ['guitar', 'sailboat', 'strawberry', 'pizza', 'penguin', 'rocket'];
const DRAWING_PX = 256;
/** For every other model. */
const PHOTOGRAPHS = ['cat', 'coffee', 'rocket'];

await rm(out, { recursive: true, force: true });
await makeFolder(assets);
const drawings = await Promise.all(
  DRAWINGS.map(async (name) => sample(name, 'png', await heldOutPng(name, DRAWING_PX))),
);
const photographs = await Promise.all(
  PHOTOGRAPHS.map(async (name) => sample(name, 'jpg', await readFile(join(source, 'samples', `${name}.jpg`)))),
);
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: [join(source, 'main.tsx')],
  outdir: assets,
  entryNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  bundle: true,
  format: 'esm',
  target: ['chrome111', 'firefox115', 'safari16.4'],
  loader: { '.woff2': 'file' },
  define: {
    DRAWINGS: JSON.stringify(drawings),
    DRAWINGS_LICENCE: JSON.stringify(HELD_OUT_VENDOR.licence),
    PHOTOGRAPHS: JSON.stringify(photographs),
  },
  minify: true,
  legalComments: 'none', // the file of licences holds them whole
  metafile: true,
});
await writeAsset('licences', 'txt', await licences(metafile));
await writeFile(join(out, 'index.html'), await document());
await copyFile(join(source, 'favicon.svg'), join(out, 'favicon.svg'));

async function sample(name: string, extension: string, bytes: Uint8Array) {
  return { name, file: `${name}.${extension}`, url: `assets/${await writeAsset(name, extension, bytes)}` };
}

/** @returns the file's name in the folder of assets */
async function writeAsset(name: string, extension: string, bytes: Uint8Array | string): Promise<string> {
  const file = `${name}-${createHash('sha256').update(bytes).digest('hex').slice(0, 8)}.${extension}`;
  await writeFile(join(assets, file), bytes);
  return file;
}

/** The document with the names of the files that it asks for in place of `{main.js}` and their like. */
async function document(): Promise<string> {
  const written = await readdir(assets);
  const template = await readFile(join(source, 'index.html'), 'utf8');
  return template.replace(/\{([\w-]+)\.(\w+)\}/g, (_, name, extension) => {
    const file = written.find((one) => one.startsWith(`${name}-`) && one.endsWith(`.${extension}`));
    if (file === undefined) throw new Error(`index.html asks for ${name}.${extension}; the bundle has ${written}`);
    return `assets/${file}`;
  });
}

/** Of every package that something was taken from. */
async function licences({ inputs }: Metafile): Promise<string> {
  const packages = new Set(
    Object.keys(inputs).flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []),
  );
  const texts = [...packages].sort().map(async (name) => {
    const folder = join(root, 'node_modules', name);
    const file = (await readdir(folder)).find((one) => /^licen[cs]e/i.test(basename(one)));
    if (file === undefined) throw new Error(`${name}: no licence file to go with the bundle`);
    return `${name}\n\n${(await readFile(join(folder, file), 'utf8')).trim()}\n`;
  });
  return (await Promise.all(texts)).join(`\n${'-'.repeat(72)}\n\n`);
}
