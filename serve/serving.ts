/** The models of a server with what answers requests for them, whoever listens. */
import { OptionError } from '../base/errors.js';
import { checkFile, checkOptions } from './check-options.js';
import { BATCH_BYTES, IN_FLIGHT } from './defaults.js';
import { RequestError } from './errors.js';
import { Repository, type RepositoryOptions } from './hosting/repository.js';
import { largestBody } from './http/body.js';
import { UNFOLDING } from './http/json/few-values.js';
import { OffLoop } from './http/json/off-loop.js';
import type { AppDeps } from './http/own/answer-image.js';
import { type UploadOptions, Uploads } from './http/uploads.js';
import type { Log } from './log.js';
import { Metrics } from './metrics.js';
import { readWholeIndex } from './views/index/index-file.js';
import { requireMadeBy } from './views/index/require-index.js';

export interface ServingOptions extends RepositoryOptions, Pick<UploadOptions, 'uploadTimeoutMs'> {
  /** Size of an encoded image allowed. */
  maxBytes: number;
  /** Of request bodies held at once, bytes; undefined for `IN_FLIGHT`, or more if `maxBytes` asks for it. */
  maxInFlight?: number;
  /** Images in one request to `/classify/batch`. */
  maxBatchImages: number;
  /** Size of its body, bytes; undefined for 100 MB, or `maxInFlight` if that is less. */
  maxBatchBytes?: number;
  /** Lets its holders load and unload models over HTTP; undefined: nobody. */
  adminToken?: string;
  /** A line in the log for every request. */
  logRequests: boolean;
  log: Log;
}

export class Serving {
  readonly models: Repository;
  private readonly metrics: Metrics;
  private readonly uploads: Uploads;
  private readonly offLoop: OffLoop;
  private readonly maxBatchBytes: number;
  private stopping = false;

  /** @throws {UserError} if an option cannot be used, or the limits contradict each other */
  constructor(private readonly options: ServingOptions) {
    checkOptions(options);
    options.files.forEach(checkFile);
    if (options.files.length === 0 && options.folder === undefined)
      throw new OptionError('files', 'expected paths of .onnx files, or a folder of models as "folder", got neither');
    const { maxBytes, uploadTimeoutMs, timeoutMs, log } = options;
    const maxInFlight = inFlightLimit(options);
    this.maxBatchBytes = options.maxBatchBytes ?? Math.min(BATCH_BYTES, maxInFlight);
    this.uploads = new Uploads({ uploadTimeoutMs, maxInFlight });
    this.metrics = new Metrics({
      pending: () => this.models.pending,
      up: () => this.models.processesUp,
      leftOut: () => this.models.leftOut,
      bytesInFlight: () => this.uploads.bytesInFlight,
      maxInFlight,
    });
    this.models = new Repository(options, this.metrics, log);
    this.offLoop = new OffLoop({
      timeoutMs,
      maxValueBytes: UNFOLDING * largestBody(maxBytes),
      moved: () => this.metrics.jsonMoved(),
    });
  }

  /** For the routes. */
  get deps(): AppDeps {
    const { maxBytes, maxBatchImages, adminToken, logRequests, log } = this.options;
    return {
      models: this.models,
      notReady: () => (this.stopping ? 'shutting down' : this.models.notReady),
      draining: () => this.stopping,
      maxBytes,
      maxBatchImages,
      maxBatchBytes: this.maxBatchBytes,
      uploads: this.uploads,
      offLoop: this.offLoop,
      adminToken,
      metrics: this.metrics,
      logRequests,
      log,
    };
  }

  /**
   * Loads the models; requests meanwhile learn that they are not ready.
   * @throws {UserError} when a model cannot be loaded: nothing runs then
   */
  async start(): Promise<void> {
    try {
      const { index, log } = this.options;
      const header = index === undefined ? undefined : await readWholeIndex(index);
      await this.models.start();
      if (index !== undefined && header) {
        await requireMadeBy(index, header, this.models.paths).catch((error) => {
          if (this.models.leftOut.length === 0) throw error; // else it may be of one of those
          log((error as Error).message, 'warn');
        });
      }
    } catch (error) {
      this.kill();
      throw error;
    }
  }

  /** Takes no more images, those that are still arriving included, answers what it has, then ends its processes. */
  async drain(): Promise<void> {
    this.stopping = true;
    this.uploads.refuseArriving(new RequestError('SHUTTING_DOWN', undefined, 1));
    await this.models.drain();
  }

  /** Ends everything at once, waiting images unanswered. */
  kill(): void {
    this.stopping = true;
    this.models.kill();
    void this.offLoop.end();
  }
}

/** @throws {UserError} if the largest body would not fit */
function inFlightLimit({ maxInFlight, maxBytes, maxBatchBytes = 0 }: ServingOptions): number {
  const largest = Math.max(largestBody(maxBytes), maxBatchBytes);
  const limit = maxInFlight ?? Math.max(IN_FLIGHT, largest);
  if (limit >= largest) return limit;
  const why = largest === maxBatchBytes ? 'the size of a batch' : `the largest body with an image of ${maxBytes} bytes`;
  throw new OptionError('maxInFlight', `expected ${largest} bytes or more, ${why}, got ${limit}`);
}
