/**
 * What the server says while it runs: lines for people, or JSON for machines that collect it. Never an image, nor
 * anything of one.
 */
import { pino } from 'pino';
import type { LogFormat } from './defaults.js';
import { traceIds } from './tracing.js';

export type Level = 'info' | 'warn' | 'error';

/** @param fields  said besides the line where logs are JSON */
export type Log = (line: string, level?: Level, fields?: object) => void;

const KEPT_CHARACTERS = 1_000_000;

/** Text and JSON go to stderr at once: the last line before an end is not lost. Without a log, errors still do. */
export function openLog(format: LogFormat): Log {
  if (format === 'text') return (line) => console.error(line);
  if (format === 'none')
    return (line, level) => {
      if (level === 'error') console.error(line);
    };
  const logger = pino(
    {
      base: null,
      mixin: traceIds,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    // A closed stderr is no reason to end; of what a full disk does not take, this much is kept.
    pino.destination({ fd: 2, sync: true, maxLength: KEPT_CHARACTERS }).on('error', () => undefined),
  );
  return (line, level = 'info', fields = {}) => logger[level](fields, line);
}
