/** A classifier for one's own program: a model file that answers images, by default in a process of its own. */
import { setMaxListeners } from 'node:events';
import { fileURLToPath } from 'node:url';
import pLimit from 'p-limit';
import type { Provider } from '../onnx/backend/provider.js';
import { checkFile, checkOptions } from './check-options.js';
import { DEFAULTS } from './defaults.js';
import { HelperMemory } from './hosting/helper-memory.js';
import { type HostOptions, ModelHost } from './hosting/model-host.js';
import { widthLimit } from './hosting/width-limit.js';
import { requireImage } from './inference/image/image-kind.js';
import type { Log } from './log.js';
import type { Timings } from './metrics.js';
import { readImageFile } from './read-image-file.js';
import { type Prediction, parseTop, type ServedModel, topPredictions } from './served-model.js';

export interface OpenClassifierOptions
  extends Partial<
    Pick<
      HostOptions,
      | 'provider'
      | 'maxPixels'
      | 'threads'
      | 'batch'
      | 'batchDelayMs'
      | 'replicas'
      | 'helperMemory'
      | 'cacheBytes'
      | 'timeoutMs'
    >
  > {
  /** Path of the `.onnx` file, ours or with a config.json next to it. */
  file: string;
  /**
   * Infers in this process, whose event loop then waits for every inference, and whose end is that of the model;
   * `replicas`, `helperMemory`, `batchDelayMs`, `cacheBytes` and `timeoutMs` have no effect then.
   * Default: in a forked one, which is started again if it dies.
   */
  inProcess?: boolean;
  /** Lines about loading, restarts and faults; default: none. */
  log?: Log;
  /** Compiled file to run as the forked process, in place of our own. */
  inferenceModule?: string;
}

export interface ClassifyOptions {
  /** How many classes, from 1; all if there are fewer. Default: 5. */
  top?: number;
  /** Gives up waiting; the promise then rejects with the signal's reason. */
  signal?: AbortSignal;
}

export interface Classification {
  /** Most probable first. */
  predictions: Prediction[];
  /** Milliseconds. */
  timings: Timings;
}

export interface OpenedClassifier {
  /** Its name, labels, input and outputs; of a file that was replaced, once the forked process has started again. */
  readonly model: ServedModel;
  readonly provider: Provider;
  /**
   * Images may be given without waiting for the others: as many as the processes take are sent to them at a time.
   * @param image  bytes of an image file, not to be changed before the answer, or a path to one
   * @throws {RequestError} with a code such as INVALID_IMAGE or INVALID_TOP; UserError with code ENOENT if there is no such
   *   file
   */
  classify(image: Uint8Array | string | URL, options?: ClassifyOptions): Promise<Classification>;
  /** Answers what was asked, then ends the process. A program does not end by itself before. */
  close(): Promise<void>;
}

/** What either kind of classifier does with an encoded image. */
type Answer = (bytes: Uint8Array, signal: AbortSignal) => Promise<Answered>;

interface Answered {
  /** That gave the probabilities. */
  model: ServedModel;
  probabilities: Float32Array;
  timings: Timings;
}

/** @throws {UserError} when an option cannot be used, the file is not a classifier, or the provider does not run */
export async function openClassifier(options: OpenClassifierOptions): Promise<OpenedClassifier> {
  const { inProcess = false, ...given } = options;
  const known = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const settings = { ...DEFAULTS, ...known, file: options.file };
  checkFile(settings.file);
  checkOptions(settings);
  return inProcess ? openHere(settings) : openForked(settings);
}

type Settings = HostOptions & Pick<OpenClassifierOptions, 'file'> & { log: Log };

async function openForked(settings: Settings): Promise<OpenedClassifier> {
  const source = { file: settings.file, version: '1' };
  const options = { ...settings, maxWaiting: Number.POSITIVE_INFINITY };
  const host = new ModelHost(source, options, NO_METRICS, settings.log, new HelperMemory(settings.helperMemory));
  await host.start();
  // The time limit is for one image, not for all that a program may ask at once.
  const inLine = widthLimit(host);
  const answer: Answer = (bytes, signal) => inLine(() => host.classify(bytes, signal));
  return opened(host, answer, () => host.drain());
}

const ignore = () => undefined;
const NO_METRICS = {
  modelLoaded: ignore,
  processDied: ignore,
  inferred: ignore,
  failed: ignore,
  cacheHit: ignore,
  cacheMiss: ignore,
};

async function openHere(settings: Settings): Promise<OpenedClassifier> {
  // onnxruntime and sharp only here, so that others' processes stay free of them.
  const classifier = await (await import('./inference/classifier.js')).openClassifier(settings);
  const { model } = classifier;
  const limit = pLimit(1);
  const answer: Answer = async (bytes, signal) => {
    const started = performance.now();
    const pixels = await classifier.decode(bytes);
    const decode = performance.now() - started;
    return limit(async () => {
      signal.throwIfAborted();
      const begun = performance.now();
      const [probabilities] = await classifier.infer([pixels]);
      const [inference, total] = [performance.now() - begun, performance.now() - started];
      return { model, probabilities, timings: { queue: total - decode - inference, decode, inference, total } };
    });
  };
  return opened(classifier, answer, () => classifier.release());
}

/** Images read or decoded at a time: a program may ask for more than there is memory for, or files may be open. */
const AT_A_TIME = 64;

/**
 * @param source  asked for its model every time: a forked process may start again with another; `width`: images that
 *   its processes take at a time
 */
function opened(
  source: Pick<OpenedClassifier, 'model' | 'provider'> & { readonly width?: number },
  answer: Answer,
  close: () => Promise<void>,
): OpenedClassifier {
  const pending = new Set<Promise<unknown>>();
  const few = pLimit(AT_A_TIME);
  let closed: Promise<void> | undefined;
  const classify = async (image: Uint8Array | string | URL, { top, signal = NEVER }: ClassifyOptions) => {
    const countOf = (model: ServedModel) =>
      parseTop(top === undefined ? undefined : String(Math.min(top, model.labels.length)), model);
    countOf(source.model);
    const read = readerOf(image);
    few.concurrency = Math.max(AT_A_TIME, source.width ?? 1);
    const { model, probabilities, timings } = await few(async () => {
      signal.throwIfAborted();
      const bytes = await read();
      signal.throwIfAborted();
      return answer(bytes, signal);
    });
    return { predictions: topPredictions(probabilities, model, countOf(model)), timings };
  };
  return {
    get model() {
      return source.model;
    },
    get provider() {
      return source.provider;
    },
    classify: (image, options = {}) => {
      if (closed) return Promise.reject(new Error('the classifier is closed'));
      const work = classify(image, options);
      pending.add(work);
      const done = () => pending.delete(work);
      work.then(done, done);
      return options.signal ? orAborted(work, options.signal) : work;
    },
    close: () => {
      closed ??= Promise.allSettled(pending).then(close);
      return closed;
    },
  };
}

const NEVER = new AbortController().signal;

/** Rejects at once when `signal` aborts, wherever the work is in the line. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  setMaxListeners(0, signal); // one may be for any number of images
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** @throws {TypeError} if it is neither bytes nor a path; RequestError if the bytes are of no image */
function readerOf(image: Uint8Array | string | URL): () => Promise<Uint8Array> | Uint8Array {
  if (image instanceof Uint8Array) {
    requireImage(image);
    return () => image;
  }
  if (typeof image === 'string') return () => readImageFile(image);
  if (image instanceof URL) return () => readImageFile(fileURLToPath(image));
  const got = (image as object | null)?.constructor?.name ?? String(image);
  throw new TypeError(`image: expected the bytes of one as a Uint8Array, or a path, got ${got}`);
}
