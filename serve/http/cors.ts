/** Cross-origin requests (fetch.spec.whatwg.org, §3.3): which other sites' pages may read what the server answers. */
import type { RequestHandler } from 'express';
import { OptionError } from '../../base/errors.js';

/** Stands for every origin. */
const ANY = '*';
/** What a page may read of an answer besides its body. */
const EXPOSED = 'x-request-id, x-cache, retry-after, inference-header-content-length, traceresponse';
const METHODS = 'GET, HEAD, POST, PUT';
/** For how long a browser may keep the answer to a preflight, seconds; browsers cap it at two hours. */
const PREFLIGHT_S = 7200;

/** @throws {UsageError} unless `text` is `*` or an origin, with nothing behind the port */
export function parseOrigin(text: string): string {
  if (text === ANY) return text;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`) return url.origin;
  if (/^(?!https?:)[a-z][a-z\d+.-]*:\/\/[\w.-]+$/i.test(text)) return text.toLowerCase(); // of an extension or an app
  throw new OptionError('corsOrigin', `expected * or an origin such as https://example.org, got "${text}"`);
}

/**
 * Answers preflights of these origins and marks what they may read, errors included. Credentials stay off: no answer
 * depends on cookies.
 * @param origins  as `parseOrigin` gives them
 */
export function cors(origins: readonly string[]): RequestHandler {
  const any = origins.includes(ANY);
  return (request, response, next) => {
    const origin = request.get('origin');
    if (!any) response.vary('origin');
    if (origin === undefined || !(any || origins.includes(origin))) return next();
    response.set({ 'access-control-allow-origin': any ? ANY : origin, 'access-control-expose-headers': EXPOSED });
    if (request.method !== 'OPTIONS' || !request.get('access-control-request-method')) return next();
    response.vary('access-control-request-headers').set({
      'access-control-allow-methods': METHODS,
      'access-control-allow-headers': request.get('access-control-request-headers') ?? '',
      'access-control-max-age': String(PREFLIGHT_S),
    });
    response.status(204).end();
  };
}
