/** The command `alexnet learn`. */

import { join } from 'node:path';
import { Command } from 'commander';
import { showProgress } from '../base/progress.js';
import { KNOWN_WEIGHTS } from '../export/import/fetch-weights.js';
import { keepMemory } from '../onnx/backend/keep-memory.js';
import type { DataChoice } from '../train/data/dataset.js';
import { type DataFlags, dataChoice, dataOptions } from './data-flags.js';
import { positiveInteger, wholeNumber } from './flag-types.js';
import { account } from './learn/account.js';
import { type LearnRequest, type Learnt, learn, nameOf } from './learn/learn.js';
import { providerOption } from './provider-flag.js';

type LearnFlags = Omit<LearnRequest, 'dir' | 'out' | keyof DataChoice> & DataFlags & { out?: string; json: boolean };

/** Port that `alexnet serve` takes by default. */
const PORT = 8080;

export function learnCommand(): Command {
  const command = new Command('learn')
    .description(
      'Learn your own classes from a few images each: the last layer of a network that knows others is trained on a folder, measured, reported and exported.',
    )
    .argument(
      '<dir>',
      'folder DIR/<class>/… or DIR/{train,val}/<class>/…, or another data set as "alexnet train --data" takes it',
    )
    .optionsGroup('Start and end:')
    .option(
      '--from <weights>',
      `a run, a file of weights, a URL, or ${Object.keys(KNOWN_WEIGHTS).join(' or ')}; what is fetched or imported stays in ALEXNET_CACHE`,
      'torchvision',
    )
    .option(
      '--out <run>',
      'folder of the run, its report and its .onnx file (default: runs/ and the name of the folder)',
    )
    .option('--force', 'replace the run in --out', false);
  return dataOptions(command)
    .optionsGroup('Learning:')
    .option('--epochs <n>', 'passes over the images', positiveInteger, 40)
    .option(
      '--views <n>',
      'views of each image: 1, 2, 5 or 10 are the crops of evaluation, other numbers random ones, for which the file averages all crops; 0: computed at every use (default: 2)',
      wholeNumber,
    )
    .option('--seed <n>', 'seed of all random numbers, a whole number', wholeNumber, 0)
    .optionsGroup('Computing and output:')
    .addOption(providerOption())
    .option('--json', 'print the result as one JSON object', false)
    .action(runLearn);
}

async function runLearn(dir: string, { out = join('runs', nameOf(dir)), json, ...flags }: LearnFlags): Promise<void> {
  keepMemory();
  const shown = showProgress();
  let computes = false;
  // Settings and epochs that commands note are in the run, and what they advise names flags of theirs.
  const note = (line: string) => {
    const isFirst = line.startsWith('backend ') && !computes;
    computes ||= isFirst;
    if (isFirst || /^warning: (?!a training loss)|: saving|^saved/.test(line)) shown.note(line);
  };
  const progress = { ...shown, note };
  try {
    const learnt = await learn(
      { ...flags, ...dataChoice(flags), dir, out },
      json ? account(shown.note, process.stderr) : account(console.log, process.stdout),
      progress,
    );
    if (learnt) console.log(json ? JSON.stringify(toJson(learnt)) : describeNext(learnt));
  } finally {
    shown.stop();
  }
}

function toJson({ top1Error, labels, example: _, ...rest }: Learnt): object {
  return { ...rest, classes: labels.length, top1_error: top1Error };
}

function describeNext({ model, example, seconds }: Learnt): string {
  return [
    `\n${seconds.toFixed(0)} s. Serve it, and ask about an image:\n`,
    `  npx alexnet serve --model ${shellWord(model)}`,
    `  curl --data-binary ${shellWord(`@${example}`)} http://127.0.0.1:${PORT}/classify`,
  ].join('\n');
}

/** As a shell takes it for one word. */
const shellWord = (text: string) => (/[^\w@%+=:,./-]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : text);
