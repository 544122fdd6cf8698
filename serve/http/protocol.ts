/**
 * A protocol is a list of routes with their descriptions, and one shape of errors. Routes and OpenAPI document are made
 * from the same list.
 */
import { type ErrorRequestHandler, type Request, type RequestHandler, type Response, Router } from 'express';
import type { z } from 'zod';
import { type ErrorCode, RequestError, requestError } from '../errors.js';
import type { Log } from '../log.js';
import { type QueryDoc, refuseUnknownKeys } from './parse-query.js';

export interface Protocol {
  /** For the document's headings. */
  name: string;
  description: string;
  routes: Route[];
  /** Paths whose other routes are answered with this protocol's 404. */
  prefixes?: string[];
  /** Unknown parameters of a query are refused; else passed over, as the servers do whose protocol it is. */
  strictQuery?: boolean;
  error: ErrorShape;
}

export interface ErrorShape {
  schema: z.ZodType;
  /** @param retryAfterS  seconds, where the error passes by itself */
  body(error: RequestError, retryAfterS?: number): object;
}

export interface Route {
  method: 'get' | 'post' | 'put' | 'head';
  /** As Express writes it. */
  path: string;
  handler: RequestHandler;
  doc: RouteDoc;
}

export interface RouteDoc {
  summary: string;
  /** Query parameters by name. */
  query?: QueryDoc;
  headers?: Record<string, { description: string; required?: boolean }>;
  /** Bodies by content type; `binary` for bytes. */
  body?: Record<string, z.ZodType | 'binary'>;
  /** The answer of status 200 by content type; undefined if it has no body. */
  answer?: Record<string, z.ZodType | 'binary' | 'text'>;
  /** Other answers than errors, by status. */
  others?: Record<number, { description: string; schema: z.ZodType }>;
  errors?: ErrorCode[];
  /** Needs the token. */
  guarded?: boolean;
}

/** Routes in order, and their errors in the protocol's shape. */
export function routerOf({ routes, error, strictQuery = false }: Protocol, log: Log): Router {
  const router = Router();
  for (const path of new Set(routes.map((route) => route.path))) {
    const route = router.route(path);
    for (const { method, handler, doc } of routes.filter((own) => own.path === path)) {
      if (strictQuery && doc.query) route[method](refuseUnknownKeys(doc.query));
      route[method](handler);
    }
    route.all((_request, _response, next) => next()); // else OPTIONS is answered without asking anybody
  }
  router.use(answerErrors(error, log));
  return router;
}

/**
 * What no route has answered: 405 with `Allow` for other methods of a path, 404 below the protocol's prefixes.
 * @param all  routes of every protocol: they may share paths
 */
export function refusalsOf(
  { routes, prefixes = [], error }: Protocol,
  all: readonly Pick<Route, 'method' | 'path'>[],
  log: Log,
): Router {
  const router = Router();
  for (const path of new Set(routes.map((route) => route.path))) {
    const methods = all
      .filter((route) => route.path === path)
      .flatMap(({ method }) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]));
    const allowed = [...new Set(methods)].join(', ');
    router.all(path, (request, response) => {
      response.set('allow', allowed);
      throw new RequestError('METHOD_NOT_ALLOWED', `${request.path} answers ${allowed}, not ${request.method}`);
    });
  }
  for (const prefix of prefixes) {
    router.use(prefix, (request) => {
      throw new RequestError('NOT_FOUND', `no such route: ${request.method} ${request.baseUrl}${request.path}`);
    });
  }
  router.use(answerErrors(error, log));
  return router;
}

export function answerErrors(shape: ErrorShape, log: Log): ErrorRequestHandler {
  // Express knows error handlers by their four parameters.
  return (error: unknown, request: Request, response: Response, _next) => {
    if (response.headersSent || request.socket.destroyed) return;
    const known = requestError(error, response, log);
    response.status(known.status).json(shape.body(known, known.retryAfterS));
  };
}
