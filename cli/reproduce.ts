/** The command `alexnet reproduce`: the paper's experiments. */
import { Command, InvalidArgumentError } from 'commander';
import { UsageError } from '../base/errors.js';
import { listenForInterrupt } from '../base/process/interrupt.js';
import { exitCodeOf } from '../base/process/stop-signals.js';
import { showProgress } from '../base/progress.js';
import { headed } from '../base/terminal.js';
import { EDIT_HELP } from '../model/variant.js';
import { keepMemory } from '../onnx/backend/keep-memory.js';
import type { ComputeChoice } from '../onnx/backend/select-backend.js';
import { DATA_HELP } from '../train/data/open-dataset.js';
import { EXPERIMENTS } from '../train/reproduce/experiments.js';
import { findExperiment, runExperiment } from '../train/reproduce/run-experiment.js';
import { type DataFlags, dataOptions } from './data-flags.js';
import { positiveInteger, wholeNumber } from './flag-types.js';
import { providerOption } from './provider-flag.js';
import { backendOption } from './training-flags.js';

interface ReproduceFlags extends ComputeChoice, DataFlags {
  data?: string;
  out?: string;
  model?: string;
  budget?: number;
  epochs?: number;
  seed: number;
  json: boolean;
}

export function reproduceCommand(): Command {
  const list = Object.entries(EXPERIMENTS).map(([name, { title }]) => `  ${name.padEnd(14)}${title}`);
  const command = new Command('reproduce')
    .description('Repeat an experiment of the paper: train its variants side by side, write a table and a plot.')
    .argument('<experiment>', Object.keys(EXPERIMENTS).join(', '))
    .optionsGroup('Data:')
    .option('--data <data>', DATA_HELP);
  return dataOptions(command)
    .optionsGroup('Experiment:')
    .option('--out <folder>', 'folder for the runs, table.md, plot.svg and result.json (default: runs/EXPERIMENT)')
    .option('--model <name>', `network to vary (default: the experiment's); may carry changes after dots: ${EDIT_HELP}`)
    .option(
      '--budget <time>',
      'time for all variants in s, m or h, e.g. 90s, 30m, 2h; sets the number of epochs (default: 30m)',
      duration,
    )
    .option('--epochs <n>', 'epochs of every variant instead of a budget', positiveInteger)
    .option('--seed <n>', 'seed of all random numbers, a whole number, the same for every variant', wholeNumber, 0)
    .optionsGroup('Computing and output:')
    .addOption(backendOption())
    .addOption(providerOption())
    .option('--json', 'print the result as one JSON object', false)
    .addHelpText('after', `\nExperiments:\n${list.join('\n')}`)
    .action(reproduce);
}

async function reproduce(name: string, flags: ReproduceFlags): Promise<void> {
  findExperiment(name);
  const { data, budget = 1800, epochs, seed, model, backend, provider, json, out = `runs/${name}` } = flags;
  const { valFraction, splitSeed, maxBad } = flags;
  if (data === undefined) throw new UsageError('--data DATA is missing; the paper used CIFAR-10: cifar10:DIR');
  keepMemory();
  const progress = showProgress();
  const interrupt = listenForInterrupt((signal) => progress.note(`${signal}: saving; a second signal stops at once`));
  try {
    const request = { name, data, model, seed, epochs, budgetSeconds: budget, valFraction, splitSeed, maxBad };
    const result = await runExperiment(out, request, { backend, provider }, progress, interrupt);
    progress.stop();
    if (result === undefined) {
      process.exitCode = exitCodeOf(interrupt.signal!);
      progress.note(`saved; the same command continues`);
    } else {
      progress.note(`written: ${out}/table.md, plot.svg, result.json`);
      console.log(json ? JSON.stringify({ experiment: name, out, variants: result.outcomes }) : headed(result.text));
    }
  } finally {
    progress.stop();
    interrupt.close();
  }
}

/** `90s`, `30m`, `2h` in seconds. */
function duration(text: string): number {
  const [, value, unit] = /^(\d+(?:\.\d+)?)([smh])$/.exec(text.trim()) ?? [];
  const seconds = Number(value) * { s: 1, m: 60, h: 3600 }[unit as 's' | 'm' | 'h']!;
  if (!(seconds > 0)) throw new InvalidArgumentError(`Expected a time such as 90s, 30m or 2h, got "${text}".`);
  return seconds;
}
