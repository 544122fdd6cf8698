/** The command `alexnet neighbours`. */
import { Command } from 'commander';
import { UsageError } from '../base/errors.js';
import { READ_FORMATS } from '../base/image/formats.js';
import { headed } from '../base/terminal.js';
import type { ProviderChoice } from '../onnx/backend/provider.js';
import { positiveInteger } from './flag-types.js';
import { providerOption } from './provider-flag.js';
import { MODEL_HELP, maxPixels, OUT_HELP } from './view-flags.js';

interface NeighboursFlags {
  model: string;
  index: string;
  k: number;
  out?: string;
  json?: boolean;
  provider?: ProviderChoice;
}

const MOST = 50;

export function neighboursCommand(): Command {
  return new Command('neighbours')
    .description('Find the images of an index that the network finds most similar to one, as in Figure 4 of the paper.')
    .argument('<image>', `${READ_FORMATS} file`)
    .requiredOption('--model <file>', MODEL_HELP)
    .requiredOption('--index <file>', 'made by "alexnet index" with the same model')
    .option('-k, --k <n>', `images to find, 1 to ${MOST}`, positiveInteger, 9)
    .option('--out <file>', OUT_HELP)
    .addOption(providerOption())
    .option('--json', 'print one JSON object')
    .action(async (image: string, { model, index, k, out, json, provider }: NeighboursFlags) => {
      if (k > MOST) throw new UsageError(`-k: expected at most ${MOST}, got ${k}`);
      const { neighboursOfFile } = await import('../serve/views/neighbours-of-file.js');
      const report = await neighboursOfFile(
        { file: model, index, maxPixels, provider, log: console.error },
        image,
        k,
        out,
      );
      const lines = report.neighbours.map(
        ({ name, label, distance }) => `  ${distance.toPrecision(6).padStart(10)}  ${label}  ${name}`,
      );
      console.log(
        json
          ? JSON.stringify(report)
          : headed([`${image}: ${report.layer}, ${report.indexed} images`, ...lines].join('\n')),
      );
    });
}
