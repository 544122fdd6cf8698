/**
 * The static site's worker: loads onnxruntime-web and the model, decodes images with the browser, and does with them
 * what the server does. WebGPU where it runs, else WebAssembly.
 */
import type * as Ort from 'onnxruntime-common';
import { asInput, floatsOf } from '../../inference/float16.js';
import { ImageTensor, rowShape } from '../../inference/image/image-tensor.js';
import { probabilitiesOf, requireFinite } from '../../inference/model/activation.js';
import { DEFAULT_TOP, type Prediction, topPredictions } from '../../served-model.js';
import type { Pieces, SiteDescription } from '../../site/description.js';
import { decodeInBrowser } from './decode.js';
import type { FromWorker, ToWorker } from './messages.js';

interface Loaded {
  ort: typeof Ort;
  session: Ort.InferenceSession;
  engine: 'WebGPU' | 'WebAssembly';
}

const say = (message: FromWorker) => postMessage(message);
const at = (name: string) => new URL(name, self.location.href).href;

/** @param received  told of every chunk */
async function fetchPieces({ names, bytes, hash }: Pieces, received: (bytes: number) => void): Promise<Uint8Array> {
  const whole = new Uint8Array(bytes);
  let filled = 0;
  for (const name of names) {
    const response = await fetch(`${at(name)}?${hash}`);
    if (!response.ok || !response.body) throw new Error(`${name}: the host answered ${response.status}`);
    const reader = response.body.getReader();
    for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
      if (!value) continue;
      if (filled + value.length > bytes) throw new Error(`${name}: more bytes than expected; upload the site again`);
      whole.set(value, filled);
      filled += value.length;
      received(value.length);
    }
  }
  if (filled !== bytes) throw new Error(`the files hold ${filled} of ${bytes} bytes; upload the site again`);
  return whole;
}

async function open(site: SiteDescription, name: 'webgpu' | 'wasm', model: Uint8Array, of: number): Promise<Loaded> {
  const { script, glue, binary } = site.engines[name];
  const ort = (await import(at(script))) as typeof Ort;
  let bytes = model.length;
  ort.env.wasm.wasmPaths = { mjs: at(glue) };
  ort.env.wasm.wasmBinary = await fetchPieces(binary, (more) => {
    bytes += more;
    say({ type: 'loading', bytes, of });
  });
  const session = await ort.InferenceSession.create(model, { executionProviders: [name] });
  return { ort, session, engine: name === 'webgpu' ? 'WebGPU' : 'WebAssembly' };
}

async function hasWebGpu(): Promise<boolean> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<object | null> } };
  return Boolean(await gpu?.requestAdapter().catch(() => null));
}

async function load(site: SiteDescription): Promise<Loaded> {
  const first = (await hasWebGpu()) ? 'webgpu' : 'wasm';
  const of = site.file.bytes + site.engines[first].binary.bytes;
  let bytes = 0;
  const model = await fetchPieces(site.file, (more) => {
    bytes += more;
    say({ type: 'loading', bytes, of });
  });
  if (first === 'wasm') return open(site, 'wasm', model, of);
  return open(site, 'webgpu', model, of).catch(() => open(site, 'wasm', model, of));
}

const TYPES = { UINT8: 'uint8', FP32: 'float32', FP16: 'float16' } as const;

/** Probabilities by class: the mean over the rows that the image takes. */
async function infer({ ort, session }: Loaded, site: SiteDescription, pixels: Uint8Array): Promise<Float32Array> {
  const { recipe, input, output, activation, model } = site;
  const tensor = new ImageTensor(recipe);
  const values = tensor.of(pixels);
  const together = input.rows === -1 ? tensor.rows : input.rows;
  const size = (values.length / tensor.rows) * together;
  const rows: Float64Array[] = [];
  for (let start = 0; start < values.length; start += size) {
    const shape = [together, ...rowShape(recipe)];
    const part = values.subarray(start, start + size);
    const fed = new ort.Tensor(TYPES[recipe.datatype], asInput(recipe.datatype, part) as never, shape);
    const given = (await session.run({ [input.name]: fed }, [output.name]))[output.name];
    const data = floatsOf((await given.getData()) as ArrayBufferView, given.type === 'float16');
    for (let row = 0; row < together; row++) {
      const values = data.subarray(row * output.width, (row + 1) * output.width);
      rows.push(probabilitiesOf(values, activation.applied, model.labels.length));
    }
  }
  const mean = (c: number) => rows.reduce((sum, row) => sum + row[c], 0) / rows.length;
  return requireFinite(Float32Array.from(model.labels, (_, c) => mean(c)));
}

async function main(): Promise<void> {
  const response = await fetch(at('site.json'), { cache: 'no-cache' });
  if (!response.ok) throw new Error(`site.json: the host answered ${response.status}`);
  const site = (await response.json()) as SiteDescription;
  const loaded = await load(site);
  say({ type: 'ready', name: site.model.name, engine: loaded.engine });
  let turn: Promise<void> = Promise.resolve();
  const answer = async ({ id, image }: ToWorker) => {
    const started = performance.now();
    try {
      const probabilities = await infer(loaded, site, await decodeInBrowser(image, site.recipe.decoding));
      const top = Math.min(DEFAULT_TOP, site.model.labels.length);
      const predictions: Prediction[] = topPredictions(probabilities, site.model, top);
      say({ type: 'answer', id, predictions, ms: performance.now() - started });
    } catch (error) {
      say({ type: 'refused', id, message: (error as Error).message });
    }
  };
  for (const message of early.splice(0)) turn = turn.then(() => answer(message));
  take = (message) => {
    turn = turn.then(() => answer(message)); // one run at a time
  };
}

/** Images that came before the model was there. */
const early: ToWorker[] = [];
let take = (message: ToWorker): void => {
  early.push(message);
};
addEventListener('message', ({ data }: MessageEvent<ToWorker>) => take(data));
main().catch((error: Error) => say({ type: 'failed', message: error.message }));
