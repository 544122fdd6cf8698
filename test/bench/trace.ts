/** onnxruntime's traces, as `ALEXNET_PROFILE` has them written. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { median } from './median.js';

/** One entry; times in µs. */
export interface TraceEvent {
  cat: string;
  name: string;
  ts: number;
  dur: number;
  args?: { op_name?: string; provider?: string };
}

/** The trace of the steps: the largest, next to those of probes and of the first step. */
export function readTrace(folder: string): TraceEvent[] {
  const files = readdirSync(folder).map((file) => join(folder, file));
  const [largest] = files.sort((a, b) => statSync(b).size - statSync(a).size);
  return JSON.parse(readFileSync(largest, 'utf8')) as TraceEvent[];
}

/** Kernels of the last run, in order of time. */
export function lastRun(trace: TraceEvent[]): TraceEvent[] {
  const run = trace.filter((event) => event.name === 'model_run').at(-1)!;
  return trace
    .filter((event) => event.cat === 'Node' && event.name.endsWith('_kernel_time') && event.ts >= run.ts)
    .sort((a, b) => a.ts - b.ts);
}

/** Milliseconds of a run: all of it, and in kernels on the GPU; undefined if the provider does not time those. */
export function kernelTime(trace: TraceEvent[]): { runMs: number; kernelMs: number | undefined; onCpu: number } {
  const runs = trace.filter((event) => event.name === 'model_run');
  const kernels = trace.filter((event) => event.cat === 'Api'); // of WebGPU, by the GPU's own clock
  const sum = kernels.reduce((all, { dur }) => all + dur, 0);
  const onCpu = lastRun(trace).filter(({ args }) => args?.provider === 'CPUExecutionProvider').length;
  return {
    runMs: median(runs.map(({ dur }) => dur)) / 1000,
    kernelMs: kernels.length > 0 ? sum / runs.length / 1000 : undefined,
    onCpu,
  };
}
