/** What a server can be told, and what it does unless told otherwise. Light: `alexnet serve` reads it before all else. */

export const VERSION_POLICIES = ['all', 'latest'] as const;
/** Which of a model's versions are served. */
export type VersionPolicy = (typeof VERSION_POLICIES)[number];

export const LOG_FORMATS = ['text', 'json', 'none'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export const DEFAULTS = {
  files: [],
  versions: 'all',
  followLinks: false,
  strict: false,
  strictReadiness: false,
  host: '127.0.0.1',
  port: 8080,
  basePath: '',
  corsOrigin: [],
  allowedHosts: [],
  provider: 'auto',
  helperMemory: 1_000_000_000,
  batchDelayMs: 5,
  maxBytes: 20_000_000,
  maxPixels: 50_000_000,
  maxBatchImages: 64,
  maxWaiting: 16,
  timeoutMs: 30_000,
  uploadTimeoutMs: 60_000,
  keepAliveMs: 75_000,
  cacheBytes: 0,
  viewIdleMs: 60_000,
  logRequests: false,
  log: () => undefined,
} as const;

/** Request bodies held at once, bytes. */
export const IN_FLIGHT = 256_000_000;
/** Size of the body of a batch, bytes. */
export const BATCH_BYTES = 100_000_000;
