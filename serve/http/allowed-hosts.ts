/**
 * Against DNS rebinding: a site can make its own name lead to this machine, and its pages then pass for the server's
 * own. Browsers name that site in `Host`, which is what gives it away.
 */
import type { RequestHandler } from 'express';
import { bothNames, OptionError } from '../../base/errors.js';
import { RequestError } from '../errors.js';

/** Stands for every host. */
const ANY = '*';
const LOOPBACK_ADDRESS = /^(?:::ffff:)?127(?:\.\d{1,3}){3}$|^::1$/;
const LOCALHOST = /^(?:.+\.)?localhost$/;

export function isLoopback(address: string): boolean {
  return LOOPBACK_ADDRESS.test(address);
}

/** @throws {UsageError} unless `text` is `*`, a host without a port, or a domain with a dot in front */
export function parseHost(text: string): string {
  const host = hostname(text);
  if (text === ANY || (host === text.toLowerCase() && /^\.?[\w-][\w.-]*$|^\[[\da-f:.]+\]$/.test(host))) return host;
  const expected = 'a host without a port, or .example.org for a domain and its subdomains';
  throw new OptionError('allowedHosts', `expected ${expected}, got "${text}"`);
}

/**
 * Refuses requests whose `Host` is neither local, nor the address that they came to, nor among `allowed`.
 * X-Forwarded-Host does not count: a rebound page can send that.
 * @param allowed   as `parseHost` gives them
 * @param isNeeded  whether to check though none are given
 */
export function requireAllowedHost(allowed: readonly string[], isNeeded: () => boolean): RequestHandler {
  const isAllowed = (host: string) =>
    allowed.some((known) => known === host || (known.startsWith('.') && `.${host}`.endsWith(known)));
  return (request, _response, next) => {
    const given = request.headers.host;
    if (given === undefined || allowed.includes(ANY) || (allowed.length === 0 && !isNeeded())) return next();
    const host = hostname(given);
    const address = host.replace(/^\[|\]$/g, '');
    if (LOCALHOST.test(host) || isLoopback(address) || isOwn(address, request.socket.localAddress)) return next();
    if (isAllowed(host)) return next();
    throw new RequestError(
      'HOST_NOT_ALLOWED',
      `the server does not answer as ${JSON.stringify(host)}; name it in ${bothNames('allowedHosts')} if it should`,
    );
  };
}

/** Probes name no host but the address, which no foreign site can have. */
function isOwn(address: string, local: string | undefined): boolean {
  return local !== undefined && (local === address || local === `::ffff:${address}`);
}

/** Of a `Host` header, without port and the dot at the end. */
function hostname(host: string): string {
  return host
    .toLowerCase()
    .replace(/:\d*$/, '')
    .replace(/(.)\.$/, '$1');
}
