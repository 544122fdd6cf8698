/** The command `alexnet evaluate`. */

import { Command, Option } from 'commander';
import { showProgress } from '../base/progress.js';
import { headed } from '../base/terminal.js';
import { keepMemory } from '../onnx/backend/keep-memory.js';
import { DATA_HELP } from '../train/data/open-dataset.js';
import { type EvaluateRequest, evaluateRun } from '../train/evaluate/evaluate-run.js';
import { AS_THE_RUN, type DataFlags, dataChoice, dataOptions } from './data-flags.js';
import { describeEvaluation, evaluationJson } from './describe-evaluation.js';
import { cropCount, positiveInteger } from './flag-types.js';
import { providerOption } from './provider-flag.js';
import { backendOption, CROPS_HELP, STREAM_HELP } from './training-flags.js';

/** Measures the errors of a checkpoint or an exported file. */
export function evaluateCommand(): Command {
  const command = new Command('evaluate')
    .description('Measure top-1 and top-5 errors of a checkpoint or an exported file.')
    .optionsGroup('What to measure:')
    .option('--run <run>', 'folder that "alexnet train" made')
    .addOption(new Option('--checkpoint <which>', 'checkpoint of the run').choices(['best', 'last']).default('best'))
    .option('--onnx <file>', 'file that "alexnet export" made, with the image head')
    .optionsGroup('Data:')
    .option('--data <data>', `${DATA_HELP} (default: that of the run)`);
  return dataOptions(command, AS_THE_RUN)
    .option('--split <name>', 'train, val, test or another split of the data set', 'test')
    .option('--images <n>', 'images to evaluate, spread evenly over the split (default: all)', positiveInteger)
    .option('--stream', STREAM_HELP, false)
    .optionsGroup('Computing:')
    .option('--crops <n>', `crops averaged per image: ${CROPS_HELP} (default: 1; of a file those inside it)`, cropCount)
    .option('--batch <n>', 'images at once', positiveInteger)
    .addOption(backendOption())
    .addOption(providerOption())
    .optionsGroup('Output:')
    .option('--predictions <file>', 'write one JSON line per image: name, label, top5, probability, loss')
    .option('--json', 'print the result as one JSON object', false)
    .action(runEvaluate);
}

async function runEvaluate(flags: EvaluateRequest & DataFlags & { json: boolean }): Promise<void> {
  keepMemory();
  const progress = showProgress();
  try {
    const report = await evaluateRun({ ...flags, ...dataChoice(flags) }, progress);
    progress.stop();
    console.log(flags.json ? JSON.stringify(evaluationJson(report)) : headed(describeEvaluation(report)));
  } finally {
    progress.stop();
  }
}
