/**
 * The whole path on embedded images, in minutes: train a small network on six vendors' emoji, export it, measure the
 * file on a seventh's, serve it, post an image.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { UserError } from '../base/errors.js';
import { percent } from '../base/format.js';
import { listenForInterrupt } from '../base/process/interrupt.js';
import { exitCodeOf, onStopSignal } from '../base/process/stop-signals.js';
import { type Progress, showProgress } from '../base/progress.js';
import { foreignFile, refuseForeign } from '../base/replaceable.js';
import { exportRun } from '../export/from-run.js';
import { keepMemory } from '../onnx/backend/keep-memory.js';
import type { ProviderChoice } from '../onnx/backend/provider.js';
import { checkModelPlace } from '../onnx/file/onnx-model.js';
import { formatPredictions } from '../serve/format-predictions.js';
import type { Prediction } from '../serve/served-model.js';
import { heldOutPng } from '../train/data/emoji/emoji.js';
import { nearestNeighbour } from '../train/data/emoji/nearest-neighbour.js';
import { openDataset } from '../train/data/open-dataset.js';
import { evaluateRun } from '../train/evaluate/evaluate-run.js';
import { checkFree, holdsRun, openRun } from '../train/run/run-folder.js';
import type { Settings } from '../train/settings/config.js';
import { startTraining } from '../train/start/start.js';
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

const DATA = 'emoji';
const NETWORK = 'cifar10-18pct';
/** Drawn by the vendor that no training image comes from. */
const POSTED = 'guitar';

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
      'folder for the run, the .onnx file and the image, replacing those of an earlier demo',
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
      await measure(file, provider, progress);
      await serve(out, file, provider, exit || process.env.CI === 'true');
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
  refuseForeign(await foreignFile(imageFile(out), () => run !== undefined), 'alexnet demo');
}

const modelFile = (out: string) => join(out, 'emoji.onnx');
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
    const request = { out, data: DATA, model: NETWORK, settings: SETTINGS, backend: 'onnxruntime' as const, provider };
    const trained = await startTraining(
      { ...request, resume: false, force: true, checkpointMinutes: 5 },
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

/** Errors of the file on the seventh vendor's drawings, and those of the nearest training image for comparison. */
async function measure(file: string, provider: ProviderChoice | undefined, progress: Progress): Promise<void> {
  heading(progress, "Errors of the file on a seventh vendor's drawings, none of which was trained on");
  const dataset = await openDataset(DATA, { imagePx: 32 });
  const line = (what: string, { top1Error, top5Error }: { top1Error: number; top5Error: number }) =>
    console.log(
      `  ${what.padEnd(44)} top-1 ${percent(top1Error, 1).padStart(7)}   top-5 ${percent(top5Error, 1).padStart(7)}`,
    );
  for (const [split, title] of [
    ['test-centred', 'centred on white'],
    ['test-random', 'random place, size and background'],
  ]) {
    const net = await evaluateRun({ onnx: file, data: 'emoji', split, provider }, progress);
    progress.stop();
    line(`${title}: network`, net);
    line(`${title}: nearest neighbour`, nearestNeighbour(dataset.splits.train, dataset.splits[split], 32, { seed: 1 }));
  }
}

async function exportFile(out: string, provider: ProviderChoice | undefined, progress: Progress): Promise<string> {
  heading(progress, 'Export the best checkpoint to ONNX');
  const file = modelFile(out);
  const report = await exportRun({ run: out, out: file, head: 'image', opset: 13, provider }, progress);
  console.log(
    `  ${file}: ${(report.bytes / 1e6).toFixed(1)} MB, ${report.nodes} nodes; onnxruntime and tfjs differ by at most ` +
      `${report.parity.maxAbs.toExponential(1)} on ${report.parity.images} images`,
  );
  const { top1Error, top5Error, measuredOn, crops } = report.metadata;
  console.log(
    `  its errors on the ${measuredOn!.images} validation images, ${crops} crop(s): ` +
      `top-1 ${percent(top1Error!, 1)}, top-5 ${percent(top5Error!, 1)}`,
  );
  return file;
}

async function serve(out: string, file: string, provider: ProviderChoice | undefined, exit: boolean): Promise<void> {
  console.error('\n— Serve it and post an image');
  const flags = ['--model', file, '--port', '0', ...(provider ? ['--provider', provider] : [])];
  const server = spawn(process.execPath, [command(), 'serve', ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  const unlisten = onStopSignal(
    () => server.kill(),
    () => server.kill('SIGKILL'),
  );
  try {
    const url = await readyUrl(server);
    const image = imageFile(out);
    await writeFile(image, await heldOutPng(POSTED));
    await post(url, image);
    console.log(`\nTry it:  curl --data-binary @${relative('', image)} ${url}/classify`);
    if (exit) return;
    console.log('The server is up; Ctrl-C ends it.');
    await new Promise((resolve) => server.once('exit', resolve));
  } finally {
    unlisten();
    server.kill();
  }
}

/** This package's command line, compiled. */
function command(): string {
  return fileURLToPath(new URL('./main.js', import.meta.url));
}

/** The address in the one line that `alexnet serve` prints when it is ready. */
async function readyUrl(server: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: server.stdout! })) return (JSON.parse(line) as { url: string }).url;
  throw new UserError('the server ended before it was ready; its message is above');
}

async function post(url: string, image: string): Promise<void> {
  const body = await readFile(image);
  const response = await fetch(`${url}/classify`, { method: 'POST', headers: { 'content-type': 'image/png' }, body });
  if (!response.ok) throw new UserError(`POST ${url}/classify: ${response.status} ${await response.text()}`);
  const { predictions, timings_ms } = (await response.json()) as {
    predictions: Prediction[];
    timings_ms: { total: number };
  };
  console.log(`  ${image} (held out), answered in ${timings_ms.total.toFixed(0)} ms:`);
  console.log(formatPredictions(predictions));
}
