/** The command `alexnet prepare`: decodes a data set once, for training that reads it from disk. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { UsageError, UserError } from '../base/errors.js';
import { type Progress, showProgress } from '../base/progress.js';
import { refuseForeign } from '../base/replaceable.js';
import { NETWORKS } from '../model/registry.js';
import type { DataChoice, OpenOptions } from '../train/data/dataset.js';
import { DATA_HELP, openDataset } from '../train/data/open-dataset.js';
import { isPack, type PackRecord, shardFile } from '../train/data/pack/pack-format.js';
import { finishPack, foreignToPack, PackWriter } from '../train/data/pack/write-pack.js';
import { reportDataset } from '../train/start/open-data.js';
import { type DataFlags, dataChoice, dataOptions } from './data-flags.js';
import { positiveInteger } from './flag-types.js';

interface PrepareFlags extends DataFlags {
  data?: string;
  out?: string;
  size: number;
  resampling?: 'bilinear';
  force: boolean;
  json: boolean;
}

/** What was made. */
export interface Prepared extends PackRecord {
  /** Decoded by this call, and how fast. */
  decoded: number;
  imagesPerSecond: number;
}

export function prepareCommand(): Command {
  const sizes = [...new Set(Object.values(NETWORKS).map(({ imagePx }) => imagePx))].sort((a, b) => a - b);
  const command = new Command('prepare').description(
    'Decode a data set once and keep it on disk: for sets that do not fit in memory. Continues where it was stopped.',
  );
  return dataOptions(command.optionsGroup('Data:').option('--data <data>', DATA_HELP))
    .optionsGroup('Prepared set:')
    .option('--out <pack>', 'folder of the prepared set, for --data of train and evaluate')
    .option('--size <px>', `side of the images, pixels; networks take ${sizes.join(' or ')}`, positiveInteger, 256)
    .addOption(
      new Option(
        '--resampling <filter>',
        'bilinear: as for networks imported from torchvision and what is trained from them (default: as for others)',
      ).choices(['bilinear']),
    )
    .option('--force', 'replace the prepared set in --out', false)
    .optionsGroup('Output:')
    .option('--json', 'print the result as one JSON object', false)
    .action(async ({ data, out, size, resampling, force, json, ...flags }: PrepareFlags) => {
      if (!data || !out) throw new UsageError('expected --data DATA and --out PACK');
      const progress = showProgress();
      try {
        const made = await prepare({ data, out, imagePx: size, resampling, force, ...dataChoice(flags) }, progress);
        progress.stop();
        console.log(json ? JSON.stringify(summary(out, made)) : describePrepared(out, made));
      } finally {
        progress.stop();
      }
    });
}

/**
 * @throws {UserError} when the source is no data set, the disk is full, or the folder holds another set
 */
export async function prepare(
  {
    data,
    out,
    imagePx,
    force,
    shardBytes,
    holdOut,
    maxBad,
    resampling,
  }: DataChoice &
    Pick<OpenOptions, 'resampling'> & {
      data: string;
      out: string;
      imagePx: number;
      force: boolean;
      shardBytes?: number;
    },
  progress: Pick<Progress, 'note' | 'work'>,
): Promise<Prepared> {
  refuseForeign(await foreignToPack(out), 'alexnet prepare');
  const there = isPack(out);
  if (there && !force && !(await lacksShards(out, imagePx))) {
    throw new UserError(`${out}: holds a prepared set already; --force replaces it, another --out keeps both`);
  }
  const writer = await PackWriter.open(out, imagePx, { shardBytes, resampling, replace: there && force });
  try {
    if (writer.kept > 0) progress.note(`${out}: ${writer.kept} images are there already, continuing after them`);
    const started = performance.now();
    const onProgress = (done: number, total?: number) => progress.work('decoding', done, total);
    const remote = { note: progress.note };
    const dataset = await openDataset(data, { imagePx, holdOut, maxBad, onProgress, remote }, writer);
    const { decoded } = writer;
    const imagesPerSecond = decoded / ((performance.now() - started) / 1000);
    progress.note('mean and colours of the training images');
    const record = await finishPack(writer, dataset);
    reportDataset(record, progress);
    return { ...record, decoded, imagesPerSecond };
  } finally {
    await writer.abandon();
  }
}

/** Of a prepared set, e.g. if they were damaged and deleted: then they are made again. */
async function lacksShards(folder: string, imagePx: number): Promise<boolean> {
  const pack = JSON.parse(await readFile(join(folder, 'pack.json'), 'utf8')) as PackRecord;
  const numbers = Array.from({ length: pack.shards }, (_, shard) => shard);
  const lacks = numbers.some((shard) =>
    (['bin', 'json'] as const).some((kind) => !existsSync(shardFile(folder, shard, kind))),
  );
  return lacks && pack.imagePx === imagePx;
}

function summary(out: string, { splits, labels, imagePx, skipped, decoded, imagesPerSecond }: Prepared): object {
  return {
    pack: out,
    splits,
    classes: labels.length,
    image_px: imagePx,
    skipped: skipped.length,
    decoded,
    pictures_per_second: imagesPerSecond,
  };
}

function describePrepared(out: string, { splits, labels, imagePx, decoded, imagesPerSecond }: Prepared): string {
  const counts = Object.entries(splits).map(([name, length]) => `${length} ${name}`);
  return `${out}: ${counts.join(', ')} images of ${labels.length} classes, ${imagePx} × ${imagePx}; decoded ${decoded} at ${imagesPerSecond.toFixed(0)} a second`;
}
