/** The command `alexnet summary`. */
import { Command, InvalidArgumentError } from 'commander';
import { findNetwork, NETWORKS } from './registry.js';
import { formatSummary, summarize } from './summary.js';

/** Prints a network's layer table on stdout; with `--json` one JSON object. */
export function summaryCommand(): Command {
  return new Command('summary')
    .description('Show the layers of a network: windows, sizes, parameters and multiply-adds for one picture.')
    .option('--model <name>', `network: ${Object.keys(NETWORKS).join(', ')}`, 'alexnet')
    .option('--classes <n>', 'number of classes (default: as published, 1000 or 10)', wholeNumber)
    .option('--json', 'print one JSON object instead of the table')
    .action(({ model, classes, json }: { model: string; classes?: number; json?: boolean }) => {
      const spec = findNetwork(model);
      const summary = summarize(spec, classes ?? spec.classes);
      console.log(json ? JSON.stringify(summary) : formatSummary(summary));
    });
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError(`expected a whole number, 1 or more, got "${text}".`);
  return Number(text);
}
