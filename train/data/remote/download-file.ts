/**
 * A file behind a URL as a whole, in the folder of the cache. What has arrived is kept under another name, so a
 * transfer that is cut goes on from there, in this command or the next, if the server still has the same file.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, open, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { moveFile, writeFileAtomically } from '../../../base/atomic-file.js';
import { writeError } from '../../../base/disk-full.js';
import { UserError } from '../../../base/errors.js';
import type { Progress } from '../../../base/progress.js';
import { broken, refusal, tagOf, unknownHost, type Version } from './fetch-range.js';
import { cacheError, makeCacheFolder, type RemoteOptions, remoteOptions } from './options.js';
import { FailedTry, withTries } from './retry.js';

/** Of a name in the cache, before `plain`, which may make three letters of one; file systems take 255 bytes. */
const LONGEST_NAME = 70;

/** Where the file of a URL is kept: `weights/` of the cache, by host and path, so that a person can put it there. */
export function downloadPath(url: string, options?: Partial<RemoteOptions>): string {
  const { host, pathname, search } = new URL(url);
  const names = pathname.split('/').filter((name) => name !== '');
  const name = names.pop() ?? 'index';
  const mark = search === '' && name.length <= LONGEST_NAME ? '' : `${sha256(url).slice(0, 16)}-`;
  const safe = [host, ...names].map((part) => plain(part.length > LONGEST_NAME ? sha256(part) : part));
  const { cacheFolder } = remoteOptions(options);
  return join(cacheFolder, 'weights', ...safe, `${mark}${plain(name.slice(-LONGEST_NAME))}`);
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
/** What every file system takes; different names stay different. */
const plain = (name: string): string => encodeURIComponent(name).replaceAll('*', '%2A');

/**
 * @param check  throws if a file is not what was published; one that was fetched is then deleted
 * @returns      the file's path in the cache; if it is there nothing is fetched
 * @throws {UserError} if it cannot be fetched, saying where to put it
 */
export async function downloadFile(
  url: string,
  progress: Progress,
  check: (path: string) => Promise<void>,
  given?: Partial<RemoteOptions>,
): Promise<string> {
  const options = remoteOptions({ note: progress.note, ...given });
  const path = downloadPath(url, options);
  if (existsSync(path)) {
    progress.note(`${path}: taken from the cache; delete it to fetch it again`);
    await check(path);
    return path;
  }
  await makeCacheFolder(dirname(path));
  try {
    const download = new Download(url, path, progress, options);
    while (!(await withTries(`${url}: expected a file`, () => download.goOn(), options))) {}
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`${error.message}\nOr fetch it elsewhere and put it at ${path}`, { cause: error });
  } finally {
    progress.stop();
  }
  await check(partOf(path)).catch(async (error) => {
    await Promise.all([partOf(path), versionOf(path)].map((file) => rm(file, { force: true })));
    throw error;
  });
  await finish(path);
  return path;
}

const partOf = (path: string) => `${path}.part`;
const versionOf = (path: string) => `${path}.part.json`;

async function finish(path: string): Promise<void> {
  await moveFile(partOf(path), path).catch((error) => {
    if (!existsSync(path)) throw error; // another process may have come first
  });
  await rm(versionOf(path), { force: true });
}

class Download {
  /** The most that has arrived. */
  private best = 0;

  constructor(
    private readonly url: string,
    private readonly path: string,
    private readonly progress: Progress,
    private readonly options: RemoteOptions,
  ) {}

  /**
   * One request.
   * @returns  true if the file is whole; false if it was cut and more has arrived than before
   */
  async goOn(): Promise<boolean> {
    const part = await open(partOf(this.path), existsSync(partOf(this.path)) ? 'r+' : 'w').catch((error) => {
      throw cacheError(dirname(this.path), error);
    });
    try {
      return await this.fetchRest(part);
    } finally {
      await part.close();
    }
  }

  private async fetchRest(part: FileHandle): Promise<boolean> {
    const known = await this.version();
    const have = known ? (await part.stat()).size : 0;
    const idle = new IdleTimer(this.options.timeoutMs);
    try {
      const answer = await fetch(this.url, { headers: headersFor(have, known), signal: idle.signal });
      if (answer.status === 416 && known && have === known.size) return true;
      if (answer.status === 416) await this.startAgain();
      const start = answer.status === 206 ? startOf(answer, have) : 0;
      if (answer.status !== 200 && answer.status !== 206) {
        await answer.body?.cancel();
        throw refusal(this.url, answer, 'a file (200)');
      }
      const version = { size: start + lengthOf(answer), tag: tagOf(answer) };
      if (start > 0 && known && known.size !== version.size) await this.startAgain();
      await writeFileAtomically(versionOf(this.path), JSON.stringify(version));
      return await this.store(part, answer, start, version.size, idle);
    } catch (error) {
      throw error instanceof UserError || error instanceof FailedTry ? error : this.lost(error as Error);
    } finally {
      idle.stop();
    }
  }

  private async store(
    part: FileHandle,
    answer: Response,
    start: number,
    size: number,
    idle: IdleTimer,
  ): Promise<boolean> {
    await part.truncate(start);
    let at = start;
    let cut: Error | undefined;
    try {
      for await (const chunk of answer.body ?? []) {
        idle.restart();
        await part.write(chunk, 0, chunk.length, at).catch((error) => {
          throw writeError(partOf(this.path), error);
        });
        at += chunk.length;
        this.progress.work(`${basename(this.path)}, MB`, toMb(at), Number.isNaN(size) ? undefined : toMb(size));
      }
    } catch (error) {
      if (error instanceof UserError) throw error;
      cut = this.lost(error as Error);
    }
    if (!cut && (Number.isNaN(size) || at === size)) {
      await part.sync();
      return true;
    }
    const hasMore = at > this.best;
    this.best = Math.max(this.best, at);
    if (hasMore) return false;
    throw cut ?? new FailedTry(`${at} bytes of ${size}`);
  }

  /** Of the file that the first part is of. */
  private async version(): Promise<Version | undefined> {
    const text = await readFile(versionOf(this.path), 'utf8').catch(() => '');
    try {
      const { size, tag } = JSON.parse(text) as Version;
      return typeof size === 'number' && typeof tag === 'string' ? { size, tag } : undefined;
    } catch {
      return undefined;
    }
  }

  private async startAgain(): Promise<never> {
    await rm(versionOf(this.path), { force: true });
    throw new FailedTry('another file than before');
  }

  private lost(error: Error): Error {
    const { cause } = error as { cause?: NodeJS.ErrnoException };
    if (cause?.code === 'EAI_AGAIN') return unknownHost(this.url, error); // nothing is under way that would be lost
    return broken(this.url, error, this.options.timeoutMs);
  }
}

/** Only a strong ETag or a date may say that a part is of the same file (RFC 9110, §13.1.5). */
function headersFor(have: number, known: Version | undefined): Record<string, string> {
  const plain = { 'accept-encoding': 'identity' };
  if (have === 0 || !known) return plain;
  return { ...plain, range: `bytes=${have}-`, ...(known.tag ? { 'if-range': known.tag } : {}) };
}

/** Where the bytes of a partial answer begin. */
function startOf({ headers }: Response, asked: number): number {
  const text = headers.get('content-range') ?? '';
  const start = Number(/^bytes (\d+)-/.exec(text)?.[1]);
  if (start === asked) return start;
  throw new FailedTry(`"Content-Range: ${text}"`);
}

/** NaN if the server does not say it, or says the length of something compressed. */
function lengthOf({ headers }: Response): number {
  return headers.has('content-encoding') ? Number.NaN : Number(headers.get('content-length') ?? Number.NaN);
}

const toMb = (bytes: number): number => Math.round(bytes / 1e6);

/** Ends a request when nothing has come for a time. */
class IdleTimer {
  private readonly controller = new AbortController();
  private timer?: NodeJS.Timeout;

  constructor(private readonly ms: number) {
    this.restart();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  restart(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.controller.abort(new DOMException('idle', 'TimeoutError')), this.ms);
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}
