/** From the bytes of a request to the model's answer, for the routes of every protocol. */
import type { Response } from 'express';
import { RequestError } from '../errors.js';
import type { Answer } from '../hosting/request-queue.js';
import { requirePicture } from '../inference/picture-kind.js';
import type { Metrics } from '../metrics.js';
import type { ServedModel } from '../served-model.js';

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
  /** Counts requests, and what they ask of the model. */
  metrics: Pick<Metrics, 'observe' | 'text'>;
  /** Faults of ours, for the log. */
  log(line: string): void;
}

/**
 * The model, if pictures are taken just now. To be asked before the body is read: an overloaded server should not read it.
 * @throws {RequestError} SHUTTING_DOWN, NOT_READY, QUEUE_FULL
 */
export function openForPictures(deps: AppDeps): ServedModel {
  if (deps.draining()) throw new RequestError('SHUTTING_DOWN', undefined, 1);
  const model = loadedModel(deps);
  deps.requireRoom();
  return model;
}

/** @throws {RequestError} where the bytes are no picture, or as `RequestQueue.add` */
export async function answerPicture(
  deps: AppDeps,
  bytes: Buffer,
  response: Response,
): Promise<Answer & { model: ServedModel }> {
  requirePicture(bytes);
  const answer = await deps.classify(bytes, whenGone(response));
  return { ...answer, model: loadedModel(deps) }; // after a restart it may be another than at first
}

/**
 * Refuses another name or version than the loaded model's.
 * @throws {RequestError} MODEL_NOT_FOUND
 */
export function requireModel({ name, version }: ServedModel, wanted: { name?: string; version?: string }): void {
  if (wanted.name !== name)
    throw new RequestError('MODEL_NOT_FOUND', `no model "${wanted.name}" here; there is "${name}"`);
  if (wanted.version !== undefined && wanted.version !== version)
    throw new RequestError(
      'MODEL_NOT_FOUND',
      `model "${name}" has no version "${wanted.version}"; there is "${version}"`,
    );
}

function loadedModel({ model }: AppDeps): ServedModel {
  const loaded = model();
  if (!loaded) throw new RequestError('NOT_READY', undefined, 1);
  return loaded;
}

/** Aborted when the client closes the connection before it has its answer. */
function whenGone(response: Response): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableEnded) controller.abort(new RequestError('BAD_REQUEST', 'the client has gone'));
  });
  return controller.signal;
}
