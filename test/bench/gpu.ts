/**
 * `npm run bench -- gpu`: AlexNet on each provider that runs here, training at two batches and ten-crop serving, with
 * PyTorch where it has CUDA (ALEXNET_PYTHON, default python3). Work is compared with a large matrix product through the
 * same provider. Ends by itself: each part has its share of the time, and sizes shrink until they fit into it.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ALEXNET } from '../../model/alexnet.js';
import { summarize } from '../../model/summary.js';
import { findAdapter } from '../../onnx/backend/adapter.js';
import type { Provider } from '../../onnx/backend/provider.js';
import type { GpuStep } from './gpu-step.js';
import { kernelTime, readTrace } from './trace.js';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
interface Plan {
  provider: Provider;
  batches: readonly number[];
  /** Of the time, for each batch and for serving. */
  parts: number;
}

const PLANS: Plan[] = (['webgpu', 'cuda', 'cpu'] as const).map((provider) => {
  return { provider, batches: [128, 512], parts: 1 };
});
/** In software everything takes long. */
const IN_SOFTWARE = { batches: [128], parts: 4 };
/** Images a run of the server's batch on GPUs. */
const SERVED = 8;
const CROPS = 10;
/** Multiplications and additions of an image in ten crops. */
const SERVING_FLOPS = 2 * CROPS * summarize(ALEXNET, 1000).macs;
/** A provider whose product is slower than this is software or few cores: it serves a narrower network. */
const FAST_PRODUCT = 20e9;
const NARROW = 0.0625;
const TORCH = at('../../../test/bench/torch_gpu.py');

/** Shares out what is left of the time. */
class Clock {
  constructor(
    private readonly ends: number,
    private parts: number,
  ) {}

  /** Of the next part, milliseconds. @param parts  that it counts for */
  take(parts: number): number {
    const share = Math.max(1000, ((this.ends - performance.now()) * parts) / this.parts);
    this.leaveOut(parts);
    return share;
  }

  leaveOut(parts: number): void {
    this.parts = Math.max(1, this.parts - parts);
  }
}

/** @param seconds  for everything */
export function gpu(seconds: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'alexnet-gpu-'));
  const isSoftware = findAdapter()?.isSoftware;
  const plans = PLANS.map((plan) => (isSoftware && plan.provider === 'webgpu' ? { ...plan, ...IN_SOFTWARE } : plan));
  const parts = plans.reduce((sum, plan) => sum + plan.parts * (plan.batches.length + 1), 1);
  const clock = new Clock(performance.now() + 1000 * seconds, parts);
  console.log(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.versions.node}`);
  try {
    for (const plan of plans) benchProvider(plan, folder, clock);
    torch(clock.take(1));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function benchProvider({ provider, batches, parts }: Plan, folder: string, clock: Clock): void {
  console.log(`\n${provider}`);
  const rates: number[] = [];
  for (const [i, batch] of batches.entries()) {
    const share = clock.take(parts);
    const name = `  training, batch ${batch}`;
    const words = [at('./gpu-step.js'), provider, String(batch)];
    const measured = measure<GpuStep>(name, [...words, String(share / 8000)], share / 2);
    if (measured === 'fails') {
      clock.leaveOut(parts * (batches.length - i)); // and serving
      return;
    }
    if (measured === 'late') continue;
    if (rates.length === 0)
      console.log(
        `  ${measured.why}\n  product of ${measured.side} × ${measured.side}: ${giga(measured.productFlops)}`,
      );
    rates.push(measured.productFlops);
    printStep(name, batch, measured, provider);
    inKernels([...words, '0'], folder, share / 2);
  }
  serving(provider, Math.max(0, ...rates), folder, clock.take(parts));
}

function printStep(name: string, batch: number, measured: GpuStep, provider: string): void {
  const { network, images, imagesPerSecond, flops, productFlops, traffic } = measured;
  const shrunk = images === batch && network === ALEXNET.name ? '' : ` (shrunk to ${images} images of ${network})`;
  console.log(
    `${name}${shrunk}: ${rate(imagesPerSecond)}, ${giga(flops)}, ${percent(flops / productFlops)} of the product`,
  );
  if (provider !== 'cpu')
    console.log(`    a step copies ${mega(traffic.bytesToDevice)} to the GPU and ${mega(traffic.bytesToHost)} back`);
}

/** Ten crops, as the server runs the file. */
function serving(provider: string, product: number, folder: string, share: number): void {
  const width = product < FAST_PRODUCT ? NARROW : 1;
  const images = width === 1 ? SERVED : 1;
  const files = join(folder, String(width));
  const name = `  serving, ${images} image${images > 1 ? 's' : ''} of ${CROPS} crops a run`;
  if (mkdirSync(files, { recursive: true }) !== undefined)
    execFileSync(process.execPath, [at('./alexnet-files.js'), files, String(width)], { stdio: 'ignore' });
  const words = [at('./bare-session.js'), join(files, 'image.onnx')];
  const served = measure<number>(name, [...words, String(share / 8000), provider, String(images)], share / 2);
  if (served === 'late' || served === 'fails') return;
  const work = width === 1 ? `, ${giga(served * SERVING_FLOPS)}` : ` (shrunk to ${width} of the width)`;
  console.log(`${name}: ${rate(served)}${work}`);
  inKernels([...words, '0.001', provider, String(images)], folder, share / 2);
}

/** Runs a few steps with onnxruntime's profiler and prints where their time goes. */
function inKernels(words: string[], folder: string, limitMs: number): void {
  const traces = mkdtempSync(join(folder, 'trace-'));
  const env = { ...process.env, ALEXNET_PROFILE: join(traces, 'trace') };
  if (typeof measure('    in kernels', words, limitMs, env) === 'string') return;
  const { runMs, kernelMs, onCpu } = kernelTime(readTrace(traces));
  if (kernelMs === undefined) return;
  console.log(
    `    ${kernelMs.toFixed(1)} ms of a run of ${runMs.toFixed(1)} ms in kernels (${percent(kernelMs / runMs)}), with the profiler on; ` +
      `nodes on the CPU provider: ${onCpu}`,
  );
}

/** What a process of this program prints as JSON; if it does not end in time, or fails, a line says so. */
function measure<T>(name: string, words: string[], limitMs: number, env = process.env): T | 'late' | 'fails' {
  try {
    return JSON.parse(output(process.execPath, words, limitMs, env).split('\n').at(-1)!) as T;
  } catch (error) {
    const { code, stderr = '' } = error as { code?: string; stderr?: string };
    const isLate = code === 'ETIMEDOUT';
    console.log(`${name}: ${isLate ? `not done in ${(limitMs / 1000).toFixed(0)} s` : firstError(stderr)}`);
    return isLate ? 'late' : 'fails';
  }
}

function output(file: string, words: string[], limitMs: number, env = process.env): string {
  const options = { env, encoding: 'utf8', timeout: Math.ceil(limitMs), killSignal: 'SIGKILL', stdio: 'pipe' } as const;
  return execFileSync(file, words, options).trim();
}

const firstError = (stderr: string) =>
  /^\w*Error: (.+)$/m.exec(stderr)?.[1] ?? stderr.trim().split('\n').at(-1) ?? 'failed';

function torch(limitMs: number): void {
  const python = process.env.ALEXNET_PYTHON ?? 'python3';
  try {
    console.log(`\n${output(python, [TORCH, '--seconds', String(limitMs / 8000)], limitMs)}`);
  } catch (error) {
    const reason = firstError(String((error as { stderr?: string }).stderr ?? error));
    console.log(`\nPyTorch: skipped, needs ${python} with torch that has CUDA (${reason})`);
  }
}

const rate = (imagesPerSecond: number) => `${Number(imagesPerSecond.toPrecision(3))} images/s`;
const giga = (flops: number) => `${Number((flops / 1e9).toPrecision(3))} GFLOP/s`;
const mega = (bytes: number) => `${(bytes / 1e6).toFixed(3)} MB`;
const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
