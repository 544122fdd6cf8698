/** The command `alexnet report`. */
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { writeFileAtomically } from '../base/atomic-file.js';
import { count, errorPercents, hasTop5 } from '../base/format.js';
import { type Progress, showProgress } from '../base/progress.js';
import { checkReplaceable, isMarked } from '../base/replaceable.js';
import type { DataChoice } from '../train/data/dataset.js';
import { DATA_HELP } from '../train/data/open-dataset.js';
import { gather, type Report, type ReportRequest } from '../train/report/gather.js';
import type { CropErrors } from '../train/report/measure.js';
import { page } from '../train/report/page.js';
import { AS_THE_RUN, type DataFlags, dataChoice, dataOptions } from './data-flags.js';
import { providerOption } from './provider-flag.js';
import { backendOption } from './training-flags.js';

type ReportFlags = Omit<ReportRequest, 'run' | 'crops' | keyof DataChoice> &
  DataFlags & { crops: '1' | '10'; out?: string; json: boolean };

/** Writes what there is to say of a run as one HTML file. */
export function reportCommand(): Command {
  const command = new Command('report')
    .description('Write a run as one HTML page: curves, errors, confusions, worst answers, kernels, settings.')
    .argument('<run>', 'folder that "alexnet train" or "alexnet import" made; it may still be training')
    .optionsGroup('Data:')
    .option('--data <data>', `${DATA_HELP} (default: that of the run)`);
  return dataOptions(command, AS_THE_RUN)
    .option('--split <name>', 'part of the data set to measure on: train, val, test or another (default: val)')
    .optionsGroup('What to measure:')
    .addOption(new Option('--checkpoint <which>', 'checkpoint to measure').choices(['best', 'last']).default('best'))
    .addOption(
      new Option('--crops <n>', '10: errors with ten crops too; 1: the centre alone, in a tenth of the time')
        .choices(['1', '10'])
        .default('10'),
    )
    .optionsGroup('Computing:')
    .addOption(backendOption())
    .addOption(providerOption())
    .optionsGroup('Output:')
    .option('--out <file>', 'the page; replaces an earlier one (default: report.html in the folder of the run)')
    .option('--json', 'print the result as one JSON object', false)
    .action(runReport);
}

async function runReport(
  run: string,
  { out = join(run, 'report.html'), json, crops, ...flags }: ReportFlags,
): Promise<void> {
  await checkReplaceable(out, 'a page of "alexnet report"', isMarked);
  const progress = showProgress();
  try {
    const report = await writeReport(
      { ...flags, ...dataChoice(flags), run, crops: crops === '10' ? 10 : 1 },
      out,
      progress,
    );
    progress.stop();
    console.log(json ? JSON.stringify(reportJson(report, out)) : describeReport(report, out));
  } finally {
    progress.stop();
  }
}

/** @param out  the page, in place of what is there */
export async function writeReport(
  request: ReportRequest,
  out: string,
  progress: Progress,
): Promise<Report & { bytes: number }> {
  const report = await gather(request, progress);
  for (const sentence of report.missing) progress.note(`warning: ${sentence}`);
  const contents = Buffer.from(await page(report, new Date()));
  await writeFileAtomically(out, contents);
  return { ...report, bytes: contents.length };
}

function reportJson({ run, measured, checkpoint, missing, bytes }: Report & { bytes: number }, out: string): object {
  return {
    report: out,
    bytes,
    run: run.path,
    checkpoint: checkpoint?.name ?? null,
    ...(measured && {
      split: measured.split,
      images: measured.single.images,
      ...errorsJson(measured.single, run.labels.length),
      ...(measured.ten && { ten_crop: errorsJson(measured.ten, run.labels.length) }),
    }),
    missing,
  };
}

function errorsJson({ crops, top1Error, top5Error, loss }: CropErrors, classes: number): object {
  return { crops, top1_error: top1Error, ...(hasTop5(classes) && { top5_error: top5Error }), loss };
}

function describeReport({ measured, run, bytes }: Report & { bytes: number }, out: string): string {
  const size = `${out}: ${count(Math.ceil(bytes / 1000))} kB`;
  if (!measured) return size;
  const { images, top1Error, top5Error } = measured.single;
  return `${size}; ${images} ${measured.kind} images, top-1 error ${errorPercents(top1Error, top5Error, run.labels.length)}`;
}
