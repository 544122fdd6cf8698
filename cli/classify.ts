/** The command `alexnet classify`. */
import { Command } from 'commander';
import type { ProviderChoice } from '../onnx/backend/provider.js';
import { DEFAULTS } from '../serve/server.js';
import { providerOption } from './provider-flag.js';
import { wholeNumber } from './serving-flags.js';

interface ClassifyFlags {
  model: string;
  top?: string;
  json?: boolean;
  provider: ProviderChoice;
  maxPixels: number;
}

/** Exits with 1 when an image cannot be read; the others are answered all the same. */
export function classifyCommand(): Command {
  return new Command('classify')
    .description('Classify images as the server would, without starting one.')
    .argument('<image...>', 'JPEG, PNG or WebP files; - reads one from stdin')
    .requiredOption('--model <file>', 'the .onnx file, exported with --head image')
    .option('--top <n>', 'predictions per image (default: 5, or all classes if there are fewer)')
    .option('--json', 'print one JSON object')
    .addOption(providerOption(DEFAULTS.provider))
    .option('--max-pixels <n>', 'largest image, width × height', wholeNumber(1), DEFAULTS.maxPixels)
    .action(async (images: string[], { model, top, json, provider, maxPixels }: ClassifyFlags) => {
      const { classifyFiles, formatResults } = await import('../serve/classify-files.js');
      const log = (line: string) => console.error(line);
      const results = await classifyFiles(images, { file: model, provider, maxPixels, log, top });
      console.log(json ? JSON.stringify(results) : formatResults(results));
      if (results.results.some((result) => 'error' in result)) process.exitCode = 1;
    });
}
