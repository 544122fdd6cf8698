/** The server's own routes: `POST /classify`, `POST /classify/batch` and `GET /metrics`. */
import type { RequestHandler } from 'express';
import type { Protocol } from '../protocol.js';
import type { AppDeps } from './answer-image.js';
import { batchRoute } from './batch.js';
import { classifyRoute, OWN_ERROR } from './classify.js';

export function ownRoutes(deps: AppDeps): Protocol {
  return {
    name: 'alexnet',
    description: 'Send an image, get its most probable classes.',
    strictQuery: true,
    error: OWN_ERROR,
    routes: [
      classifyRoute(deps),
      batchRoute(deps),
      {
        method: 'get',
        path: '/metrics',
        handler: metrics(deps),
        doc: { summary: 'Counters in Prometheus’ text format', answer: { 'text/plain': 'text' } },
      },
    ],
  };
}

function metrics(deps: AppDeps): RequestHandler {
  return async (_request, response) => {
    const { type, body } = await deps.metrics.text();
    response.set('content-type', type).send(body);
  };
}
