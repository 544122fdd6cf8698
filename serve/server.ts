/** The server as a whole: HTTP, and the models with their inference processes, started and ended together. */
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { OptionError, UserError } from '../base/errors.js';
import type { Provider } from '../onnx/backend/provider.js';
import { DEFAULTS } from './defaults.js';
import { isLoopback, parseHost } from './http/allowed-hosts.js';
import { createApp } from './http/app.js';
import { parseBasePath } from './http/base-path.js';
import { parseOrigin } from './http/cors.js';
import type { ServedModel } from './served-model.js';
import { Serving, type ServingOptions } from './serving.js';
import { listenOnSocket } from './unix-socket.js';

export interface ServerOptions extends ServingOptions {
  host: string;
  /** 0 takes any free one. */
  port: number;
  /** Path of a Unix socket to listen on, in place of host and port. */
  socket?: string;
  /** In front of every path, such as `/vision`; '' for none. */
  basePath: string;
  /** Origins whose pages may read the answers, `*` for all. */
  corsOrigin: readonly string[];
  /**
   * Hosts that the server answers as, besides local ones, `*` for all; a dot in front takes subdomains in. If there are
   * none, only a server that listens on a loopback address checks.
   */
  allowedHosts: readonly string[];
  /** Whose X-Forwarded-For counts, as Express' setting: proxies in front, or their addresses with commas between. */
  trustProxy?: number | string;
  /** For a connection on which nothing is asked, milliseconds. */
  keepAliveMs: number;
}

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
  private readonly serving: Serving;
  private readonly basePath: string;
  /** Removes the socket's file. */
  private removeSocket = () => {};

  /** @throws {UserError} if an option cannot be used */
  constructor(private readonly options: ServerOptions) {
    const { uploadTimeoutMs, keepAliveMs, trustProxy } = options;
    // Node would listen on every network.
    if (options.host === '') throw new OptionError('host', 'expected an address, such as 127.0.0.1, got ""');
    if (options.socket === '') throw new OptionError('socket', 'expected the path of a socket, got ""');
    this.basePath = parseBasePath(options.basePath);
    this.serving = new Serving(options);
    const app = createApp({
      ...this.serving.deps,
      basePath: this.basePath,
      corsOrigins: options.corsOrigin.map(parseOrigin),
      allowedHosts: options.allowedHosts.map(parseHost),
      onLoopback: () => this.onLoopback,
      trustProxy,
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
      await this.serving.start();
      const { all } = this.serving.models;
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
    await this.serving.drain();
    if (!this.http.listening) return;
    await new Promise<void>((resolve) => {
      this.http.close(() => resolve());
      this.removeSocket();
      setTimeout(() => this.http.closeAllConnections(), CLOSE_GRACE_MS).unref();
    });
  }

  /** Ends everything at once, waiting images unanswered. */
  kill(): void {
    this.serving.kill();
    this.http.close();
    this.removeSocket();
    this.http.closeAllConnections();
  }

  private async listen(): Promise<void> {
    const { host, port, socket } = this.options;
    if (socket !== undefined) {
      this.removeSocket = await listenOnSocket(this.http, socket);
      return;
    }
    await new Promise<void>((resolve, reject) => {
      this.http.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
      this.http.listen(port, host, resolve);
    });
  }

  private get onLoopback(): boolean {
    const address = this.http.address();
    return typeof address === 'object' && address !== null && isLoopback(address.address);
  }

  /** nginx' form for a socket. */
  private url(): string {
    const { socket } = this.options;
    if (socket !== undefined) return `unix:${resolve(socket)}:${this.basePath}`;
    const { address, port, family } = this.http.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}${this.basePath}`;
  }
}

function listenError(cause: NodeJS.ErrnoException, host: string, port: number): UserError {
  const where = `cannot listen on ${host} port ${port}`;
  const advice: Record<string, string> = {
    EADDRINUSE: 'the port is in use; choose another port, or 0 for any free one',
    EACCES: 'not permitted; choose a port of 1024 or more',
    EADDRNOTAVAIL: 'this machine has no such address; choose another host',
    ENOTFOUND: 'no such host; choose another host',
  };
  return new UserError(`${where}: ${advice[cause.code ?? ''] ?? cause.message}`, { cause });
}
