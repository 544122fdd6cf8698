/** A part of a file by an HTTP range request (RFC 9110, §14). */
import { UserError } from '../../../base/errors.js';
import { FailedTry } from './retry.js';

/** What tells a file from another, or later, one under its URL. */
export interface Version {
  /** Bytes. */
  size: number;
  /** ETag, else Last-Modified, else nothing. */
  tag: string;
}

/** There is no such file. */
export class MissingFileError extends UserError {
  override name = 'MissingFileError';
}

/** Besides 5xx: Request Timeout and Too Many Requests. */
const FOR_A_TIME = new Set([408, 429]);

/**
 * One try.
 * @param length     bytes; the answer is shorter if the file ends before
 * @param timeoutMs  of the request and the whole answer
 * @throws {FailedTry} if the connection breaks, the time is over, the server is busy, or the body is not what its
 *   header says
 * @throws {UserError} if another try would end the same
 */
export async function fetchRange(
  url: string,
  start: number,
  length: number,
  timeoutMs: number,
): Promise<{ bytes: Buffer; version: Version }> {
  const signal = AbortSignal.timeout(timeoutMs);
  const headers = { range: `bytes=${start}-${start + length - 1}` };
  try {
    const answer = await fetch(url, { headers, signal });
    if (answer.status !== 206) {
      await answer.body?.cancel();
      throw refusal(url, answer);
    }
    const { end, size } = contentRange(answer, start, length);
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (bytes.length !== end - start) throw new FailedTry(`${bytes.length} bytes instead of ${end - start}`);
    return { bytes, version: { size, tag: tagOf(answer) } };
  } catch (error) {
    throw error instanceof UserError || error instanceof FailedTry ? error : broken(url, error as Error, timeoutMs);
  }
}

/** A weak ETag is compared as any other: bytes of two versions are not mixed if a server changes it with them. */
export const tagOf = ({ headers }: Response): string =>
  headers.get('etag')?.replace(/^W\//, '') ?? headers.get('last-modified') ?? '';

function contentRange({ headers }: Response, start: number, length: number): { end: number; size: number } {
  const text = headers.get('content-range') ?? '';
  const [, first, last, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(text)?.map(Number) ?? [];
  if (first === start && last === Math.min(start + length, size) - 1) return { end: last + 1, size };
  throw new FailedTry(`"Content-Range: ${text}"`);
}

/** @param expected  for people */
export function refusal(url: string, answer: Response, expected = 'a part of the file (206)'): Error {
  const { status, statusText } = answer;
  const came = `${status} ${statusText}`.trim();
  if (FOR_A_TIME.has(status) || status >= 500) return new FailedTry(came, askedMs(answer));
  if (status === 404) return new MissingFileError(`${url}: expected a file, got ${came}; check the URL`);
  if (status === 200)
    return new UserError(
      `${url}: expected a part of the file (206), got the whole (200): this server does not answer range requests; use one that does, or copy the files to disk`,
    );
  if (status === 416) return new UserError(`${url}: expected a file with contents, got ${came}; upload it again`);
  return new UserError(`${url}: expected ${expected}, got ${came}; check the URL and its permissions`);
}

/** Of `Retry-After`: seconds or a date. */
function askedMs({ headers }: Response): number {
  const text = headers.get('retry-after') ?? '0';
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return ms > 0 ? ms : 0;
}

/** Of a request that did not end as it should. */
export function broken(url: string, error: Error, timeoutMs: number): Error {
  if (error.name === 'TimeoutError') return new FailedTry(`no whole answer within ${timeoutMs / 1000} s`);
  const { cause } = error as { cause?: NodeJS.ErrnoException };
  // `fetch` refuses some URLs, such as those with a password, without trying.
  if (cause === undefined) return new UserError(`${url}: ${error.message}`, { cause: error });
  if (cause.code === 'ENOTFOUND') return unknownHost(url, error);
  return new FailedTry(`a broken connection (${cause.code ?? cause.message})`);
}

export function unknownHost(url: string, cause: Error): UserError {
  const { host } = new URL(url);
  return new UserError(`${url}: ${host} cannot be found; check the URL and the connection`, { cause });
}
