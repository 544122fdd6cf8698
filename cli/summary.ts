/** The command `alexnet summary`. */
import { Command, InvalidArgumentError } from 'commander';
import { UsageError } from '../base/errors.js';
import { headed } from '../base/terminal.js';
import { findNetwork, NETWORKS } from '../model/registry.js';
import { formatSummary, type Summary, summarize } from '../model/summary.js';
import { openRun } from '../train/run/run-folder.js';

/** Prints a network's layer table on stdout; with `--json` one JSON object. */
export function summaryCommand(): Command {
  return new Command('summary')
    .description('Show the layers of a network: windows, sizes, parameters and multiply-adds for one image.')
    .option('--model <name>', `network: ${Object.keys(NETWORKS).join(', ')} (default: alexnet)`)
    .option('--run <run>', 'folder of a run, for its network with its classes and constants, instead of --model')
    .option('--classes <n>', 'number of classes, 1 or more (default: as published, 1000 or 10)', wholeNumber)
    .option('--json', 'print one JSON object instead of the table')
    .action(async ({ json, ...request }: Request & { json?: boolean }) => {
      const summary = await summaryOf(request);
      console.log(json ? JSON.stringify(summary) : headed(formatSummary(summary)));
    });
}

interface Request {
  model?: string;
  run?: string;
  classes?: number;
}

async function summaryOf({ model, run, classes }: Request): Promise<Summary> {
  if (run === undefined) {
    const spec = findNetwork(model ?? 'alexnet');
    return summarize(spec, classes ?? spec.classes);
  }
  if (model !== undefined || classes !== undefined)
    throw new UsageError('--run tells the network and its classes; leave --model and --classes out');
  const { config, labels } = await openRun(run);
  return summarize(findNetwork(config.model), labels.length, config.lrn ?? undefined);
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError(`Expected a whole number, 1 or more, got "${text}".`);
  return Number(text);
}
