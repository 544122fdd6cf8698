/**
 * A model file opened for classification in this process: decode a picture, infer its probabilities. The server's child process and
 * `alexnet classify` share it, so that they answer alike. Loads onnxruntime and sharp.
 */
import { availableParallelism } from 'node:os';
import onnxProto from 'onnx-proto';
import * as ort from 'onnxruntime-node';
import type { ServedModel } from '../served-model.js';
import { allowOnlyPictures, decodePicture } from './decode.js';
import { type ModelFile, readModelFile } from './model-file.js';
import { chooseProvider, type Provider, type ProviderChoice } from './provider.js';
import { rewriteLrn } from './rewrite-lrn.js';

export interface ClassifierOptions {
  /** Path of the `.onnx` file. */
  file: string;
  provider: ProviderChoice;
  /** Width × height above which a picture is refused. */
  maxPixels: number;
  /** Progress for people, one line each. */
  log: (line: string) => void;
}

export interface Classifier {
  readonly model: ServedModel;
  readonly provider: Provider;
  /** Encoded JPEG, PNG or WebP → uint8 RGB [imagePx, imagePx, 3], on a thread of its own. @throws {RequestError} */
  decode(bytes: Uint8Array): Promise<Uint8Array>;
  /** Those pixels → probabilities, float32 [classes]. Blocks the calling thread meanwhile. */
  infer(pixels: Uint8Array): Promise<Float32Array>;
  release(): Promise<void>;
}

/**
 * Restricts sharp's loaders for the whole process.
 * @throws {UserError} when the file is no classifier or the provider does not run
 */
export async function openClassifier({ file, provider, maxPixels, log }: ClassifierOptions): Promise<Classifier> {
  allowOnlyPictures();
  ort.env.logLevel = 'fatal'; // what it would print as an error, it throws as well
  const modelFile = await readModelFile(file);
  const { labels, synsets, crops, imagePx } = modelFile.metadata;
  log(`loading ${file} (${(modelFile.bytes.length / 1e6).toFixed(1)} MB, ${labels.length} classes)`);
  const opened = await chooseProvider(provider, (candidate) => openSession(modelFile, candidate, log), log);
  log(`provider ${opened.provider}${provider === 'auto' ? ' (auto)' : ''}`);
  const model = { name: modelFile.name, version: '1', labels, synsets, crops: crops ?? 1, imagePx };
  return classifier(opened.result, opened.provider, model, maxPixels);
}

/** A scope of its own: what it returns must not keep the file's bytes. */
function classifier(
  session: ort.InferenceSession,
  provider: Provider,
  model: ServedModel,
  maxPixels: number,
): Classifier {
  return {
    model,
    provider,
    decode: (bytes) => decodePicture(bytes, model.imagePx, maxPixels),
    infer: (pixels) => infer(session, pixels, model.imagePx),
    release: () => session.release(),
  };
}

/** Opens the model and runs it once: CUDA can fail as late as in the first run, and the first run is the slowest. */
async function openSession(file: ModelFile, provider: Provider, log: (line: string) => void) {
  const started = performance.now();
  const session = await ort.InferenceSession.create(modelBytes(file, provider), {
    executionProviders: [provider],
    intraOpNumThreads: availableParallelism(),
    logSeverityLevel: 3,
  });
  const loaded = performance.now();
  const { imagePx } = file.metadata;
  await infer(session, new Uint8Array(imagePx * imagePx * 3), imagePx);
  log(`loaded in ${(loaded - started).toFixed(0)} ms, warmed up in ${(performance.now() - loaded).toFixed(0)} ms`);
  return session;
}

/** CUDA has a fast LRN; the other providers get it rewritten. */
function modelBytes({ bytes, proto, isWhole }: ModelFile, provider: Provider): Uint8Array {
  const { model, rewritten } = provider === 'cuda' ? { model: proto, rewritten: 0 } : rewriteLrn(proto);
  return rewritten === 0 && isWhole ? bytes : onnxProto.onnx.ModelProto.encode(model).finish();
}

async function infer(session: ort.InferenceSession, pixels: Uint8Array, imagePx: number): Promise<Float32Array> {
  const image = new ort.Tensor('uint8', pixels, [1, imagePx, imagePx, 3]);
  const { probabilities } = await session.run({ image });
  const values = probabilities.data as Float32Array;
  if (!values.every(Number.isFinite)) throw new Error('the model gave probabilities that are no numbers');
  return values;
}
