/** What reads of TorchServe's management API (pytorch.org/serve, management_api): which models, and how they do. */
import { basename } from 'node:path';
import type { RequestHandler } from 'express';
import { z } from 'zod';
import type { ModelHost } from '../hosting/model-host.js';
import type { AppDeps } from './own/answer-image.js';
import { parseQuery } from './parse-query.js';
import type { Route } from './protocol.js';

const List = z.object({
  nextPageToken: z.string().optional().meta({ description: 'For the next of them' }),
  models: z.array(z.object({ modelName: z.string(), modelUrl: z.string() })),
});
const Described = z
  .object({
    modelName: z.string(),
    modelVersion: z.string(),
    modelUrl: z.string(),
    runtime: z.string(),
    minWorkers: z.int(),
    maxWorkers: z.int(),
    batchSize: z.int(),
    maxBatchDelay: z.int().meta({ description: 'Milliseconds' }),
    responseTimeout: z.number().meta({ description: 'Seconds' }),
    loadedAtStartup: z.boolean(),
    workers: z.array(
      z.object({
        id: z.string(),
        startTime: z.string(),
        status: z.enum(['READY', 'UNLOADING']),
        memoryUsage: z.int().meta({ description: '0: not measured' }),
        pid: z.int(),
        gpu: z.boolean(),
      }),
    ),
    jobQueueStatus: z.object({ remainingCapacity: z.int(), pendingRequests: z.int() }),
  })
  .meta({ id: 'TorchServeModel' });

const QUERY = {
  limit: { description: 'How many; default: 100', schema: z.int().min(1).max(1000).optional() },
  next_page_token: { description: 'Of the answer before', schema: z.int().min(0).optional() },
};
const PAGE = 100;

export function managementRoutes(deps: AppDeps): Route[] {
  const described = ['/models/:model', '/models/:model/:version'].map(
    (path): Route => ({
      method: 'get',
      path,
      handler: describe(deps) as RequestHandler,
      doc: {
        summary: 'A model’s processes and its line; as version, `all` gives every one',
        answer: { 'application/json': z.array(Described) },
        errors: ['MODEL_NOT_FOUND', 'MODEL_UNAVAILABLE'],
      },
    }),
  );
  return [
    {
      method: 'get',
      path: '/models',
      handler: list(deps),
      doc: {
        summary: 'Names of the models',
        query: QUERY,
        answer: { 'application/json': List },
        errors: ['BAD_REQUEST'],
      },
    },
    ...described,
  ];
}

function list({ models }: AppDeps): RequestHandler {
  return (request, response) => {
    const { limit = PAGE, next_page_token: from = 0 } = parseQuery(QUERY, request.query);
    const { all } = models;
    response.json({
      ...(from + limit < all.length && { nextPageToken: String(from + limit) }),
      models: all.slice(from, from + limit).map(({ model, settings }) => ({
        modelName: model.name,
        modelUrl: basename(settings.file),
      })),
    } satisfies z.infer<typeof List>);
  };
}

function describe({ models }: AppDeps): RequestHandler<{ model: string; version?: string }> {
  return (request, response) => {
    const { model, version } = request.params;
    const hosts = version === 'all' ? models.served(model) : [models.find(model, version)];
    response.json(hosts.map(describeHost) satisfies z.infer<typeof Described>[]);
  };
}

function describeHost({ model, settings, provider, workers, room, pending }: ModelHost): z.infer<typeof Described> {
  const { file, replicas, maxReplicas, batch, batchDelayMs, timeoutMs } = settings;
  return {
    modelName: model.name,
    modelVersion: model.version,
    modelUrl: basename(file),
    runtime: 'onnxruntime',
    minWorkers: replicas,
    maxWorkers: maxReplicas,
    batchSize: batch,
    maxBatchDelay: batchDelayMs,
    responseTimeout: timeoutMs / 1000,
    loadedAtStartup: true,
    workers: workers.map(({ pid, since, isUp }, i) => ({
      id: String(9000 + i),
      startTime: new Date(since).toISOString(),
      status: isUp ? 'READY' : 'UNLOADING',
      memoryUsage: 0,
      pid: pid ?? 0,
      gpu: provider !== 'cpu',
    })),
    jobQueueStatus: { remainingCapacity: room, pendingRequests: pending },
  };
}
