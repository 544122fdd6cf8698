/**
 * Prepares this process for onnxruntime-node and loads it: without telemetry, without lines of its own on stderr, and
 * with an error for people if it has no binary.
 */
import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { UserError } from '../base/errors.js';
import { glibcVersion } from '../base/process/glibc-version.js';

const NO_TELEMETRY = 'ORT_DISABLE_TELEMETRY';
const BINARIES = 'Linux with glibc (x64, arm64), macOS on Apple silicon and Windows (x64, arm64)';

const require = createRequire(import.meta.url);

/**
 * onnxruntime 1.30 for Linux and macOS reads the variable before its first session; its JavaScript API has no switch. A
 * variable that is set already is left as it is; an empty one counts as not set.
 */
function disableTelemetry(): void {
  if (process.env[NO_TELEMETRY]) return;
  process.env[NO_TELEMETRY] = '1';
  if (isMainThread || process.platform === 'win32') return;
  // A worker thread's process.env is a copy that native code does not see.
  const koffi = require('koffi') as typeof import('koffi');
  koffi.load(null).func('int setenv(const char *, const char *, int)')(NO_TELEMETRY, '1', 0);
}

/** @throws {UserError} if there is no binary for this system, or it does not load here */
function load(): void {
  try {
    const { env } = require('onnxruntime-node') as typeof import('onnxruntime-node');
    env.logLevel = 'fatal'; // what it would print as an error, it throws as well
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const missing = code === 'MODULE_NOT_FOUND' && message.includes('onnxruntime_binding.node');
    if (!missing && code !== 'ERR_DLOPEN_FAILED') throw cause;
    const isMusl = process.platform === 'linux' && glibcVersion() === undefined;
    const system = `${process.platform} ${process.arch}${isMusl ? ' with musl' : ''}`;
    const what = missing || isMusl ? `has no binary for ${system}` : `does not load (${message.split('\n')[0]})`;
    const advice = isMusl
      ? 'use an image with glibc, such as node:22-slim instead of node:22-alpine'
      : missing
        ? 'use one of those, for example in a Linux container'
        : 'reinstall it on the system that runs it';
    throw new UserError(`onnxruntime-node ${what}; its binaries are for ${BINARIES}: ${advice}`, { cause });
  }
}

disableTelemetry();
load();
