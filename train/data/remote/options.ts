/** How files behind URLs are fetched and kept. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../../../base/errors.js';
import { folderError, makeFolder } from '../../../base/make-folder.js';

export interface RemoteOptions {
  /** Folder of kept blocks; several processes may share it. */
  cacheFolder: string;
  /** What it may hold, bytes. */
  cacheBytes: number;
  /** Limit of a request with its answer, ms. */
  timeoutMs: number;
  /** Of every request, the first counted. */
  tries: number;
  /**
   * Before the second try, ms; twice as long before every other, up to half a minute, each between half and one and a
   * half of that.
   */
  delayMs: number;
  /** Told of a try that failed, before the next one; default: nobody. */
  note: (line: string) => void;
}

const CACHE_GB = 20;

/** `ALEXNET_CACHE` and `ALEXNET_CACHE_GB`, else as people expect caches; eight tries take about a minute. */
export function remoteOptions(given: Partial<RemoteOptions> = {}): RemoteOptions {
  const { ALEXNET_CACHE, ALEXNET_CACHE_GB = String(CACHE_GB), XDG_CACHE_HOME } = process.env;
  const gigabytes = Number(ALEXNET_CACHE_GB);
  if (!(gigabytes > 0))
    throw new UsageError(`ALEXNET_CACHE_GB: expected a number of GB above 0, got "${ALEXNET_CACHE_GB}"`);
  return {
    cacheFolder: ALEXNET_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'alexnet'),
    cacheBytes: gigabytes * 1e9,
    timeoutMs: 60_000,
    tries: 8,
    delayMs: 500,
    note: () => undefined,
    ...given,
  };
}

const INSTEAD = 'choose another with ALEXNET_CACHE';

/** Makes the folder of the cache, or one in it. @throws {UserError} where that cannot be */
export const makeCacheFolder = (path: string): Promise<void> => makeFolder(path, INSTEAD);

/** @param error  of a file in a folder of the cache */
export const cacheError = (folder: string, error: unknown): unknown =>
  folderError(folder, error as NodeJS.ErrnoException, INSTEAD);
