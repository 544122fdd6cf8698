/** The command `alexnet page`. */
import { Command } from 'commander';
import { MODEL_HELP } from './view-flags.js';

/** Prints where the site is; a line on stderr says how to look at it. */
export function pageCommand(): Command {
  return new Command('page')
    .description('Write a static site that classifies images in the browser, without a server.')
    .requiredOption('--model <file>', MODEL_HELP)
    .requiredOption('--out <folder>', 'where the site is written; a site that is there is replaced')
    .option('--json', 'print one JSON object')
    .action(async ({ model, out, json }: { model: string; out: string; json?: boolean }) => {
      const { writeSite } = await import('../serve/site/write-site.js');
      const report = await writeSite(model, out, (line) => console.error(line));
      const { files, bytes } = report;
      console.log(json ? JSON.stringify(report) : `${out}: ${files} files, ${(bytes / 1e6).toFixed(1)} MB`);
      console.error(`copy it to any host of static files; to look at it: npx http-server ${out}`);
    });
}
