/**
 * Requests to the server that this page came from, and its errors as sentences. Paths are relative, so that a proxy may
 * put a prefix before them.
 */

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

/**
 * A GET, or a POST if there is an image.
 * @throws {Refused} with the server's own sentence
 * @throws {Gone}
 * @throws {DOMException} AbortError, if the signal says so
 */
export async function ask(route: string, query: Query, signal?: AbortSignal, image?: Blob): Promise<Response> {
  const response = await reach(path(route, query), {
    method: image ? 'POST' : 'GET',
    body: image,
    headers: image ? { 'content-type': 'application/octet-stream' } : {},
    signal,
  });
  if (response.ok) return response;
  throw await refusal(response);
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

async function refusal(response: Response): Promise<Refused> {
  const wait = Number(response.headers.get('retry-after') ?? Number.NaN);
  const retryAfterS = Number.isFinite(wait) ? wait : undefined;
  const body = (await response.json().catch(() => undefined)) as
    | { error?: { code?: string; message?: string } }
    | undefined;
  const { code = `HTTP ${response.status}`, message = `the server answered with HTTP status ${response.status}` } =
    body?.error ?? {};
  return new Refused(code, message, retryAfterS);
}

/** An error as people read it. */
export function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const start = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
