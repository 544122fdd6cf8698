/** The commands `alexnet serve` and `alexnet classify`. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { PROVIDERS, type ProviderChoice } from './inference/provider.js';
import { serveUntilSignal } from './serve-until-signal.js';
import { createServer, DEFAULTS } from './server.js';

interface ServeFlags {
  model: string;
  host: string;
  port: number;
  provider: ProviderChoice;
  queue: number;
  timeout: number;
  maxBytes: number;
  maxPixels: number;
}

/** Prints one line of JSON on stdout once it is ready, everything else on stderr. Ends by SIGTERM or SIGINT. */
export function serveCommand(): Command {
  return new Command('serve')
    .description('Answer pictures over HTTP: POST /classify. Takes a file exported with --head image.')
    .requiredOption('--model <file>', 'the .onnx file')
    .option('--host <address>', 'address to listen on; 0.0.0.0 for every network', DEFAULTS.host)
    .option('--port <n>', 'port, 0 for any free one', wholeNumber(0, 65_535), DEFAULTS.port)
    .addOption(providerOption())
    .option('--queue <n>', 'pictures that may wait besides the one in inference', wholeNumber(0), DEFAULTS.maxWaiting)
    .option('--timeout <seconds>', 'time limit for an answer, waiting included', seconds, DEFAULTS.timeoutMs / 1000)
    .option('--max-bytes <n>', 'largest encoded picture, bytes', wholeNumber(1), DEFAULTS.maxBytes)
    .option('--max-pixels <n>', 'largest picture, width × height', wholeNumber(1), DEFAULTS.maxPixels)
    .action(async ({ model, queue, timeout, ...flags }: ServeFlags) => {
      const log = (line: string) => console.error(line);
      const server = createServer({ ...flags, file: model, maxWaiting: queue, timeoutMs: timeout * 1000, log });
      await serveUntilSignal(server, log);
    });
}

interface ClassifyFlags {
  model: string;
  top?: string;
  json?: boolean;
  provider: ProviderChoice;
  maxPixels: number;
}

/** Exits with 1 when a picture cannot be read; the others are answered all the same. */
export function classifyCommand(): Command {
  return new Command('classify')
    .description('Name what is on pictures, as the server would, without one.')
    .argument('<image...>', 'JPEG, PNG or WebP files; - reads one from stdin')
    .requiredOption('--model <file>', 'the .onnx file, exported with --head image')
    .option('--top <n>', 'predictions a picture (default: 5, or all classes where fewer)')
    .option('--json', 'print one JSON object')
    .addOption(providerOption())
    .option('--max-pixels <n>', 'largest picture, width × height', wholeNumber(1), DEFAULTS.maxPixels)
    .action(async (images: string[], { model, top, json, provider, maxPixels }: ClassifyFlags) => {
      const { classifyFiles, formatResults } = await import('./classify-files.js');
      const log = (line: string) => console.error(line);
      const results = await classifyFiles(images, { file: model, provider, maxPixels, log, top });
      console.log(json ? JSON.stringify(results) : formatResults(results));
      if (results.results.some((result) => 'error' in result)) process.exitCode = 1;
    });
}

function providerOption(): Option {
  return new Option('--provider <name>', 'what computes; auto: cuda where it runs, else cpu')
    .choices(PROVIDERS)
    .default(DEFAULTS.provider);
}

function wholeNumber(low: number, high = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const range = high === Number.MAX_SAFE_INTEGER ? `${low} or more` : `${low} to ${high}`;
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= low && value <= high) return value;
    throw new InvalidArgumentError(`expected a whole number, ${range}, got "${text}".`);
  };
}

/** At most 24 days: longer timers overflow and fire at once. */
const MAX_SECONDS = 2_000_000;

function seconds(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (value > 0 && value <= MAX_SECONDS) return value;
  throw new InvalidArgumentError(`expected seconds, more than 0 and at most ${MAX_SECONDS}, got "${text}".`);
}
