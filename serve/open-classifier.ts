/** A classifier for one's own program: a model file that answers images, by default in a process of its own. */
import { fileURLToPath } from 'node:url';
import pLimit from 'p-limit';
import type { Provider } from '../onnx/backend/provider.js';
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
   * Infers in this process, whose event loop then waits for every inference, and whose end is that of the model.
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
  /** Its name, labels, input and outputs. */
  readonly model: ServedModel;
  readonly provider: Provider;
  /**
   * Images may be given without waiting for the others: as many as the processes take are sent to them at a time.
   * @param image  bytes of an image file, or a path to one
   * @throws {RequestError} with a code such as INVALID_IMAGE or INVALID_TOP; UserError with code ENOENT if there is no such
   *   file
   */
  classify(image: Uint8Array | string | URL, options?: ClassifyOptions): Promise<Classification>;
  /** Answers what was asked, then ends the process. A program does not end by itself before. */
  close(): Promise<void>;
}

/** What either kind of classifier does with an encoded image. */
type Answer = (
  bytes: Uint8Array,
  signal: AbortSignal,
) => Promise<{ model: ServedModel; probabilities: Float32Array; timings: Timings }>;

/** @throws {UserError} when the file is not a classifier, or the provider does not run */
export async function openClassifier(options: OpenClassifierOptions): Promise<OpenedClassifier> {
  const { inProcess = false, ...given } = options;
  const known = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const settings = { ...DEFAULTS, ...known, file: options.file };
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
      return {
        model: classifier.model,
        probabilities,
        timings: { queue: total - decode - inference, decode, inference, total },
      };
    });
  };
  return opened(classifier, answer, () => classifier.release());
}

/** @param by  states another model after a restart on another file */
function opened(
  by: Pick<OpenedClassifier, 'model' | 'provider'>,
  answer: Answer,
  close: () => Promise<void>,
): OpenedClassifier {
  const pending = new Set<Promise<unknown>>();
  let closed: Promise<void> | undefined;
  const classify = async (
    image: Uint8Array | string | URL,
    { top, signal }: ClassifyOptions,
  ): Promise<Classification> => {
    const most = by.model.labels.length;
    const count = parseTop(top === undefined ? undefined : String(Math.min(top, most)), by.model);
    const bytes = image instanceof Uint8Array ? image : await readImageFile(pathOf(image));
    requireImage(bytes);
    signal?.throwIfAborted();
    const { model, probabilities, timings } = await answer(bytes, signal ?? new AbortController().signal);
    return { predictions: topPredictions(probabilities, model, count), timings };
  };
  return {
    get model() {
      return by.model;
    },
    provider: by.provider,
    classify: (image, options = {}) => {
      if (closed) return Promise.reject(new Error('the classifier is closed'));
      const work = classify(image, options);
      pending.add(work);
      const done = () => pending.delete(work);
      work.then(done, done);
      return work;
    },
    close: () => {
      closed ??= Promise.allSettled(pending).then(close);
      return closed;
    },
  };
}

const pathOf = (file: string | URL): string => (file instanceof URL ? fileURLToPath(file) : file);
