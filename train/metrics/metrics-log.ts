/**
 * The figures of a run. `metrics.jsonl` is the record; `metrics.csv`, one row an epoch, and the event files for
 * TensorBoard in `events/` are made from it, again when a run is resumed, so all three tell the same, each step once.
 */
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { append, writeAtomically, writeFileAtomically } from '../../base/atomic-file.js';
import { makeFolder } from '../../base/make-folder.js';
import { foreignFilesIn, type IsOurs } from '../../base/replaceable.js';
import type { RunState } from '../run/checkpoint.js';
import type { Changes } from '../settings/changed-settings.js';
import { eventFileName, fileStart, isOwnEventFile, scalarsRecord } from './event-file.js';
import {
  type ChangesLine,
  endsEpoch,
  type MetricsLine,
  metricsFile,
  readAllMetrics,
  tellsFigures,
} from './metrics-file.js';

/** TensorBoard's tags, by field, of a step's line and of an epoch's. */
const STEP_TAGS: Record<string, string> = {
  loss: 'loss/step',
  lr: 'learning_rate/step',
  images_per_second: 'images_per_second/step',
};
const EPOCH_TAGS: Record<string, string> = {
  loss: 'loss/train',
  val_loss: 'loss/val',
  train_top1_error: 'top1_error/train',
  val_top1_error: 'top1_error/val',
  val_top5_error: 'top5_error/val',
  lr: 'learning_rate/epoch',
  images_per_second: 'images_per_second/epoch',
};

/** Columns of `metrics.csv`. */
const COLUMNS = ['epoch', 'step', 'wall_time', ...Object.keys(EPOCH_TAGS)];

export class MetricsLog {
  private constructor(
    private readonly path: string,
    private readonly eventFile: string,
    private readonly rows: string[],
  ) {}

  /**
   * Continues the figures of the run in `path`: lines after the checkpoint that it continues from are dropped, and a
   * last line that was cut short.
   */
  static async open(path: string, state: RunState): Promise<MetricsLog> {
    const kept = (await readAllMetrics(path)).filter((line) =>
      tellsFigures(line) && endsEpoch(line) ? line.epoch <= state.epoch : line.step <= state.step,
    );
    await writeFileAtomically(metricsFile(path), kept.map(toJsonLine).join(''));
    const lines = kept.filter(tellsFigures);
    const log = new MetricsLog(path, await startEvents(path, lines), lines.filter(endsEpoch).map(toRow));
    await log.writeCsv();
    return log;
  }

  async append(figures: MetricsLine): Promise<void> {
    const line = { ...figures, wall_time: Date.now() / 1000 };
    await append(metricsFile(this.path), toJsonLine(line));
    await append(this.eventFile, toRecord(line));
    if (!endsEpoch(line)) return;
    this.rows.push(toRow(line));
    await this.writeCsv();
  }

  /** Tells of settings that are others after this state; in `metrics.jsonl` alone. */
  async appendChanges({ step, epoch }: RunState, changed: Changes): Promise<void> {
    await append(metricsFile(this.path), toJsonLine({ step, epoch, changed, wall_time: Date.now() / 1000 }));
  }

  private async writeCsv(): Promise<void> {
    await writeFileAtomically(join(this.path, 'metrics.csv'), csv(this.rows));
  }
}

const csv = (rows: string[]): string => `${[COLUMNS.join(','), ...rows].join('\n')}\n`;
const NUMBERS = new RegExp(`^[\\d.eE+-]*(?:,[\\d.eE+-]*|,NaN){${COLUMNS.length - 1}}$`);

/**
 * Whether a run's `metrics.csv` is as it was made of `metrics.jsonl`. A killed run leaves it a row behind, a power cut
 * some rows ahead.
 * @throws {UserError} as `readAllMetrics`
 */
export async function isOwnCsv(path: string): Promise<IsOurs> {
  const own = csv((await readAllMetrics(path)).filter(tellsFigures).filter(endsEpoch).map(toRow));
  return (start) => {
    const text = start.toString();
    if (own.startsWith(text)) return true;
    const ahead = text.slice(own.length).split('\n').slice(0, -1);
    return text.startsWith(own) && ahead.every((row) => NUMBERS.test(row));
  };
}

/** Writes the lines as an event file in place of earlier ones. @returns its path */
async function startEvents(path: string, lines: MetricsLine[]): Promise<string> {
  const folder = join(path, 'events');
  await makeFolder(folder);
  const now = Date.now() / 1000;
  const written = await writeAtomically(folder, () => eventFileName(now), [fileStart(now), ...lines.map(toRecord)]);
  const foreign = await foreignFilesIn(folder, isOwnEventFile);
  for (const name of await readdir(folder)) {
    const file = join(folder, name);
    if (name === basename(written.path) || foreign.includes(file)) continue;
    // Windows keeps it while TensorBoard reads it, which forgets it at the new one
    await rm(file).catch(() => undefined);
  }
  return written.path;
}

function toJsonLine(line: MetricsLine | ChangesLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** A line of an earlier version has no time: 0. */
function toRecord(line: MetricsLine): Uint8Array {
  const scalars = Object.entries(endsEpoch(line) ? EPOCH_TAGS : STEP_TAGS)
    .filter(([field]) => Number.isFinite(line[field])) // null if it was not finite, in runs of earlier versions
    .map(([field, tag]) => [tag, line[field]]);
  return scalarsRecord(line.wall_time ?? 0, line.step, Object.fromEntries(scalars));
}

function toRow(line: MetricsLine): string {
  return COLUMNS.map((column) => line[column] ?? '').join(',');
}
