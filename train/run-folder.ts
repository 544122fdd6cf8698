/**
 * The folder of a run: `config.json`, `labels.json`, `mean.bin`, `samples.bin`, `metrics.jsonl`, `metrics.csv`, `events/`
 * (see `metrics/metrics-log.ts`), `last/` and `best/` (checkpoints).
 * `config.json` is written last, so a folder that holds it is complete.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../model/errors.js';
import { writeFileAtomically } from './atomic-file.js';
import type { HistoryEntry } from './changed-settings.js';
import type { TrainConfig } from './config.js';
import type { ColourStatistics } from './data/colour.js';

/** What `config.json` keeps. */
export interface RunRecord {
  config: TrainConfig;
  /** What `config.data` and `config.from` name, with absolute paths; absent in earlier versions. */
  paths?: { data: string; from?: string };
  /** Side of the pictures and of the network's input, pixels. */
  imagePx: number;
  inputPx: number;
  /** Number of pictures by split: a resumed run must find as many. */
  pictures: Record<string, number>;
  /** SHA-256 of their names and classes by split; a resumed run must find the same. Absent in earlier versions. */
  pictureNames?: Record<string, string>;
  /** Whether the training pictures are taken in an order of shards; absent in earlier versions. */
  byShards?: boolean;
  versions: Record<string, string>;
  /** How the training pictures' colours vary; absent where they are not shifted. */
  colours?: ColourStatistics;
  /** Settings that changed while the run was interrupted; absent where none did. */
  history?: HistoryEntry[];
  /** The file of weights that `alexnet import` read, and how many crops it averaged; absent in runs that were trained. */
  imported?: { file: string; sha256: string; crops?: number };
}

/** `config.data` of an imported run whose file does not say what it was trained on. */
export const UNKNOWN_DATA = 'unknown';

/** What `labels.json` keeps: one a class, in index order. */
export interface RunLabels {
  labels: string[];
  /** ImageNet synset ids, where every class has one. */
  synsets?: string[];
}

/** A run on disk. */
export interface Run extends RunRecord, RunLabels {
  path: string;
  /** Per-pixel mean of the training pictures, float32 [imagePx, imagePx, 3], 0 … 255. */
  mean: Float32Array;
  /** A few validation pictures, uint8 [n, imagePx, imagePx, 3]: an export is checked on them without the data set. */
  samples: Uint8Array;
  /** Folders of the two checkpoints. */
  last: string;
  best: string;
}

/** What a run is made of. */
const ENTRIES = [
  'config.json',
  'labels.json',
  'mean.bin',
  'samples.bin',
  'metrics.jsonl',
  'metrics.csv',
  'events',
  'last',
  'best',
];

/** True where `path` holds a run, finished or not. */
export function holdsRun(path: string): boolean {
  return existsSync(join(path, 'config.json'));
}

/**
 * @throws {UserError} when there is a run already and `force` is not set; other files in the folder are left alone
 */
export function checkFree(path: string, force: boolean): void {
  if (!holdsRun(path) || force) return;
  throw new UserError(
    `${path}: holds a run already; --resume goes on with it, --force replaces it, another --out keeps both`,
  );
}

/** Writes a new run's files, in place of those of an earlier run. */
export async function createRun(
  path: string,
  record: RunRecord,
  labels: RunLabels,
  { mean, samples }: Pick<Run, 'mean' | 'samples'>,
): Promise<Run> {
  for (const entry of ENTRIES) {
    const removed = rm(join(path, entry), { recursive: true, force: true, maxRetries: 5 });
    await (entry === 'events' ? removed.catch(() => undefined) : removed); // Windows keeps what TensorBoard reads
  }
  await mkdir(path, { recursive: true });
  await writeFileAtomically(join(path, 'labels.json'), toJson(labels));
  await writeFileAtomically(join(path, 'mean.bin'), new Uint8Array(mean.buffer, mean.byteOffset, mean.byteLength));
  await writeFileAtomically(join(path, 'samples.bin'), samples);
  await writeFileAtomically(join(path, 'config.json'), toJson(record));
  return openRun(path);
}

/** Stores the run's config and sample pictures again, e.g. with more epochs. @param run  with what is to be stored */
export async function updateRun({ path, ...run }: Run): Promise<void> {
  const { mean: _, samples, last, best, labels, synsets, ...record } = run;
  await writeFileAtomically(join(path, 'samples.bin'), samples);
  await writeFileAtomically(join(path, 'config.json'), toJson(record));
}

/**
 * Reads a run.
 * @throws {UserError} when the folder holds none, or a file of it is damaged
 */
export async function openRun(path: string): Promise<Run> {
  if (!holdsRun(path))
    throw new UserError(`${path}: holds no run (no config.json); expected a folder made by "alexnet train --out"`);
  const record = await readJson<RunRecord>(join(path, 'config.json'));
  const labels = await readJson<RunLabels>(join(path, 'labels.json'));
  const pixels = 3 * record.imagePx ** 2;
  const mean = await readWhole(join(path, 'mean.bin'), 4 * pixels, `float32 [${record.imagePx}, ${record.imagePx}, 3]`);
  const samples = await readFile(join(path, 'samples.bin'));
  return {
    ...record,
    ...labels,
    path,
    mean: new Float32Array(mean.buffer),
    samples: samples.subarray(0, samples.length - (samples.length % pixels)),
    ...checkpointsOf(path),
  };
}

/** Folders of the checkpoints of the run in `path`. */
export function checkpointsOf(path: string): Pick<Run, 'last' | 'best'> {
  return { last: join(path, 'last'), best: join(path, 'best') };
}

/** A file of known length, in a buffer of its own. */
async function readWhole(file: string, expected: number, what: string): Promise<Uint8Array> {
  const bytes = await readFile(file);
  if (bytes.length === expected) return Uint8Array.from(bytes);
  throw new UserError(`${file}: expected ${expected} bytes (${what}), got ${bytes.length}`);
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

async function readJson<T>(file: string): Promise<T> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new UserError(`${file}: cannot be read as JSON: ${(cause as Error).message}`, { cause });
  }
}
