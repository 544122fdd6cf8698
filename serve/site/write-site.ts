/**
 * A static site that classifies in the browser: the page that the build made, onnxruntime-web, and the model as the
 * server would load it. What `alexnet page` writes; no server is needed but one for files.
 */
import { createHash } from 'node:crypto';
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../base/errors.js';
import { folderError, makeFolder } from '../../base/make-folder.js';
import { foreignFilesIn, isMarked, refuseForeign } from '../../base/replaceable.js';
import { readAllExternalData } from '../../onnx/file/external-data.js';
import { rewriteFor } from '../../onnx/rewrite/for-provider.js';
import { DEFAULTS } from '../defaults.js';
import { openClassifier } from '../inference/classifier.js';
import { readModelFile } from '../inference/model/model-file.js';
import type { Pieces, SiteDescription } from './description.js';

/** Below what hosts of static files take, 25 MiB at the strictest. */
const PIECE_BYTES = 20 * 2 ** 20;
/** Made by the build. */
const PAGE = fileURLToPath(new URL('../static', import.meta.url));
/** Every name that is written here. */
const OURS =
  /^(?:index\.html|favicon\.svg|(?:page|worker)\.(?:js|css)|site\.json|ort-(?:webgpu|wasm)\.[\w.]+|model\.onnx\.\d{3})$/;

/** onnxruntime-web's files; browsers load one set. */
const ENGINES = {
  webgpu: { script: 'ort.webgpu.min.mjs', glue: 'ort-wasm-simd-threaded.asyncify' },
  wasm: { script: 'ort.wasm.min.mjs', glue: 'ort-wasm-simd-threaded' },
} as const;

export interface SiteReport {
  out: string;
  files: number;
  bytes: number;
}

/** @throws {UserError} if the model cannot be used, onnxruntime-web is missing, or `out` holds other files */
export async function writeSite(file: string, out: string, log: (line: string) => void): Promise<SiteReport> {
  const engine = engineFolder();
  refuseForeign(
    await foreignFilesIn(out, (name, start) => OURS.test(name) && (name !== 'index.html' || isMarked(start))),
    'alexnet page',
  );
  const { description, bytes } = await readForBrowser(file, log);
  await makeFolder(out);
  try {
    for (const name of await readdir(out)) await rm(join(out, name));
    for (const name of await readdir(PAGE)) await copyFile(join(PAGE, name), join(out, name));
    const site: SiteDescription = {
      ...description,
      file: await writePieces(out, 'model.onnx', bytes),
      engines: { webgpu: await copyEngine(engine, out, 'webgpu'), wasm: await copyEngine(engine, out, 'wasm') },
    };
    await writeFile(join(out, 'site.json'), JSON.stringify(site));
  } catch (error) {
    throw folderError(out, error as NodeJS.ErrnoException);
  }
  const names = await readdir(out);
  const sizes = await Promise.all(names.map(async (name) => (await readFile(join(out, name))).length));
  return { out, files: names.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** The model whole, with the operators that the server runs, and what its output means. */
async function readForBrowser(file: string, log: (line: string) => void) {
  const classifier = await openClassifier({ file, provider: 'cpu', maxPixels: DEFAULTS.maxPixels, batch: 2, log });
  const { name, labels, synsets, input, activation } = classifier.model;
  await classifier.release();
  const { proto, encode, roots, recipe, output, facts } = await readModelFile(file);
  if (recipe.decoding.channels === 4)
    throw new UserError(`${file}: takes RGBA images, which browsers do not give exactly`);
  const model = rewriteFor('webgpu', proto);
  const bytes = encode(model, await readAllExternalData(file, model, roots));
  const description: Omit<SiteDescription, 'file' | 'engines'> = {
    model: { name, labels, synsets },
    recipe,
    input: { name: input.name, rows: classifier.batch > 1 ? -1 : Math.max(1, input.shape[0]) },
    output: { name: output, width: facts.width },
    activation,
  };
  return { description, bytes };
}

async function copyEngine(from: string, out: string, engine: keyof typeof ENGINES) {
  const { script, glue } = ENGINES[engine];
  // Some hosts do not know that .mjs is JavaScript.
  const [scriptName, glueName] = [`ort-${engine}.js`, `ort-${engine}.glue.js`];
  await copyFile(join(from, script), join(out, scriptName));
  await copyFile(join(from, `${glue}.mjs`), join(out, glueName));
  const binary = await readFile(join(from, `${glue}.wasm`));
  return { script: scriptName, glue: glueName, binary: await writePieces(out, `ort-${engine}.wasm`, binary) };
}

async function writePieces(out: string, name: string, bytes: Uint8Array): Promise<Pieces> {
  const names: string[] = [];
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    const piece = `${name}.${String(names.length).padStart(3, '0')}`;
    names.push(piece);
    await writeFile(join(out, piece), bytes.subarray(at, at + PIECE_BYTES));
  }
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  return { names, bytes: bytes.length, hash };
}

/** Where onnxruntime-web is installed: next to this package, or in the project that the command is called in. */
function engineFolder(): string {
  for (const from of [import.meta.url, resolve('package.json')]) {
    try {
      return dirname(createRequire(from).resolve('onnxruntime-web'));
    } catch {
      // not there
    }
  }
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
  throw new UserError(
    `onnxruntime-web is not installed, which runs the model in browsers; npm install onnxruntime-web@${version}`,
  );
}
