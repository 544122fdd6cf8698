/** The HTTP routes, as an Express application that never listens: `server.ts` does, and tests may. */
import { randomUUID } from 'node:crypto';
import express, { type Express, type RequestHandler } from 'express';
import { OptionError } from '../../base/errors.js';
import { RequestError } from '../errors.js';
import { traceIds, traceRequests } from '../tracing.js';
import { requireAllowedHost } from './allowed-hosts.js';
import { cors } from './cors.js';
import { huggingFace } from './hugging-face/routes.js';
import { openInference } from './open-inference/routes.js';
import { openApiPages } from './openapi.js';
import type { AppDeps } from './own/answer-image.js';
import { OWN_ERROR } from './own/classify.js';
import { ownRoutes } from './own/routes.js';
import { PAGE_ROUTE, page } from './page.js';
import { answerErrors, refusalsOf, routerOf } from './protocol.js';
import { torchServe } from './torchserve.js';
import { viewRoutes } from './views/routes.js';

/** A client that has not read what was sent is left after this, milliseconds. */
const UNREAD_MS = 20_000;

export interface AppOptions extends AppDeps {
  /** In front of every path; default: none. */
  basePath?: string;
  /** Origins whose pages may read the answers, see `cors`; default: none. */
  corsOrigins?: readonly string[];
  /** See `requireAllowedHost`; default: every host. */
  allowedHosts?: readonly string[];
  /** Whether it listens on a loopback address, where hosts are checked though none are given. */
  onLoopback?(): boolean;
  /** As Express' setting; requests over a Unix socket come from a proxy if there is one. */
  trustProxy?: number | string;
  /** Where it is mounted in another application, that one answers what it does not know. */
  fallThrough?: boolean;
  /** Asked first: throws to refuse a request. */
  refuse?(): void;
}

/** An application that answers everything, with 404 where there is no route. */
export function createApp({ basePath = '', trustProxy, fallThrough = false, ...options }: AppOptions): Express {
  const app = express();
  trust(app, trustProxy);
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(...before(options));
  app.use(basePath, ...routes(options));
  app.use((_request, _response, next) => {
    if (fallThrough && app.mountpath !== '/') return next();
    throw new RequestError('NOT_FOUND', `no such route; send an image to POST ${basePath}/classify`);
  });
  app.use(answerErrors(OWN_ERROR, options.log));
  return app;
}

/** @throws {UsageError} */
function trust(app: Express, proxy: number | string | undefined): void {
  if (proxy === undefined) return;
  try {
    app.set('trust proxy', proxy);
  } catch (cause) {
    const expected = 'the number of proxies in front, or their addresses such as loopback or 10.0.0.0/8';
    throw new OptionError('trustProxy', `expected ${expected}, got "${proxy}"`, { cause });
  }
  const trusts: (address: string | undefined, hop: number) => boolean = app.get('trust proxy fn');
  app.set('trust proxy', (address: string | undefined, hop: number) => address === undefined || trusts(address, hop));
}

/** What happens to every request, whatever its path. */
function before(options: AppOptions): RequestHandler[] {
  const { allowedHosts = [], corsOrigins = [], onLoopback = () => false } = options;
  return [
    options.metrics.observe,
    traceRequests,
    identify(options),
    ...(options.logRequests ? [logRequests(options)] : []),
    requireAllowedHost(allowedHosts, onLoopback),
    ...(corsOrigins.length > 0 ? [cors(corsOrigins)] : []),
    (_request, _response, next) => {
      options.refuse?.();
      next();
    },
  ];
}

/** The routes of every protocol, the documents and the page. Not in one router: each that has no route costs a turn. */
function routes(deps: AppDeps): RequestHandler[] {
  const protocols = [ownRoutes(deps), openInference(deps), huggingFace(deps), torchServe(deps), viewRoutes(deps)];
  const all = [...protocols.flatMap((protocol) => protocol.routes), PAGE_ROUTE];
  return [
    ...protocols.map((protocol) => routerOf(protocol, deps.log)),
    openApiPages(protocols),
    page(),
    ...protocols.map((protocol) => refusalsOf(protocol, all, deps.log)),
  ];
}

/** Echoes a sane `x-request-id`, makes one up otherwise. */
function identify({ draining }: AppDeps): RequestHandler {
  return (request, response, next) => {
    const given = request.get('x-request-id') ?? '';
    response.set('x-request-id', /^[\w.:/+=-]{1,128}$/.test(given) ? given : randomUUID());
    response.set({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    // Asked when the answer is written: the server may be draining by then.
    const { writeHead } = response;
    response.writeHead = ((...head: Parameters<typeof writeHead>) => {
      if (draining() && !response.headersSent) response.setHeader('connection', 'close');
      const unread = setTimeout(() => {
        if (response.writableLength > 0) response.destroy();
        else unread.refresh(); // an answer that is still being computed
      }, UNREAD_MS);
      response.once('close', () => clearTimeout(unread));
      return writeHead.apply(response, head);
    }) as typeof writeHead;
    next();
  };
}

/** A line per request, without anything of the image. */
function logRequests({ log }: AppDeps): RequestHandler {
  return (request, response, next) => {
    const start = performance.now();
    const path = request.path.slice(0, 200);
    const ids = traceIds();
    const client = request.ip; // gone with its connection
    response.once('close', () => {
      const status = response.writableFinished ? response.statusCode : 499;
      const ms = Math.round(performance.now() - start);
      log(`${request.method} ${path} ${status} ${ms} ms`, status >= 500 ? 'error' : 'info', {
        request_id: response.get('x-request-id'),
        method: request.method,
        path,
        status,
        ms,
        request_bytes: Number(request.get('content-length') ?? 0) || undefined,
        client,
        ...ids,
      });
    });
    next();
  };
}
