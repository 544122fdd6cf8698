/** The server as a whole: HTTP, and the models with their inference processes, started and ended together. */
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { UserError } from '../base/errors.js';
import type { Provider } from '../onnx/backend/provider.js';
import { Repository, type RepositoryOptions } from './hosting/repository.js';
import { createApp } from './http/app.js';
import { largestBody } from './http/body.js';
import { UNFOLDING } from './http/json/few-values.js';
import { OffLoop } from './http/json/off-loop.js';
import { type UploadOptions, Uploads } from './http/uploads.js';
import type { Log } from './log.js';
import { Metrics } from './metrics.js';
import type { ServedModel } from './served-model.js';
import { readWholeIndex } from './views/index/index-file.js';
import { requireMadeBy } from './views/index/require-index.js';

export interface ServerOptions extends RepositoryOptions, Pick<UploadOptions, 'uploadTimeoutMs'> {
  host: string;
  /** 0 takes any free one. */
  port: number;
  /** Size of an encoded image allowed. */
  maxBytes: number;
  /** Of request bodies held at once, bytes; undefined for `IN_FLIGHT`, or more if `maxBytes` asks for it. */
  maxInFlight?: number;
  /** For a connection on which nothing is asked, milliseconds. */
  keepAliveMs: number;
  /** Lets its holders load and unload models over HTTP; undefined: nobody. */
  adminToken?: string;
  /** A line in the log for every request. */
  logRequests: boolean;
  log: Log;
}

export const DEFAULTS = {
  files: [],
  versions: 'all',
  followLinks: false,
  strict: false,
  strictReadiness: false,
  host: '127.0.0.1',
  port: 8080,
  provider: 'auto',
  replicas: 1,
  batchDelayMs: 5,
  maxBytes: 20_000_000,
  maxPixels: 50_000_000,
  maxWaiting: 16,
  timeoutMs: 30_000,
  uploadTimeoutMs: 60_000,
  keepAliveMs: 75_000,
  cacheBytes: 0,
  viewIdleMs: 60_000,
  logRequests: false,
  log: () => undefined,
} as const satisfies Partial<ServerOptions>;

/** Request bodies held at once, bytes. */
export const IN_FLIGHT = 256_000_000;

/** Against clients that send a byte now and then. */
const HEADERS_MS = 10_000;
/** After the last answer, for connections on which a request has begun but is not complete. */
const CLOSE_GRACE_MS = 2_000;

export interface Started {
  url: string;
  /** What computes. */
  provider: Provider;
  models: ServedModel[];
}

/** Nothing listens or loads before `start`. */
export function createServer(options: Partial<ServerOptions>): ImageServer {
  return new ImageServer({ ...DEFAULTS, ...options });
}

export class ImageServer {
  private readonly http: HttpServer;
  private readonly models: Repository;
  private readonly metrics: Metrics;
  private readonly uploads: Uploads;
  private readonly offLoop: OffLoop;
  private stopping = false;

  constructor(private readonly options: ServerOptions) {
    const { maxBytes, uploadTimeoutMs, keepAliveMs, adminToken, logRequests, log } = options;
    const maxInFlight = inFlightLimit(options);
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
      timeoutMs: options.timeoutMs,
      maxValueBytes: UNFOLDING * largestBody(maxBytes),
      moved: () => this.metrics.jsonMoved(),
    });
    const app = createApp({
      models: this.models,
      notReady: () => (this.stopping ? 'shutting down' : this.models.notReady),
      draining: () => this.stopping,
      maxBytes,
      uploads: this.uploads,
      offLoop: this.offLoop,
      adminToken,
      metrics: this.metrics,
      logRequests,
      log,
    });
    const limits = {
      headersTimeout: HEADERS_MS,
      // The routes give up slow bodies themselves, and answer; this ends those that come after an answer.
      requestTimeout: 2 * HEADERS_MS + uploadTimeoutMs,
      connectionsCheckingInterval: 2_000,
      keepAliveTimeout: keepAliveMs,
    };
    this.http = createHttpServer(limits, app);
    this.http.on('checkContinue', app); // a body that is refused need not be sent
  }

  /**
   * Listens, then loads the models; requests meanwhile learn that it is not ready.
   * @throws {UserError} when the address cannot be listened on, or a model cannot be loaded: nothing runs then
   */
  async start(): Promise<Started> {
    await this.listen();
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
      const { all } = this.models;
      return { url: this.url(), provider: all[0].provider, models: all.map(({ model }) => model) };
    } catch (error) {
      this.kill();
      throw error;
    }
  }

  /**
   * Takes no more images, answers those it has, then closes. Until then the port stays open, so that probes and clients
   * learn it from a 503.
   */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.models.drain();
    if (!this.http.listening) return;
    await new Promise<void>((resolve) => {
      this.http.close(() => resolve());
      setTimeout(() => this.http.closeAllConnections(), CLOSE_GRACE_MS).unref();
    });
  }

  /** Ends everything at once, waiting images unanswered. */
  kill(): void {
    this.stopping = true;
    this.models.kill();
    void this.offLoop.end();
    this.http.close();
    this.http.closeAllConnections();
  }

  private listen(): Promise<void> {
    const { host, port } = this.options;
    return new Promise((resolve, reject) => {
      this.http.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
      this.http.listen(port, host, resolve);
    });
  }

  private url(): string {
    const { address, port, family } = this.http.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }
}

/** @throws {UserError} if the largest body would not fit */
function inFlightLimit({ maxInFlight, maxBytes }: ServerOptions): number {
  const largest = largestBody(maxBytes);
  const limit = maxInFlight ?? Math.max(IN_FLIGHT, largest);
  if (limit >= largest) return limit;
  const why = `the largest body with an image of --max-bytes ${maxBytes}`;
  throw new UserError(`--max-in-flight: expected ${largest} bytes or more, ${why}, got ${limit}`);
}

function listenError(cause: NodeJS.ErrnoException, host: string, port: number): UserError {
  const where = `cannot listen on ${host} port ${port}`;
  const advice: Record<string, string> = {
    EADDRINUSE: 'the port is in use; choose another with --port, or 0 for any free one',
    EACCES: 'not permitted; choose a port of 1024 or more with --port',
    EADDRNOTAVAIL: 'this machine has no such address; choose another with --host',
    ENOTFOUND: 'no such host; choose another with --host',
  };
  return new UserError(`${where}: ${advice[cause.code ?? ''] ?? cause.message}`, { cause });
}
