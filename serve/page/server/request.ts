/**
 * Requests to the server that this page came from, and its errors as sentences. Paths are relative, so that a proxy may
 * put a prefix before them.
 */

import { bytes } from '../parts/numbers.js';

/** Which model answers; undefined if there is one only. */
export interface Target {
  model?: string;
  version?: string;
}

export type Query = Record<string, string | number | boolean | undefined>;

/** The server answered, with an error. */
export class Refused extends Error {
  override name = 'Refused';

  /** @param retryAfterS  seconds, where it may pass by itself */
  constructor(
    readonly code: string,
    message: string,
    readonly retryAfterS?: number,
  ) {
    super(message);
  }
}

/** The server did not answer. */
export class Gone extends Error {
  override name = 'Gone';
}

export function path(route: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text === '' ? route : `${route}?${text}`;
}

export const IMAGE_HEADERS = { 'content-type': 'application/octet-stream' };

/**
 * A GET, or a POST if there is an image.
 * @throws {Refused} with the server's own sentence
 * @throws {Gone}
 * @throws {DOMException} AbortError, if the signal says so
 */
export async function ask(route: string, query: Query, signal?: AbortSignal, image?: Blob): Promise<Response> {
  const method = image ? 'POST' : 'GET';
  const headers = image ? IMAGE_HEADERS : {};
  const send = () => reach(path(route, query), { method, body: image, headers, signal });
  const response = await (isView(route) ? inTurn(send, signal) : send());
  if (response.ok) return response;
  throw await refusal(response);
}

/** Whether the server computes it, which it does one at a time, with a few in line and more refused. */
const isView = (route: string) => /^explain\/(?!labels$|stats$)/.test(route);

let turn: Promise<unknown> = Promise.resolve();

/** Sends after the requests before it have been answered. */
function inTurn(send: () => Promise<Response>, signal?: AbortSignal): Promise<Response> {
  const answered = turn.then(() => {
    signal?.throwIfAborted();
    return send();
  });
  turn = answered.catch(() => undefined);
  return answered;
}

export async function askJson<T>(route: string, query: Query, signal?: AbortSignal, image?: Blob): Promise<T> {
  const response = await ask(route, query, signal, image);
  return (await whole(response.json())) as T;
}

async function reach(url: string, init: RequestInit): Promise<Response> {
  return whole(fetch(url, init));
}

/** Connections that fail, or break off within the answer, are one error; an abort stays what it is. */
export async function whole<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (cause instanceof DOMException) throw cause;
    throw new Gone('the server does not answer, or closed the connection; this page tries to reach it again', {
      cause,
    });
  }
}

export async function refusal(response: Response): Promise<Refused> {
  const wait = Number(response.headers.get('retry-after') ?? Number.NaN);
  const retryAfterS = Number.isFinite(wait) ? wait : undefined;
  const body = (await response.json().catch(() => undefined)) as
    | { error?: { code?: string; message?: string } }
    | undefined;
  const { code = `HTTP ${response.status}`, message = `the server answered with HTTP status ${response.status}` } =
    body?.error ?? {};
  return new Refused(code, message, retryAfterS);
}

/** Errors that the same image gets again. */
const OF_IMAGE = new Set([
  'EMPTY_BODY',
  'INVALID_IMAGE',
  'IMAGE_TOO_LARGE',
  'IMAGE_TOO_MANY_PIXELS',
  'UNSUPPORTED_IMAGE_TYPE',
]);

export function isHopeless(error: unknown): boolean {
  return error instanceof Refused && OF_IMAGE.has(error.code);
}

/** An error as people read it: no counts of bytes, no bodies of requests. */
export function sentence(error: unknown): string {
  if (error instanceof Refused && error.code === 'EMPTY_BODY') return 'This image is empty: its file has no bytes.';
  const said = error instanceof Error ? error.message : String(error);
  const text = said.replace(/\b(\d{4,}) bytes\b/g, (_, number) => bytes(Number(number)));
  const start = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
