/**
 * The folder of a run: `config.json`, `labels.json`, `mean.bin`, `samples.bin`, `metrics.jsonl`, `metrics.csv`,
 * `events/` (see `metrics/metrics-log.ts`), `last/` and `best/` (checkpoints).
 * `config.json` is written last, so a folder that holds it is complete.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../base/atomic-file.js';
import { UserError } from '../../base/errors.js';
import { makeFolder } from '../../base/make-folder.js';
import { foreignFile, foreignFilesIn, refuseForeign } from '../../base/replaceable.js';
import { requireFile } from '../../base/require-file.js';
import type { ColourStatistics, MaxBad } from '../data/dataset.js';
import type { HoldOut } from '../data/layout/image-places.js';
import { isOwnEventFile } from '../metrics/event-file.js';
import { isOwnCsv } from '../metrics/metrics-log.js';
import type { HistoryEntry } from '../settings/changed-settings.js';
import type { TrainConfig } from '../settings/config.js';
import { checkRecord } from './check-record.js';
import { isCheckpointFile } from './checkpoint-files.js';
import { holdsLock } from './run-lock.js';

/** What `config.json` keeps. */
export interface RunRecord {
  config: TrainConfig;
  /** What `config.data` and `config.from` name, with absolute paths; absent in earlier versions. */
  paths?: { data: string; from?: string };
  /** Side of the images and of the network's input, pixels. */
  imagePx: number;
  inputPx: number;
  /** Number of images by split: a resumed run must find as many. */
  pictures: Record<string, number>;
  /**
   * SHA-256 of their names and classes by split; a resumed run must find the same. Not of their contents. Absent in
   * earlier versions.
   */
  pictureNames?: Record<string, string>;
  /** How images are resized, if the run started from one that says it; see `resamplingOf`. */
  resampling?: 'bilinear';
  /** How val was held out of the data set; absent if that has its own, and in earlier versions. */
  holdOut?: HoldOut;
  /** Images that may be unreadable; absent if that was not asked for. */
  maxBad?: MaxBad;
  /** Whether the training images are taken in an order of shards; absent in earlier versions. */
  byShards?: boolean;
  versions: Record<string, string>;
  /** How the training images' colours vary; absent if they are not shifted. */
  colours?: ColourStatistics;
  /** Settings that changed while the run was interrupted; absent if none did. */
  history?: HistoryEntry[];
  /**
   * The file of weights that `alexnet import` read, how many crops it averaged, and how its images are resized; absent
   * in runs that were trained.
   */
  imported?: { file: string; sha256: string; crops?: number; resampling?: 'bilinear' };
}

/** How images are resized for a run's network: as where its weights came from. */
export const resamplingOf = ({ resampling, imported }: Pick<RunRecord, 'resampling' | 'imported'>) =>
  resampling ?? imported?.resampling;

/** `config.data` of an imported run whose file does not say what it was trained on. */
export const UNKNOWN_DATA = 'unknown';

/** Images that a run keeps for checking exports, see `RunContents.samples`. */
export const SAMPLE_IMAGES = 8;

/** What `labels.json` keeps: one per class, in index order. */
export interface RunLabels {
  labels: string[];
  /** ImageNet synset ids, if every class has one. */
  synsets?: string[];
}

/** What a run is made of, on disk or not. */
export interface RunContents extends RunRecord, RunLabels {
  /** Per-pixel mean of the training images, float32 [imagePx, imagePx, 3], 0 … 255. */
  mean: Float32Array;
  /** A few validation images, uint8 [n, imagePx, imagePx, 3]: an export is checked on them without the data set. */
  samples: Uint8Array;
}

/** A run on disk. */
export interface Run extends RunContents {
  path: string;
  /** Folders of the two checkpoints. */
  last: string;
  best: string;
}

/** Files of a run; those of `CREATED` are there before `config.json`. */
const CREATED = ['labels.json', 'mean.bin', 'samples.bin'];
const FILES = ['config.json', ...CREATED, 'metrics.jsonl', 'metrics.csv'];

/** Folders of a run, and what it writes there. */
const FOLDERS: Record<string, (name: string, start: Buffer) => boolean> = {
  events: isOwnEventFile,
  last: isCheckpointFile,
  best: isCheckpointFile,
};

/** See `RunRecord`; one that was cut short counts. */
const isConfig = (start: Buffer) => /^\s*\{\s*"config":\s*\{.*"learningRate":/s.test(start.toString('latin1'));

/** True if `path` holds a run, finished or not. */
export function holdsRun(path: string): boolean {
  return existsSync(join(path, 'config.json'));
}

/**
 * @throws {UserError} when there is a run already and `force` is not set, or a run would overwrite what none has
 *   written; other
 *                     files in the folder are left alone
 */
export async function checkFree(path: string, force: boolean): Promise<void> {
  refuseForeign(await foreignEntries(path), 'a run of alexnet');
  if (!holdsRun(path) || force) return;
  throw new UserError(
    `${path}: holds a run already; --resume continues it, --force replaces it, another --out keeps both`,
  );
}

/** @throws {UserError} if a resumed run would overwrite somebody's file */
export async function checkResumable(path: string): Promise<void> {
  const file = join(checkpointsOf(path).best, 'model.json');
  const foreign = [
    await foreignFile(file, (start) => isCheckpointFile('model.json', start)),
    await foreignFile(join(path, 'metrics.csv'), await isOwnCsv(path)),
  ];
  refuseForeign(foreign.flat(), 'a run of alexnet');
}

/**
 * What bears the name of an entry of a run, and is none. A folder without a `config.json` has no run: nothing in it is
 * a run's, but for the files of one that was killed while it was made, and left its lock.
 */
async function foreignEntries(path: string): Promise<string[]> {
  const foreignConfig = await foreignFile(join(path, 'config.json'), isConfig);
  const isRun = holdsRun(path) && foreignConfig.length === 0;
  const wasBegun = await holdsLock(path);
  const isOwn = (name: string) => isRun || (wasBegun && CREATED.includes(name));
  const found = [
    foreignConfig,
    ...FILES.slice(1).map((name) => foreignFile(join(path, name), () => isOwn(name))),
    foreignFile(join(path, 'lock'), () => wasBegun),
    ...Object.entries(FOLDERS).map(([name, isOurs]) =>
      foreignFilesIn(join(path, name), (file, start) => isRun && isOurs(file, start)),
    ),
  ];
  return (await Promise.all(found)).flat();
}

/** Writes a new run's files, in place of those of an earlier run. @throws {UserError} as `checkFree` with `force` */
export async function createRun(path: string, contents: RunContents): Promise<Run> {
  const { mean, samples, labels, synsets, ...record } = contents;
  await checkFree(path, true);
  await makeFolder(path);
  await removeEntries(path);
  try {
    await writeFileAtomically(join(path, 'labels.json'), toJson({ labels, synsets }));
    await writeFileAtomically(join(path, 'mean.bin'), new Uint8Array(mean.buffer, mean.byteOffset, mean.byteLength));
    await writeFileAtomically(join(path, 'samples.bin'), samples);
    await writeFileAtomically(join(path, 'config.json'), toJson(record));
  } catch (error) {
    await removeEntries(path);
    throw error;
  }
  return openRun(path);
}

/** After `checkFree`: all that bears these names is a run's. */
async function removeEntries(path: string): Promise<void> {
  for (const folder of Object.keys(FOLDERS)) {
    const names = await readdir(join(path, folder)).catch(() => []);
    for (const name of names) {
      const removed = rm(join(path, folder, name), { maxRetries: 5 });
      await (folder === 'events' ? removed.catch(() => undefined) : removed); // Windows keeps what TensorBoard reads
    }
    await rmdir(join(path, folder)).catch(() => undefined); // absent, or a link to a folder
  }
  // config.json last: until then it is a run
  for (const name of FILES.toReversed()) await rm(join(path, name), { force: true });
}

/** Stores the run's config and sample images again, e.g. with more epochs. @param run  with what is to be stored */
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
  if (typeof record?.config?.model !== 'string')
    throw new UserError(
      `${join(path, 'config.json')}: not the config of a run; expected a folder made by "alexnet train"`,
    );
  const labels = await readJson<RunLabels>(join(path, 'labels.json'));
  checkRecord({ config: join(path, 'config.json'), labels: join(path, 'labels.json') }, record, labels);
  const pixels = 3 * record.imagePx ** 2;
  const mean = await readWhole(join(path, 'mean.bin'), 4 * pixels, `float32 [${record.imagePx}, ${record.imagePx}, 3]`);
  requireFile(join(path, 'samples.bin'));
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
  requireFile(file);
  const bytes = await readFile(file);
  if (bytes.length === expected) return Uint8Array.from(bytes);
  throw new UserError(`${file}: expected ${expected} bytes (${what}), got ${bytes.length}`);
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

async function readJson<T>(file: string): Promise<T> {
  requireFile(file);
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new UserError(`${file}: cannot be read as JSON: ${(cause as Error).message}; restore it from a copy`, {
      cause,
    });
  }
}
