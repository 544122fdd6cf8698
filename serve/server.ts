/** The server as a whole: HTTP, the line of waiting pictures and the inference process, started and ended together. */
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { UserError } from '../model/errors.js';
import { RequestError } from './errors.js';
import { InferenceSupervisor, type Loaded } from './hosting/inference-supervisor.js';
import { RequestQueue } from './hosting/request-queue.js';
import { createApp } from './http/app.js';
import type { Provider, ProviderChoice } from './inference/provider.js';
import { Metrics } from './metrics.js';
import type { ServedModel } from './served-model.js';

export interface ServerOptions {
  /** Path of the `.onnx` file. */
  file: string;
  host: string;
  /** 0 takes any free one. */
  port: number;
  provider: ProviderChoice;
  /** Size of an encoded picture allowed. */
  maxBytes: number;
  /** Width × height allowed. */
  maxPixels: number;
  /** Pictures that may wait, besides the one in inference. */
  maxWaiting: number;
  /** Time from a complete request to its answer, milliseconds, waiting included. */
  timeoutMs: number;
  /** Progress for people, one line each. */
  log: (line: string) => void;
  /** Compiled file to run as the inference process, in place of our own. */
  inferenceModule?: string;
}

export const DEFAULTS = {
  host: '127.0.0.1',
  port: 8080,
  provider: 'auto',
  maxBytes: 20_000_000,
  maxPixels: 50_000_000,
  maxWaiting: 16,
  timeoutMs: 30_000,
  log: () => undefined,
} as const satisfies Partial<ServerOptions>;

/** Against clients that send a byte now and then. */
const HTTP_LIMITS = { headersTimeout: 10_000, requestTimeout: 15_000, connectionsCheckingInterval: 2_000 };
/** After the last answer, for connections on which a request has begun but is not complete. */
const CLOSE_GRACE_MS = 2_000;

export interface Started {
  url: string;
  provider: Provider;
  model: ServedModel;
}

/** Nothing listens or loads before `start`. */
export function createServer(options: Partial<ServerOptions> & { file: string }): ImageServer {
  return new ImageServer({ ...DEFAULTS, ...options });
}

export class ImageServer {
  private readonly http: HttpServer;
  private readonly queue: RequestQueue;
  private readonly inference: InferenceSupervisor;
  private readonly metrics = new Metrics({ pending: () => this.queue.pending, up: () => this.up });
  private loaded?: Loaded;
  private up = false;
  private stopping = false;

  constructor(private readonly options: ServerOptions) {
    const { file, provider, maxPixels, maxWaiting, timeoutMs, maxBytes, log, inferenceModule } = options;
    this.inference = new InferenceSupervisor(
      { file, provider, maxPixels },
      {
        ready: (loaded) => this.ready(loaded),
        reply: (reply) => this.queue.reply(reply),
        died: () => this.died(),
        log,
      },
      inferenceModule,
    );
    this.queue = new RequestQueue({
      maxWaiting,
      timeoutMs,
      send: (message) => this.inference.send(message),
      kill: () => {
        log(`the inference process has not answered for ${timeoutMs / 1000} s; ending it`);
        this.inference.kill();
      },
    });
    const app = createApp({
      model: () => this.loaded?.model,
      notReady: () => this.notReady(),
      draining: () => this.stopping,
      requireRoom: () => this.requireRoom(),
      classify: (bytes, signal) => this.classify(bytes, signal),
      maxBytes,
      metrics: this.metrics,
      log,
    });
    this.http = createHttpServer(HTTP_LIMITS, app);
  }

  /**
   * Listens, then loads the model; requests meanwhile learn that it is not ready.
   * @throws {UserError} when the address cannot be listened on, or the model cannot be loaded: nothing runs then
   */
  async start(): Promise<Started> {
    await this.listen();
    try {
      const { provider, model } = await this.inference.start();
      return { url: this.url(), provider, model };
    } catch (error) {
      this.kill();
      throw error;
    }
  }

  /**
   * Takes no more pictures, answers those it has, then closes. Until then the port stays open, so that probes and clients learn it
   * from a 503.
   */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.queue.idle();
    this.inference.stop();
    if (!this.http.listening) return;
    await new Promise<void>((resolve) => {
      this.http.close(() => resolve());
      setTimeout(() => this.http.closeAllConnections(), CLOSE_GRACE_MS).unref();
    });
  }

  /** Ends everything at once, waiting pictures unanswered. */
  kill(): void {
    this.stopping = true;
    this.inference.stop();
    this.http.close();
    this.http.closeAllConnections();
  }

  private async classify(bytes: Buffer, signal: AbortSignal) {
    return this.metrics.inference(async () => {
      if (this.stopping) throw new RequestError('SHUTTING_DOWN', undefined, 1);
      return this.queue.add(bytes, signal);
    });
  }

  private requireRoom(): void {
    try {
      this.queue.requireRoom();
    } catch (error) {
      this.metrics.failed(error);
      throw error;
    }
  }

  private ready(loaded: Loaded): void {
    this.loaded = loaded;
    this.metrics.modelLoaded(loaded.model, loaded.provider);
    this.up = true;
    this.queue.processReady();
  }

  private died(): void {
    this.up = false;
    this.metrics.processDied();
    this.queue.processDied();
  }

  private notReady(): string | undefined {
    if (this.stopping) return 'shutting down';
    if (this.up) return undefined;
    return this.loaded ? 'the inference process is restarting' : 'the model is loading';
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
