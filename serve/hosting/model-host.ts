/**
 * One version of one model, being served: its line of requests, the processes that answer them, and its cache. A
 * version that is replaced or unloaded ends with its processes, so that nothing of it stays in memory.
 */
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { usableCores } from '../../base/process/usable-cores.js';
import type { Provider } from '../../onnx/backend/provider.js';
import type { Answer, InferenceOptions, Loaded, Work } from '../inference/messages.js';
import type { Log } from '../log.js';
import type { Metrics, Timings } from '../metrics.js';
import type { ServedModel } from '../served-model.js';
import type { Tensor } from '../tensors.js';
import { traceStages } from '../tracing.js';
import type { HelperMemory } from './helper-memory.js';
import { InferenceStatistics } from './inference-statistics.js';
import { ProcessPool } from './process-pool.js';
import { RequestQueue } from './request-queue.js';
import { ViewHost } from './view-host.js';

export interface HostOptions
  extends Pick<InferenceOptions, 'provider' | 'maxPixels' | 'threads' | 'batch' | 'batchDelayMs'> {
  /** Requests of a model that may wait, in addition to those in inference. */
  maxWaiting: number;
  /** Time from a complete request to its answer, milliseconds, waiting included. */
  timeoutMs: number;
  /** Inference processes of a model; undefined: one, and helpers while images wait for a processor. */
  replicas?: number;
  /** Memory that the helpers of all models may take, bytes; 0 for none. */
  helperMemory: number;
  /** Bytes of cached answers by image, per model; 0 for none. */
  cacheBytes: number;
  /** Path of an index made by `alexnet index`, of one of the models. */
  index?: string;
  /** From the last view of a model to the end of the process for views, milliseconds. */
  viewIdleMs: number;
  /** Compiled file to run as the inference process, in place of our own. */
  inferenceModule?: string;
  /** The same for the process for views. */
  viewModule?: string;
}

/** What a host tells those who count. */
export type HostMetrics = Pick<
  Metrics,
  'modelLoaded' | 'processDied' | 'inferred' | 'failed' | 'cacheHit' | 'cacheMiss'
>;

export interface Classified {
  model: ServedModel;
  probabilities: Float32Array;
  /** [crops, classes], if it was asked for. */
  byCrop?: Float32Array;
  timings: Timings;
  /** Taken from an earlier answer to the same image, whose timings these are. */
  cached: boolean;
}

type CacheEntry = Omit<Classified, 'model' | 'cached'>;

/** Memory that an answer takes in the cache besides its probabilities, bytes. */
const ENTRY_OVERHEAD = 300;

function entryBytes({ probabilities, byCrop }: CacheEntry): number {
  return probabilities.byteLength + (byCrop?.byteLength ?? 0) + ENTRY_OVERHEAD;
}

export class ModelHost {
  private readonly queue: RequestQueue;
  private readonly pool: ProcessPool;
  private readonly cache?: LRUCache<string, CacheEntry>;
  /** What people look at, besides the classes. */
  readonly views: ViewHost;
  /** When its file was accepted, milliseconds since 1970: tells a version from the one that it replaces. */
  sinceMs = Date.now();
  readonly statistics = new InferenceStatistics();
  private loaded?: Loaded;
  private ending = false;

  constructor(
    private readonly source: Pick<InferenceOptions, 'file' | 'roots' | 'name' | 'version'>,
    private readonly options: HostOptions,
    private readonly metrics: HostMetrics,
    log: Log,
    memory: HelperMemory,
  ) {
    const { replicas, cacheBytes, provider, maxPixels, batch, batchDelayMs } = options;
    const threads = options.threads ?? Math.max(1, Math.floor(usableCores() / (replicas ?? 1)));
    const passed = { ...source, provider, maxPixels, threads, batch, batchDelayMs };
    this.queue = new RequestQueue(options);
    this.pool = new ProcessPool(passed, options, this.queue, memory, {
      loaded: (loaded, isNew) => {
        this.loaded = loaded;
        if (isNew) {
          this.cache?.clear();
          this.views.follow(loaded.signatures);
          this.sinceMs = Date.now();
        }
        if (!this.ending) this.metrics.modelLoaded(loaded.model, loaded.provider);
      },
      died: () => this.metrics.processDied(),
      log,
    });
    this.views = new ViewHost(
      {
        file: source.file,
        roots: source.roots,
        index: options.index,
        maxPixels,
        threads,
        idleMs: options.viewIdleMs,
        module: options.viewModule,
      },
      () => this.pending > 0,
      log,
    );
    if (cacheBytes > 0) this.cache = new LRUCache({ maxSize: cacheBytes, sizeCalculation: entryBytes });
  }

  /**
   * Resolves once every process has loaded the model and run it.
   * @throws {UserError} when it cannot be loaded: nothing runs then
   */
  async start(): Promise<Loaded> {
    try {
      return await this.pool.start();
    } catch (error) {
      this.kill();
      throw error;
    }
  }

  /** Of the model's file as it was read, see file-signature.ts; to be asked once it has started. */
  get signature(): string {
    return this.loaded!.signatures[0];
  }

  /** What it serves; to be asked once it has started. */
  get model(): ServedModel {
    return this.loaded!.model;
  }

  /** Answers are kept by image. */
  get caches(): boolean {
    return this.cache !== undefined;
  }

  get provider(): Provider {
    return this.loaded!.provider;
  }

  /** A process takes work. */
  get isUp(): boolean {
    return this.pool.isUp && !this.ending;
  }

  get pending(): number {
    return this.queue.pending;
  }

  /** Requests that it would take now, besides those. */
  get room(): number {
    return this.queue.room;
  }

  /** Requests that its processes take at a time. */
  get width(): number {
    return this.queue.width;
  }

  /** Keeps it from ending after `drain` until it is called. */
  hold(): () => void {
    return this.queue.hold();
  }

  /** Of its processes just now. */
  get workers(): ProcessPool['states'] {
    return this.pool.states;
  }

  /** What it runs with; `batch`: images that may share a run. */
  get settings() {
    const { batchDelayMs, timeoutMs } = this.options;
    const [least, most] = this.pool.size;
    return {
      file: this.source.file,
      replicas: least,
      maxReplicas: most,
      batchDelayMs,
      timeoutMs,
      batch: this.loaded!.batch,
    };
  }

  /** @throws {RequestError} QUEUE_FULL */
  requireRoom(): void {
    try {
      this.queue.requireRoom();
    } catch (error) {
      this.metrics.failed(this.model, error);
      this.statistics.failed(0);
      throw error;
    }
  }

  /**
   * An encoded image's probabilities.
   * @param wanted  `byCrop`: those of each crop as well; `isTaken`: as `RequestQueue.add`
   * @throws {RequestError} as `RequestQueue.add`
   */
  async classify(
    bytes: Uint8Array,
    signal: AbortSignal,
    { isTaken, ...wanted }: { byCrop?: boolean; isTaken?: boolean } = {},
  ): Promise<Classified> {
    const started = performance.now();
    const key = this.cache && createHash('sha256').update(bytes).digest('base64');
    const kept = key && this.cache?.get(key);
    if (kept && (!wanted.byCrop || kept.byCrop)) {
      const ms = performance.now() - started;
      this.metrics.cacheHit(this.model, ms);
      this.statistics.cacheHit(ms);
      return { ...kept, model: this.model, cached: true };
    }
    if (this.cache) {
      this.metrics.cacheMiss(this.model);
      this.statistics.cacheMissed();
    }
    const { answer, timings } = await this.infer({ type: 'classify', bytes, ...wanted }, signal, isTaken);
    if (answer.type !== 'answer') throw new Error(`an image was answered with ${answer.type}`);
    const { probabilities, byCrop } = answer;
    if (key) this.cache?.set(key, { probabilities, byCrop, timings });
    return { model: this.model, probabilities, byCrop, timings, cached: false };
  }

  /**
   * What the model gives for its own input.
   * @throws {RequestError} as `RequestQueue.add`
   */
  async run(input: Tensor, outputs: string[], signal: AbortSignal): Promise<{ model: ServedModel; outputs: Tensor[] }> {
    const { answer } = await this.infer({ type: 'infer', input, outputs }, signal);
    if (answer.type !== 'tensors') throw new Error(`a tensor was answered with ${answer.type}`);
    return { model: this.model, outputs: answer.outputs };
  }

  /** Answers what it has, then ends. */
  async drain(): Promise<void> {
    this.ending = true;
    this.views.stop();
    this.pool.startNoMore();
    await this.queue.idle();
    this.kill();
  }

  /** Ends at once. */
  kill(): void {
    this.ending = true;
    this.views.stop();
    this.pool.kill();
  }

  private async infer(
    work: Work,
    signal: AbortSignal,
    isTaken?: boolean,
  ): Promise<{ answer: Answer; timings: Timings }> {
    const started = performance.now();
    this.pool.wake();
    try {
      const answer = await this.queue.add(work, signal, isTaken);
      const total = performance.now() - started;
      const { decodeMs: decode, inferenceMs: inference } = answer;
      const timings = { queue: Math.max(0, total - decode - inference), decode, inference, total };
      this.metrics.inferred(this.model, timings, answer.runs);
      traceStages(this.model, started, timings);
      this.statistics.succeeded(timings, answer.runs, answer.batch);
      return { answer, timings };
    } catch (error) {
      this.metrics.failed(this.model, error);
      this.statistics.failed(performance.now() - started);
      throw error;
    }
  }
}
