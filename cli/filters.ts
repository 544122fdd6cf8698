/** The command `alexnet filters`. */
import { Command } from 'commander';
import { MODEL_HELP, maxPixels, OUT_HELP } from './view-flags.js';

export function filtersCommand(): Command {
  return new Command('filters')
    .description("Draw the first convolution's kernels as in Figure 3 of the paper, separately for the two GPUs.")
    .requiredOption('--model <file>', MODEL_HELP)
    .requiredOption('--out <file>', OUT_HELP)
    .option('--layer <name>', 'layer that reads the three colours (default: the first)')
    .option('--json', 'print one JSON object')
    .action(async ({ model, out, layer, json }: { model: string; out: string; layer?: string; json?: boolean }) => {
      const { drawFilters } = await import('../serve/views/draw/draw-filters.js');
      const report = await drawFilters({ file: model, maxPixels }, out, layer);
      const apart = report.groups > 1 ? `, ${report.groups} groups` : '';
      console.log(json ? JSON.stringify(report) : `${out}: ${report.count} kernels of ${report.layer}${apart}`);
    });
}
