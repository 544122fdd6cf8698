/** `metrics.jsonl`: the record of a run's figures, one JSON line every few steps and one per epoch. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../base/errors.js';
import { requireFile } from '../../base/require-file.js';
import type { Changes } from '../settings/changed-settings.js';

/**
 * A line; those of an epoch's end carry `val_top1_error`. `wall_time`: seconds since 1970, absent in runs of earlier
 * versions.
 */
export type MetricsLine = { step: number; epoch: number; val_top1_error?: number } & Record<string, number>;

/** The line of settings that were changed when the run was resumed. */
export interface ChangesLine {
  step: number;
  epoch: number;
  wall_time: number;
  changed: Changes;
}

/** Whether a line tells of an epoch's end and not of a step. */
export function endsEpoch(line: MetricsLine): boolean {
  return line.val_top1_error !== undefined;
}

/** @param path  folder of the run */
export function metricsFile(path: string): string {
  return join(path, 'metrics.jsonl');
}

/**
 * The lines with figures in order, without a last one that was cut short; none if there is no such file.
 * @throws {UserError} naming a line that is not JSON
 */
export async function readMetrics({ path }: { path: string }): Promise<MetricsLine[]> {
  return (await readAllMetrics(path)).filter(tellsFigures).map(withNaN);
}

/** JSON has null for a figure that is not finite. */
function withNaN(line: MetricsLine): MetricsLine {
  return Object.fromEntries(Object.entries(line).map(([key, value]) => [key, value ?? Number.NaN])) as MetricsLine;
}

/** Whether a line has figures, of a step or of an epoch. */
export function tellsFigures(line: MetricsLine | ChangesLine): line is MetricsLine {
  return !('changed' in line);
}

/** Those with changed settings too. @throws {UserError} as `readMetrics` */
export async function readAllMetrics(path: string): Promise<(MetricsLine | ChangesLine)[]> {
  const file = metricsFile(path);
  if (!existsSync(file)) return [];
  requireFile(file);
  const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1); // what follows the last newline was cut short
  return lines.map((line, index) => {
    try {
      return JSON.parse(line) as MetricsLine | ChangesLine;
    } catch (cause) {
      throw new UserError(`${file}: line ${index + 1} is damaged; remove that line`, { cause });
    }
  });
}
