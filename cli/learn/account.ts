/** What `alexnet learn` tells of what it does: short lines, for people. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CROP_COUNTS } from '../../base/crops.js';
import { count, counted, percent, standardError } from '../../base/format.js';
import { nameSome } from '../../base/name-some.js';
import { stylesOf } from '../../base/terminal.js';
import type { ExportRunReport } from '../../export/from-run.js';
import { findNetwork } from '../../model/registry.js';
import type { Dataset } from '../../train/data/dataset.js';
import { remoteOptions } from '../../train/data/remote/options.js';
import type { ClassErrors } from '../../train/evaluate/confusion.js';
import type { Measured } from '../../train/report/measure.js';
import type { Run } from '../../train/run/run-folder.js';
import type { Settings } from '../../train/settings/config.js';
import { layersWithWeights } from '../../train/settings/freeze.js';
import type { Trained } from '../../train/start/start.js';
import { countImages } from '../../train/start/training-data.js';

/** Prints a line; of lines with the same title that follow each other the first alone shows it. */
export type Say = (title: string, line: string) => void;

const TITLE_WIDTH = 9;

/** That a higher error shows in none of so many images: the bound of an interval of 95 %. */
const DOUBT = 0.05;

/**
 * @param print   of a whole line
 * @param stream  where it prints
 */
export function account(print: (line: string) => void, stream: NodeJS.WriteStream): Say {
  const { bold } = stylesOf(stream);
  let last = '';
  return (title, line) => {
    print(`${bold((title === last ? '' : title).padEnd(TITLE_WIDTH))}${line}`);
    last = title;
  };
}

export function describeWeights(from: string, { config, labels }: Run): string {
  return `${config.model} from ${from}, which knows ${count(labels.length)} classes`;
}

/** What `runOfWeights` left in the cache. */
export async function describeKept(kept: readonly string[]): Promise<string> {
  const { cacheFolder } = remoteOptions();
  const bytes = (await Promise.all(kept.map(bytesIn))).reduce((sum, size) => sum + size, 0);
  return `${(bytes / 1e6).toFixed(0)} MB kept in ${cacheFolder} for the next time; delete the folder to free them`;
}

/** Of a file, or of all files in a folder. */
async function bytesIn(path: string): Promise<number> {
  const found = await stat(path);
  if (!found.isDirectory()) return found.size;
  const inside = await readdir(path);
  return (await Promise.all(inside.map((name) => bytesIn(join(path, name))))).reduce((sum, size) => sum + size, 0);
}

export function describeImages(dataset: Dataset): string[] {
  const { source, labels, splits } = dataset;
  const { train, val } = countImages(dataset);
  const isSame = splits.val === splits.train;
  return [
    `${counted(isSame ? train : train + val, 'image')} of ${labels.length} classes in ${source}: ${nameSome(labels)}`,
    isSame
      ? 'all to learn from and to measure on'
      : `${count(train)} to learn from, ${count(val)} held out to measure on`,
  ];
}

export function describeLearning({ epochs, views }: Partial<Settings>, { config }: Run, { labels }: Dataset): string[] {
  const names = layersWithWeights(findNetwork(config.model));
  return [
    `${names[0]} to ${names.at(-2)} stay as they are: what they make of the images is computed ${views === 0 ? 'at every use' : 'once'}`,
    `${names.at(-1)} learns the ${labels.length} classes from it, in ${epochs} passes`,
  ];
}

export function describeErrors(
  { single, confusion }: Measured,
  { state }: Trained,
  { epochs }: Partial<Settings>,
  { labels, splits }: Dataset,
): string[] {
  const { images, top1Error } = single;
  const wrong = Math.round(top1Error * images);
  const often = Math.max(...labels.map((_, label) => confusion.images(label)));
  const [pair] = confusion.pairs();
  return [
    `${wrong} of ${counted(images, 'image')} wrong: ${withDoubt(top1Error, images)} (guessing: ${percent(1 - 1 / labels.length, 1)})`,
    ...(splits.val === splits.train ? ['these are the images it learnt from: of others more will be wrong'] : []),
    ...(wrong >= images - often
      ? [`no better than to answer always the same: ${images - often} of ${images} would be wrong`]
      : []),
    `kept: pass ${state.bestValidation!.epoch} of ${epochs}, which had the fewest of these wrong`,
    ...(pair
      ? [
          `most often: ${labels[pair.label]} taken for ${labels[pair.predicted]}, ${pair.images} of ${confusion.images(pair.label)}`,
          `wrong by class: ${nameSome(confusion.worstFirst().map((errors) => describeClass(errors, labels)))}`,
        ]
      : []),
  ];
}

const describeClass = ({ label, wrong, images }: ClassErrors, labels: string[]) =>
  `${labels[label]} ${wrong} of ${images}`;

/** A share of so many images, with its standard error; none or all of them prove little if they are few. */
function withDoubt(share: number, images: number): string {
  if (share > 0) return `${percent(share, 1)} ± ${(100 * standardError(share, images)).toFixed(1)}`;
  return `${percent(0, 1)}, which may be up to ${percent(1 - DOUBT ** (1 / images), 0)} of others`;
}

export function describeFile({ file, bytes, parity, metadata }: ExportRunReport, views: number): string[] {
  const { crops, top1Error, measuredOn } = metadata;
  const isRandom = !CROP_COUNTS.some((count) => count === views);
  const why = isRandom ? ', all there are, as the views were random' : '';
  return [
    `${file}, ${(bytes / 1e6).toFixed(1)} MB`,
    `differs from TensorFlow.js by ${parity.maxAbs.toExponential(1)} at most`,
    ...(measuredOn
      ? [
          `${percent(top1Error!, 1)} of the same images wrong${crops === 1 ? '' : `, each the mean of ${crops} crops${why}`}`,
        ]
      : []),
  ];
}
