/** The HTTP routes, as an Express application that never listens: `server.ts` does, and tests may. */
import { randomUUID } from 'node:crypto';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import { readPicture } from './body.js';
import { type ErrorCode, RequestError } from './errors.js';
import { requirePicture } from './picture-kind.js';
import type { Answer } from './request-queue.js';
import { parseTop, type ServedModel, topPredictions } from './served-model.js';

/** What the routes need of the rest. */
export interface AppDeps {
  /** The model that answers, once it is loaded. */
  model(): ServedModel | undefined;
  /** Why no pictures can be classified just now; undefined while they can. */
  notReady(): string | undefined;
  /** No more pictures are taken, and connections close after their answer. */
  draining(): boolean;
  /** @throws {RequestError} QUEUE_FULL */
  requireRoom(): void;
  /** @throws {RequestError} as `RequestQueue.add` */
  classify(bytes: Buffer, signal: AbortSignal): Promise<Answer>;
  /** Size of an encoded picture allowed. */
  maxBytes: number;
  /** Faults of ours, for the log. */
  log(line: string): void;
}

export function createApp(deps: AppDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(identify(deps));
  app.route('/classify').post(classify(deps)).all(onlyMethods('POST'));
  app
    .route('/v2/health/live')
    .get((_request, response) => void response.json({ live: true }))
    .all(onlyMethods('GET, HEAD'));
  app.route('/v2/health/ready').get(ready(deps)).all(onlyMethods('GET, HEAD'));
  app.use(() => {
    throw new RequestError('NOT_FOUND');
  });
  app.use(answerError(deps));
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
      return writeHead.apply(response, head);
    }) as typeof writeHead;
    next();
  };
}

function onlyMethods(allowed: string): RequestHandler {
  return (request, response) => {
    response.set('allow', allowed);
    throw new RequestError('METHOD_NOT_ALLOWED', `${request.path} answers ${allowed}, not ${request.method}`);
  };
}

function ready({ notReady }: AppDeps): RequestHandler {
  return (_request, response) => {
    const reason = notReady();
    if (reason === undefined) response.json({ ready: true });
    else response.status(503).json({ ready: false, error: reason });
  };
}

function classify(deps: AppDeps): RequestHandler {
  return async (request, response) => {
    if (deps.draining()) throw new RequestError('SHUTTING_DOWN', undefined, 1);
    const top = parseTop(request.query.top, loadedModel(deps));
    deps.requireRoom(); // before the body: an overloaded server should not read it
    const bytes = await readPicture(request, deps.maxBytes);
    requirePicture(bytes);
    const complete = performance.now();
    const { probabilities, decodeMs, inferenceMs } = await deps.classify(bytes, whenGone(response));
    const totalMs = performance.now() - complete;
    const model = loadedModel(deps); // after a restart it may be another than at first
    response.json({
      predictions: topPredictions(probabilities, model, top),
      model: { name: model.name, version: model.version },
      crops: model.crops,
      timings_ms: {
        queue: milliseconds(Math.max(0, totalMs - decodeMs - inferenceMs)),
        decode: milliseconds(decodeMs),
        inference: milliseconds(inferenceMs),
        total: milliseconds(totalMs),
      },
    });
  };
}

function loadedModel({ model }: AppDeps): ServedModel {
  const loaded = model();
  if (!loaded) throw new RequestError('NOT_READY', undefined, 1);
  return loaded;
}

function milliseconds(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** Aborted when the client closes the connection before it has its answer. */
function whenGone(response: Response): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableEnded) controller.abort(new RequestError('BAD_REQUEST', 'the client has gone'));
  });
  return controller.signal;
}

function answerError({ log }: AppDeps): ErrorRequestHandler {
  // Express knows error handlers by their four parameters.
  return (error: unknown, request: Request, response: Response, _next) => {
    if (response.headersSent || request.socket.destroyed) return;
    const known = error instanceof RequestError ? error : new RequestError(codeOf(error));
    const id = response.get('x-request-id');
    if (known.code === 'INTERNAL') log(`request ${id}: ${error instanceof Error ? error.stack : error}`);
    if (known.retryAfterS !== undefined) response.set('retry-after', String(known.retryAfterS));
    response.status(known.status).json({ error: { code: known.code, message: known.message } });
  };
}

/** Express marks what it cannot parse with a status of 4xx. */
function codeOf(error: unknown): ErrorCode {
  const { status } = (error ?? {}) as { status?: unknown };
  return typeof status === 'number' && status >= 400 && status < 500 ? 'BAD_REQUEST' : 'INTERNAL';
}
