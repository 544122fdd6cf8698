/** From the bytes of a request to the model's answer, for the routes of every protocol. */
import type { Response } from 'express';
import { RequestError } from '../../errors.js';
import type { Classified, ModelHost } from '../../hosting/model-host.js';
import type { Repository } from '../../hosting/repository.js';
import { widthLimit } from '../../hosting/width-limit.js';
import { requireImage } from '../../inference/image/image-kind.js';
import type { Log } from '../../log.js';
import type { Metrics } from '../../metrics.js';
import type { BodyDeps } from '../body.js';
import type { OffLoop } from '../json/off-loop.js';

/** What the routes need of the rest. */
export interface AppDeps extends BodyDeps {
  models: Pick<Repository, 'find' | 'all' | 'served' | 'leftOut' | 'versions' | 'index' | 'load' | 'unload'>;
  /** Why no images can be classified just now; undefined while they can. */
  notReady(): string | undefined;
  /** No more images are taken, and connections close after their answer. */
  draining(): boolean;
  /** Images of one batch. */
  maxBatchImages: number;
  /** Of its body. */
  maxBatchBytes: number;
  /** Reads and writes JSON that may be large. */
  offLoop: Pick<OffLoop, 'run'>;
  /** Asked for by the routes that load and unload models; these are off without. */
  adminToken?: string;
  /** Counts requests, and what they ask of the model. */
  metrics: Pick<Metrics, 'observe' | 'text' | 'ofModel' | 'latency'>;
  /** Every request is logged. */
  logRequests: boolean;
  log: Log;
}

/**
 * The model asked for, if it takes images just now. To be asked before the body is read, as an overloaded server should
 * not read it, and again after: another version may answer by then.
 * @param name     undefined for the only one
 * @param version  undefined for the latest
 * @throws {RequestError} SHUTTING_DOWN, NOT_READY, QUEUE_FULL, MODEL_NOT_FOUND, MODEL_AMBIGUOUS, MODEL_UNAVAILABLE
 */
export function openForImages(deps: AppDeps, name?: string, version?: string): ModelHost {
  if (deps.draining()) throw new RequestError('SHUTTING_DOWN', undefined, 1);
  const host = deps.models.find(name, version);
  host.requireRoom();
  return host;
}

/** @throws {RequestError} if the bytes are not an image, or as `ModelHost.classify` */
export async function answerImage(
  host: ModelHost,
  bytes: Uint8Array,
  response: Response,
  wanted?: { byCrop: boolean },
): Promise<Classified> {
  requireImage(bytes);
  const answer = await host.classify(bytes, whenGone(response), wanted);
  if (host.caches) response.set('x-cache', answer.cached ? 'HIT' : 'MISS');
  return answer;
}

/**
 * Many images of one request that there was room for: as many at a time as the processes take, so that they do not crowd
 * its line.
 * @param images  each may throw, which is its result
 */
export function classifyEach(
  host: ModelHost,
  images: readonly (() => Uint8Array)[],
  signal: AbortSignal,
): Promise<PromiseSettledResult<Classified>[]> {
  const limit = widthLimit(host);
  return Promise.allSettled(
    images.map((image) => limit(async () => host.classify(image(), signal, { isTaken: true }))),
  );
}

/** Aborted when the client closes the connection before it has its answer. */
export function whenGone(response: Response): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableEnded) controller.abort(new RequestError('BAD_REQUEST', 'the client disconnected'));
  });
  return controller.signal;
}
