/** The command `alexnet classify`. */
import { once } from 'node:events';
import { Command, Option } from 'commander';
import { UserError } from '../base/errors.js';
import { counted } from '../base/format.js';
import { IMAGE_ENDINGS, READ_FORMATS } from '../base/image/formats.js';
import { type Progress, showProgress, silentProgress } from '../base/progress.js';
import { headed } from '../base/terminal.js';
import type { ProviderChoice } from '../onnx/backend/provider.js';
import { WHOLE_NUMBERS } from '../serve/check-options.js';
import type { FileResult } from '../serve/classify-files.js';
import { DEFAULTS } from '../serve/defaults.js';
import type { ImagePath } from '../serve/image-files.js';
import type { Classifier } from '../serve/inference/classifier.js';
import { providerOption } from './provider-flag.js';
import { wholeNumber } from './serving-flags.js';
import { MODEL_HELP } from './view-flags.js';

interface ClassifyFlags {
  model: string;
  top?: string;
  json?: boolean;
  jsonl?: boolean;
  csv?: boolean;
  provider: ProviderChoice;
  maxPixels: number;
}

/** Exits with 1 when an image cannot be read; the others are answered all the same. */
export function classifyCommand(): Command {
  return new Command('classify')
    .description('Classify images as the server would, without starting one.')
    .argument('<image...>', `${READ_FORMATS} files, or folders of them at any depth; - reads one from stdin`)
    .requiredOption('--model <file>', MODEL_HELP)
    .option('--top <n>', 'predictions per image, 1 or more (default: 5, or all classes if there are fewer)')
    .option('--json', 'print one JSON object')
    .addOption(new Option('--jsonl', 'print a JSON object per image, as they come').conflicts('json'))
    .addOption(new Option('--csv', 'print a line per image, as they come').conflicts(['json', 'jsonl']))
    .addOption(providerOption(DEFAULTS.provider))
    .option(
      '--max-pixels <n>',
      'largest image, pixels (width × height)',
      wholeNumber(...WHOLE_NUMBERS.maxPixels),
      DEFAULTS.maxPixels,
    )
    .action(classify);
}

async function classify(given: string[], flags: ClassifyFlags): Promise<void> {
  const { imageFiles } = await import('../serve/image-files.js');
  const images = await imageFiles(given);
  if (images.length === 0) {
    throw new UserError(`${given.join(', ')}: no images found (${IMAGE_ENDINGS})`);
  }
  const { openClassifier } = await import('../serve/inference/classifier.js');
  const { FILES_BATCH, topOf } = await import('../serve/classify-files.js');
  const { model: file, top, provider, maxPixels } = flags;
  const log = (line: string) => console.error(line);
  const classifier = await openClassifier({ file, provider, maxPixels, log, batch: FILES_BATCH });
  try {
    await printResults(classifier, images, topOf(top, classifier), flags);
  } finally {
    await classifier.release();
  }
}

async function printResults(classifier: Classifier, images: ImagePath[], top: number, flags: ClassifyFlags) {
  const { classifyFiles } = await import('../serve/classify-files.js');
  const { csv, JSON_LINES, TEXT } = await import('../serve/format-results.js');
  const { json, jsonl } = flags;
  const format = flags.csv ? csv(top) : jsonl ? JSON_LINES : TEXT;
  const kept: FileResult[] = [];
  const count = { all: 0, failed: 0 };
  const many = flags.csv || jsonl || json;
  // Results and a bar on one terminal would overwrite each other.
  const progress: Progress = many && !process.stdout.isTTY ? showProgress() : silentProgress;
  const started = performance.now();
  let isRead = true;
  process.stdout.once('error', () => {
    isRead = false;
  });
  if (format.header !== undefined) await print(format.header);
  for await (const result of classifyFiles(classifier, images, top)) {
    if (!isRead) break; // as `| head`: nobody gets the rest
    count.all += 1;
    if ('error' in result) count.failed += 1;
    progress.work('images', count.all, images.length);
    if (json) kept.push(result);
    else if (many) await print(format.of(result));
    else await print(`${count.all === 1 ? '' : '\n'}${headed(format.of(result))}`);
  }
  progress.stop();
  const { name, version, crops, activation } = classifier.model;
  const described = { model: { name, version }, crops, multi_label: activation.multiLabel };
  if (json) await print(JSON.stringify({ ...described, results: kept }));
  if (many) console.error(summary(count, (performance.now() - started) / 1000));
  if (count.failed > 0) process.exitCode = 1;
}

function summary({ all, failed }: { all: number; failed: number }, seconds: number): string {
  const rate = (all / seconds).toFixed(1);
  return `${counted(all, 'image')}, ${failed === 0 ? 'all classified' : `${failed} not classified`}, ${rate} images/s`;
}

/** Waits for a slow reader; one that is gone reads nothing more. */
async function print(line: string): Promise<void> {
  if (process.stdout.write(`${line}\n`) || process.stdout.destroyed) return;
  await Promise.race([once(process.stdout, 'drain'), once(process.stdout, 'close')]).catch(() => undefined);
}
