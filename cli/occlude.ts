/** The command `alexnet occlude`. */

import { Command } from 'commander';
import { percent } from '../base/format.js';
import { READ_FORMATS } from '../base/image/formats.js';
import { showProgress } from '../base/progress.js';
import type { ProviderChoice } from '../onnx/backend/provider.js';
import { positiveInteger, wholeNumber } from './flag-types.js';
import { providerOption } from './provider-flag.js';
import { MODEL_HELP, maxPixels, OUT_HELP } from './view-flags.js';

interface OccludeFlags {
  model: string;
  out?: string;
  class?: string;
  crop?: number;
  patch?: number;
  stride?: number;
  json?: boolean;
  provider?: ProviderChoice;
}

export function occludeCommand(): Command {
  return new Command('occlude')
    .description(
      "Show what a class depends on: its probability while a patch of the mean colour covers each place of the image's centre crop.",
    )
    .argument('<image>', `${READ_FORMATS} file`)
    .requiredOption('--model <file>', MODEL_HELP)
    .option('--out <file>', OUT_HELP)
    .option('--class <name>', 'label or number of the class (default: the most probable)')
    .option('--crop <n>', "position in the model's list of crops, from 0 (default: the centre)", wholeNumber)
    .option('--patch <pixels>', 'side of the patch, in pixels (default: a seventh of the crop)', positiveInteger)
    .option(
      '--stride <pixels>',
      'distance from one place to the next, in pixels (default: half the patch)',
      positiveInteger,
    )
    .addOption(providerOption())
    .option('--json', 'print one JSON object with every probability')
    .action(async (image: string, { model, json, provider, ...flags }: OccludeFlags) => {
      const { occludeFile } = await import('../serve/views/occlude-file.js');
      const progress = showProgress();
      const onProgress = (done: number, total: number) => progress.work('places covered', done, total);
      const report = await occludeFile({ file: model, maxPixels, provider, log: progress.note }, image, {
        ...flags,
        onProgress,
      });
      progress.stop();
      const { lowest, probability, x, y } = report;
      const text = `${image}: ${report.class.label} ${percent(probability)}; ${percent(lowest.probability)} with the patch of ${report.patch} pixels at x ${x[lowest.column]}, y ${y[lowest.row]} of the crop`;
      console.log(json ? JSON.stringify(report) : text);
    });
}
