/** The HTTP routes, as an Express application that never listens: `server.ts` does, and tests may. */
import { randomUUID } from 'node:crypto';
import express, { type Express, type RequestHandler } from 'express';
import { RequestError } from '../errors.js';
import { huggingFace } from './hugging-face/routes.js';
import { openInference } from './open-inference/routes.js';
import { openApiPages } from './openapi.js';
import type { AppDeps } from './own/answer-image.js';
import { OWN_ERROR, ownRoutes } from './own/classify.js';
import { page } from './page.js';
import { answerErrors, routerOf } from './protocol.js';
import { torchServe } from './torchserve.js';
import { viewRoutes } from './views/routes.js';

/** A client that has not read what was sent is left after this, milliseconds. */
const UNREAD_MS = 20_000;

export function createApp(deps: AppDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(deps.metrics.observe);
  app.use(identify(deps));
  if (deps.logRequests) app.use(logRequests(deps));
  const protocols = [ownRoutes(deps), openInference(deps), torchServe(deps), huggingFace(deps), viewRoutes(deps)];
  for (const protocol of protocols) app.use(routerOf(protocol, deps.log));
  app.use(openApiPages(protocols));
  app.use(page());
  app.use(() => {
    throw new RequestError('NOT_FOUND');
  });
  app.use(answerErrors(OWN_ERROR, deps.log));
  return app;
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
    response.once('close', () => {
      const status = response.writableFinished ? response.statusCode : 499;
      log(`${request.method} ${request.path.slice(0, 200)} ${status}`, status >= 500 ? 'error' : 'info', {
        request_id: response.get('x-request-id'),
        method: request.method,
        path: request.path.slice(0, 200),
        status,
        ms: Math.round(performance.now() - start),
        request_bytes: Number(request.get('content-length') ?? 0) || undefined,
        client: request.socket.remoteAddress,
      });
    });
    next();
  };
}
