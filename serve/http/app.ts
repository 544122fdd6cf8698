/** The HTTP routes, as an Express application that never listens: `server.ts` does, and tests may. */
import { randomUUID } from 'node:crypto';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import { RequestError, requestError } from '../errors.js';
import { parseTop, topPredictions } from '../served-model.js';
import { type AppDeps, answerPicture, openForPictures } from './answer-picture.js';
import { readPicture } from './body.js';
import { huggingFace } from './hugging-face.js';
import { torchServe } from './torchserve.js';

export function createApp(deps: AppDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(deps.metrics.observe);
  app.use(identify(deps));
  app.route('/classify').post(classify(deps)).all(onlyMethods('POST'));
  app
    .route('/v2/health/live')
    .get((_request, response) => void response.json({ live: true }))
    .all(onlyMethods('GET, HEAD'));
  app.route('/v2/health/ready').get(ready(deps)).all(onlyMethods('GET, HEAD'));
  app.route('/metrics').get(metrics(deps)).all(onlyMethods('GET, HEAD'));
  app.use(torchServe(deps));
  app.use(huggingFace(deps));
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

function metrics(deps: AppDeps): RequestHandler {
  return async (_request, response) => {
    const { type, body } = await deps.metrics.text();
    response.set('content-type', type).send(body);
  };
}

function classify(deps: AppDeps): RequestHandler {
  return async (request, response) => {
    const top = parseTop(request.query.top, openForPictures(deps));
    const bytes = await readPicture(request, deps.maxBytes);
    const complete = performance.now();
    const { probabilities, decodeMs, inferenceMs, model } = await answerPicture(deps, bytes, response);
    const totalMs = performance.now() - complete;
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

function milliseconds(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function answerError({ log }: AppDeps): ErrorRequestHandler {
  // Express knows error handlers by their four parameters.
  return (error: unknown, request: Request, response: Response, _next) => {
    if (response.headersSent || request.socket.destroyed) return;
    const known = requestError(error, response, log);
    response.status(known.status).json({ error: { code: known.code, message: known.message } });
  };
}
