/**
 * The whole path on embedded images, in minutes: train a small network on six vendors' emoji, export it, measure the
 * file on a seventh's, serve it, post an image.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { UserError } from '../base/errors.js';
import { counted, errorPercents } from '../base/format.js';
import { listenForInterrupt } from '../base/process/interrupt.js';
import { exitCodeOf, onStopSignal } from '../base/process/stop-signals.js';
import { type Progress, showProgress } from '../base/progress.js';
import { foreignFile, refuseForeign } from '../base/replaceable.js';
import { exportRun } from '../export/from-run.js';
import { keepMemory } from '../onnx/backend/keep-memory.js';
import type { ProviderChoice } from '../onnx/backend/provider.js';
import { checkModelPlace } from '../onnx/file/onnx-model.js';
import { DEFAULTS } from '../serve/defaults.js';
import type { Prediction } from '../serve/served-model.js';
import { heldOutPng } from '../train/data/emoji/emoji.js';
import { EMOJI_CLASSES } from '../train/data/emoji/emoji-classes.js';
import { nearestNeighbour } from '../train/data/emoji/nearest-neighbour.js';
import { openDataset } from '../train/data/open-dataset.js';
import { evaluateRun } from '../train/evaluate/evaluate-run.js';
import { checkFree, holdsRun, openRun } from '../train/run/run-folder.js';
import type { Settings } from '../train/settings/config.js';
import { startTraining } from '../train/start/start.js';
import { type Answer, demoSummary, type Measured } from './demo-summary.js';
import { checkIndexPlace, writeIndex } from './index.js';
import { providerOption } from './provider-flag.js';

/** Chosen on the validation images; the network's own recipe is for CIFAR-10 and 140 epochs. */
const SETTINGS: Partial<Settings> = {
  seed: 1,
  epochs: 10,
  batch: 64,
  learningRate: 0.01,
  weightDecay: 0.0005,
  clipNorm: 5,
  schedule: 'cosine',
};

const BACKEND = { backend: 'onnxruntime', fixed: true } as const;
const DATA = 'emoji';
/** Each drawing once, as people recognise it. */
const INDEXED = 'train-centred';
const NETWORK = 'cifar10-18pct';
/** Drawn by the vendor that no training image comes from. */
const POSTED = 'guitar';

interface ServeRequest {
  out: string;
  file: string;
  index: string;
  measured: readonly Measured[];
  provider?: ProviderChoice;
  exit: boolean;
  progress: Progress;
}

interface DemoFlags {
  provider?: ProviderChoice;
  out: string;
  exit: boolean;
}

export function demoCommand(): Command {
  return new Command('demo')
    .description('Train, export and serve a small network on embedded images; takes a few minutes.')
    .option(
      '--out <folder>',
      'folder for the run, the .onnx file, its index and an image, replacing those of an earlier demo',
      'runs/demo',
    )
    .option(
      '--exit',
      'exit after the image is classified instead of keeping the server running (also if CI=true)',
      false,
    )
    .addOption(providerOption())
    .action(async ({ out, exit, provider }: DemoFlags) => {
      await checkDemoFolder(out);
      keepMemory();
      const progress = showProgress();
      if (!(await trainRun(out, provider, progress))) return;
      const file = await exportFile(out, provider, progress);
      const measured = await measure(file, provider, progress);
      heading(progress, 'Index the drawings of the six vendors, for the nearest ones on the page');
      await writeIndex({ model: file, data: DATA, split: INDEXED, out: indexFile(out), provider }, progress);
      const ends = exit || process.env.CI === 'true';
      await serve({ out, file, index: indexFile(out), measured, provider, exit: ends, progress });
    });
}

/** @throws {UserError} if something else than an earlier demo would be replaced */
async function checkDemoFolder(out: string): Promise<void> {
  await checkFree(out, true);
  const run = holdsRun(out) ? await openRun(out) : undefined;
  if (run && (run.config.data !== DATA || run.config.model !== NETWORK)) {
    throw new UserError(`${out}: holds a run of ${run.config.model} on ${run.config.data}; name another --out`);
  }
  await checkModelPlace(modelFile(out));
  await checkIndexPlace(indexFile(out));
  refuseForeign(await foreignFile(imageFile(out), () => run !== undefined), 'alexnet demo');
}

const modelFile = (out: string) => join(out, `${DATA}.onnx`);
const indexFile = (out: string) => join(out, `${DATA}.index`);
const imageFile = (out: string) => join(out, `${POSTED}.png`);

function heading(progress: Progress, text: string): void {
  progress.stop();
  progress.note(`\n— ${text}`);
}

/** @returns false when interrupted */
async function trainRun(out: string, provider: ProviderChoice | undefined, progress: Progress): Promise<boolean> {
  heading(progress, `Train ${NETWORK} on 100 objects as six vendors drew them`);
  const interrupt = listenForInterrupt((signal) => progress.note(`${signal}: finishing the step, then saving`));
  try {
    const what = { data: DATA, model: NETWORK, settings: SETTINGS };
    const trained = await startTraining(
      { ...what, ...BACKEND, out, provider, resume: false, force: true, checkpointMinutes: 5 },
      progress,
      interrupt,
    );
    const kernels = Object.values(trained.delegated).reduce((sum, count) => sum + count, 0);
    progress.note(
      `${trained.state.step} steps at ${trained.imagesPerSecond.toFixed(0)} images/s on ${trained.backend}, ${kernels} kernels delegated`,
    );
    if (trained.interruptedBy) process.exitCode = exitCodeOf(trained.interruptedBy);
    return trained.interruptedBy === undefined;
  } finally {
    interrupt.close();
  }
}

async function measure(file: string, provider: ProviderChoice | undefined, progress: Progress): Promise<Measured[]> {
  heading(progress, "Measure the file on a seventh vendor's drawings, none of which was trained on");
  const dataset = await openDataset(DATA, { imagePx: 32 });
  const measured: Measured[] = [];
  for (const [split, title] of [
    ['test-centred', 'centred on white'],
    ['test-random', 'any place, size and background'],
  ]) {
    const { top1Error } = await evaluateRun({ onnx: file, data: DATA, split, provider }, progress);
    const neighbour = nearestNeighbour(dataset.splits.train, dataset.splits[split], 32, { seed: 1 });
    progress.stop();
    measured.push({ title, network: top1Error, neighbour: neighbour.top1Error });
  }
  return measured;
}

async function exportFile(out: string, provider: ProviderChoice | undefined, progress: Progress): Promise<string> {
  heading(progress, 'Export the best checkpoint to ONNX');
  const file = modelFile(out);
  const report = await exportRun({ run: out, name: DATA, out: file, head: 'image', opset: 13, provider }, progress);
  console.log(
    `  ${file}: ${(report.bytes / 1e6).toFixed(1)} MB, ${report.nodes} nodes; onnxruntime and tfjs differ by at most ` +
      `${report.parity.maxAbs.toExponential(1)} on ${report.parity.images} images`,
  );
  const { top1Error, top5Error, measuredOn, crops, labels } = report.metadata;
  console.log(
    `  its errors on the ${measuredOn!.images} validation images, ${counted(crops, 'crop')}: ` +
      `top-1 ${errorPercents(top1Error!, top5Error, labels.length, 1)}`,
  );
  return file;
}

/** Serves the file and posts the held-out drawings. The server stays until Ctrl-C, unless `exit` is set. */
async function serve({ out, file, index, measured, provider, exit, progress }: ServeRequest): Promise<void> {
  heading(progress, 'Serve it and post drawings of that vendor');
  const port = exit ? 0 : await freePort();
  const flags = ['--model', file, '--index', index, '--port', String(port), '--log', 'none'];
  const words = [command(), 'serve', ...flags, ...(provider ? ['--provider', provider] : [])];
  const server = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const unlisten = onStopSignal(
    () => server.kill(),
    () => server.kill('SIGKILL'),
  );
  try {
    const url = await readyUrl(server);
    const answers = await postAll(url);
    await writeFile(imageFile(out), await heldOutPng(POSTED));
    const image = imageFile(out);
    const told = { measured, answers, posted: POSTED, image, file, index, url: exit ? undefined : url };
    console.log(`\n${demoSummary(told)}`);
    if (!exit) await new Promise((resolve) => server.once('exit', resolve));
  } finally {
    unlisten();
    server.kill();
  }
}

/** This package's command line, compiled. */
function command(): string {
  return fileURLToPath(new URL('./main.js', import.meta.url));
}

/** The usual port if nobody has it, else 0. */
async function freePort(): Promise<number> {
  const { host, port } = DEFAULTS;
  const probe = createServer();
  const isFree = await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen(port, host, () => resolve(true));
  });
  await new Promise((resolve) => probe.close(resolve));
  return isFree ? port : 0;
}

/** The address in the one line that `alexnet serve` prints when it is ready. */
async function readyUrl(server: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: server.stdout! })) return (JSON.parse(line) as { url: string }).url;
  throw new UserError('the server ended before it was ready; its message is above');
}

async function postAll(url: string): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const label of EMOJI_CLASSES) {
    const headers = { 'content-type': 'image/png' };
    const response = await fetch(`${url}/classify?top=2`, { method: 'POST', headers, body: await heldOutPng(label) });
    if (!response.ok) throw new UserError(`POST ${url}/classify: ${response.status} ${await response.text()}`);
    const { predictions, timings_ms } = (await response.json()) as {
      predictions: [Prediction, Prediction];
      timings_ms: { total: number };
    };
    answers.push({ label, best: predictions[0], second: predictions[1], ms: timings_ms.total });
  }
  return answers;
}
