/** What the server counts, for its own page: the numbers of /metrics that charts are drawn from. */
import type { RequestHandler } from 'express';
import type { z } from 'zod';
import type { AppDeps } from '../own/answer-image.js';
import type { Stats } from './schemas.js';

export function stats({ models, metrics }: AppDeps): RequestHandler {
  return async (_request, response) => {
    const described = models.all.map(async (host) => {
      const { name, version } = host.model;
      const { provider, isUp: up, pending, views, sinceMs: since_ms } = host;
      const counted = await metrics.ofModel(host.model);
      return { name, version, since_ms, provider, up, pending, ...counted, views: views.state, index: views.hasIndex };
    });
    response.set('cache-control', 'no-store').json({
      time_ms: Date.now(),
      uptime_s: process.uptime(),
      memory_bytes: process.memoryUsage.rss(),
      models: await Promise.all(described),
      left_out: models.leftOut,
      latency: await metrics.latency('/classify'),
    } satisfies z.infer<typeof Stats>);
  };
}
