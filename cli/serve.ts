/** The command `alexnet serve`. */
import { Command, Option } from 'commander';
import { UsageError, UserError } from '../base/errors.js';
import type { ProviderChoice } from '../onnx/backend/provider.js';
import { WHOLE_NUMBERS } from '../serve/check-options.js';
import {
  BATCH_BYTES,
  DEFAULTS,
  IN_FLIGHT,
  LOG_FORMATS,
  type LogFormat,
  VERSION_POLICIES,
  type VersionPolicy,
} from '../serve/defaults.js';
import { forkAhead, INFERENCE_PROCESS } from '../serve/hosting/fork-quietly.js';
import { providerOption } from './provider-flag.js';
import { seconds, wholeNumber } from './serving-flags.js';

interface ServeFlags {
  model?: string[];
  models?: string;
  versions: VersionPolicy;
  strict: boolean;
  strictReadiness: boolean;
  followLinks: boolean;
  admin?: boolean;
  host: string;
  port: number;
  socket?: string;
  basePath: string;
  corsOrigin: string[];
  allowedHosts: string[];
  trustProxy?: string;
  provider: ProviderChoice;
  replicas?: number;
  threads?: number;
  helperMemory: number;
  batch?: number;
  batchDelay: number;
  cache: number;
  index?: string;
  queue: number;
  timeout: number;
  uploadTimeout: number;
  keepAlive: number;
  maxBytes: number;
  maxBatchImages: number;
  maxBatchBytes?: number;
  maxInFlight?: number;
  maxPixels: number;
  traces: boolean;
  log: LogFormat;
}

/** Environment variable with the token that `--admin` asks of clients. */
const TOKEN = 'ALEXNET_ADMIN_TOKEN';
const MIN_TOKEN = 16;

/** Prints one line of JSON on stdout once it is ready, everything else on stderr. Ends by a signal. */
export function serveCommand(): Command {
  const command = new Command('serve')
    .description('Classify images over HTTP: POST /classify. Needs --model or --models.')
    .optionsGroup('Models:')
    .option('--model <file...>', 'one or more .onnx files, ours or with a config.json next to it')
    .option('--models <folder>', 'a repository of models: <name>/<version>/model.onnx')
    .addOption(
      new Option('--versions <which>', 'versions of a repository that are served')
        .choices(VERSION_POLICIES)
        .default(DEFAULTS.versions),
    )
    .option('--strict', 'exit at startup if a model of --models cannot be loaded, instead of leaving it out', false)
    .option('--strict-readiness', 'not ready while a model is left out, as Triton by default', false)
    .option('--follow-links', 'let symbolic links of a model lead out of the repository, or of its own folder', false)
    .option('--admin', `load and unload models over HTTP, with the token in ${TOKEN}`);
  addListening(command);
  addComputing(command);
  addLimits(command);
  return command
    .optionsGroup('Watching:')
    .option('--traces', 'send OpenTelemetry traces to OTEL_EXPORTER_OTLP_ENDPOINT; needs its SDK', false)
    .addOption(
      new Option('--log <format>', 'text for people; json for machines; none for errors only')
        .choices(LOG_FORMATS)
        .default('text'),
    )
    .action(serve);
}

function addListening(command: Command): void {
  command
    .optionsGroup('Listening:')
    .option('--host <address>', 'address to listen on; 0.0.0.0 for every network', DEFAULTS.host)
    .option('--port <n>', 'port, 0 to 65535; 0 for any free one', wholeNumber(0, 65_535), DEFAULTS.port)
    .addOption(
      new Option('--socket <path>', 'Unix socket to listen on, in place of a port').conflicts(['host', 'port']),
    )
    .option('--base-path <path>', 'in front of every route, such as /vision', DEFAULTS.basePath)
    .option(
      '--cors-origin <origin...>',
      "origins whose pages may read the answers, such as https://example.org; '*' for all",
      [],
    )
    .option(
      '--allowed-hosts <host...>',
      "hosts that clients may name besides local ones; .example.org with subdomains; '*' for all (default: checked on loopback only)",
      [],
    )
    .option('--trust-proxy <which>', 'number of proxies in front, or their addresses: believe their X-Forwarded-For');
}

function addComputing(command: Command): void {
  command
    .optionsGroup('Computing:')
    .addOption(providerOption(DEFAULTS.provider))
    .option(
      '--replicas <n>',
      'inference processes per model, 1 to 64 (default: 1, plus helpers on the CPU while images wait)',
      wholeNumber(...WHOLE_NUMBERS.replicas),
    )
    .option(
      '--threads <n>',
      'threads of an inference process, 1 to 1024 (default: the cores, divided by the replicas)',
      wholeNumber(...WHOLE_NUMBERS.threads),
    )
    .option(
      '--helper-memory <bytes>',
      'memory for the helpers of all models together, bytes; 0 for none',
      wholeNumber(...WHOLE_NUMBERS.helperMemory),
      DEFAULTS.helperMemory,
    )
    .option(
      '--batch <n>',
      'images that may share a run of the model, 1 to 256 (default: 8 on GPUs, 1 on the CPU)',
      wholeNumber(...WHOLE_NUMBERS.batch),
    )
    .option(
      '--batch-delay <ms>',
      'how long to wait for images that fill the batch, 0 to 10000 ms',
      wholeNumber(...WHOLE_NUMBERS.batchDelayMs),
      DEFAULTS.batchDelayMs,
    )
    .option(
      '--cache <bytes>',
      'cache of answers by image, bytes per model; 0 for none',
      wholeNumber(...WHOLE_NUMBERS.cacheBytes),
      DEFAULTS.cacheBytes,
    )
    .option('--index <file>', 'made by "alexnet index" with one of the models, for nearest and strongest images');
}

function addLimits(command: Command): void {
  command
    .optionsGroup('Limits:')
    .option(
      '--queue <n>',
      'requests of a model that may wait in addition to those in inference',
      wholeNumber(...WHOLE_NUMBERS.maxWaiting),
      DEFAULTS.maxWaiting,
    )
    .option(
      '--timeout <seconds>',
      'time limit for an answer in seconds, waiting included',
      seconds,
      DEFAULTS.timeoutMs / 1000,
    )
    .option(
      '--upload-timeout <seconds>',
      'time limit for a request body in seconds',
      seconds,
      DEFAULTS.uploadTimeoutMs / 1000,
    )
    .option(
      '--keep-alive <seconds>',
      'how long idle connections stay open, in seconds',
      seconds,
      DEFAULTS.keepAliveMs / 1000,
    )
    .option(
      '--max-bytes <n>',
      'largest encoded image, bytes',
      wholeNumber(...WHOLE_NUMBERS.maxBytes),
      DEFAULTS.maxBytes,
    )
    .option(
      '--max-in-flight <bytes>',
      `bytes of request bodies held at once over all connections (default: ${IN_FLIGHT})`,
      wholeNumber(...WHOLE_NUMBERS.maxInFlight),
    )
    .option(
      '--max-batch-images <n>',
      'images in one request to /classify/batch, 1 to 1000',
      wholeNumber(...WHOLE_NUMBERS.maxBatchImages),
      DEFAULTS.maxBatchImages,
    )
    .option(
      '--max-batch-bytes <n>',
      `largest body of such a request, bytes (default: ${BATCH_BYTES})`,
      wholeNumber(...WHOLE_NUMBERS.maxBatchBytes),
    )
    .option(
      '--max-pixels <n>',
      'largest image, pixels (width × height)',
      wholeNumber(...WHOLE_NUMBERS.maxPixels),
      DEFAULTS.maxPixels,
    );
}

async function serve(given: ServeFlags): Promise<void> {
  const { model, models, admin, trustProxy, queue, timeout, uploadTimeout, keepAlive, cache, batchDelay, ...flags } =
    given;
  if (!model && !models) throw new UsageError('expected --model FILE or --models FOLDER');
  forkAhead(INFERENCE_PROCESS); // loads onnxruntime while this process loads Express
  const [{ openLog }, { createServer }, { serveUntilSignal }] = await Promise.all([
    import('../serve/log.js'),
    import('../serve/server.js'),
    import('../serve/serve-until-signal.js'),
  ]);
  const log = openLog(flags.log);
  const server = createServer({
    ...flags,
    files: model ?? [],
    folder: models,
    adminToken: admin ? adminToken() : undefined,
    trustProxy: /^\d+$/.test(trustProxy ?? '') ? Number(trustProxy) : trustProxy,
    maxWaiting: queue,
    timeoutMs: timeout * 1000,
    uploadTimeoutMs: uploadTimeout * 1000,
    keepAliveMs: keepAlive * 1000,
    cacheBytes: cache,
    batchDelayMs: batchDelay,
    logRequests: flags.log !== 'none',
    log,
  });
  try {
    const endTracing = flags.traces ? await (await import('../serve/tracing-sdk.js')).startTracing(log) : undefined;
    await serveUntilSignal(server, log);
    await endTracing?.();
  } catch (error) {
    if (flags.log !== 'json' || !(error instanceof UserError)) throw error;
    log(error.message, 'error'); // for what reads the lines: the last one too is JSON
    process.exitCode = 1;
  }
}

/** @throws {UsageError} if there is none, or one that is easily guessed */
function adminToken(): string {
  const token = process.env[TOKEN] ?? '';
  if (token.length >= MIN_TOKEN) return token;
  throw new UsageError(
    `--admin: expected a token of at least ${MIN_TOKEN} characters in ${TOKEN}, got ${token.length}`,
  );
}
