/** Starts a run or goes on with one: backend, data set, folder and model brought together for the loop. */
import { resolve } from 'node:path';
import { UsageError } from '../model/errors.js';
import { type BackendName, type SelectedBackend, selectBackend } from './backend.js';
import type { RunState } from './checkpoint.js';
import type { Interrupt } from './interrupt.js';
import { type TrainResult, train } from './loop.js';
import { checkNewRun, type NewRunRequest, prepareNewRun } from './new-run.js';
import type { Progress } from './progress.js';
import { type ResumedRun, resumeRun } from './resume-run.js';
import { checkFree, createRun, holdsRun, type Run } from './run-folder.js';
import { lockRun } from './run-lock.js';
import { describeData } from './training-data.js';

/** What a person asked for. */
export interface TrainRequest extends NewRunRequest {
  /** The run's folder. */
  out: string;
  backend: BackendName;
  /** Go on with the run in `out` where there is one. */
  resume: boolean;
  /** Replace the run in `out`; with `resume`, go on with it under other settings. */
  force: boolean;
  checkpointMinutes: number;
  /** Asked at the end of every epoch; true ends the run. */
  stopWhen?(state: RunState): boolean;
}

/** How it went. */
export interface Trained extends TrainResult {
  run: Run;
  backend: SelectedBackend['name'];
  /** Kernel calls by kernel that the onnxruntime backend gave to the cpu backend while training; empty on other backends. */
  delegated: Record<string, number>;
}

/**
 * @throws {UserError} for anything about request, data set or checkpoint that does not fit; see the functions called
 */
export async function startTraining(request: TrainRequest, progress: Progress, interrupt: Interrupt): Promise<Trained> {
  const { out, resume } = request;
  const goesOn = resume && holdsRun(out);
  if (!goesOn) checkRequest(request);
  const unlock = await lockRun(out);
  try {
    return await startLocked(request, goesOn, progress, interrupt);
  } finally {
    await unlock();
  }
}

async function startLocked(
  request: TrainRequest,
  goesOn: boolean,
  progress: Progress,
  interrupt: Interrupt,
): Promise<Trained> {
  const { out, resume } = request;
  if (resume && !goesOn) progress.note(`${out}: no run here yet, starting one`);
  const backend = await selectBackend(request.backend);
  progress.note(`backend ${backend.name}: ${backend.why}`);

  const prepared = goesOn ? await resumeRun(request, progress) : await newRun(request, progress);
  const { run, from } = prepared;
  progress.note(describeConfig(run));
  if (goesOn) progress.note(from ? `going on after step ${from.state.step}` : 'no checkpoint yet: starting at step 0');

  const { checkpointMinutes, stopWhen } = request;
  const delegatedBefore = await delegatedKernels(backend);
  try {
    const result = await train({ ...prepared, progress, interrupt, checkpointMinutes, stopWhen });
    return {
      ...result,
      run,
      backend: backend.name,
      delegated: subtract(await delegatedKernels(backend), delegatedBefore),
    };
  } finally {
    prepared.model.dispose();
  }
}

function checkRequest(request: TrainRequest): void {
  const { out, from, resume, force } = request;
  checkNewRun(request, resume ? `${out}: no run here to resume (no config.json), and ` : '');
  if (from !== undefined && resolve(from) === resolve(out)) {
    throw new UsageError(
      `--from and --out are the same folder, ${out}; a run cannot replace the one that it starts from`,
    );
  }
  checkFree(out, force);
}

async function newRun(request: TrainRequest, progress: Progress): Promise<ResumedRun> {
  const { record, labels, pictures, dataset, model } = await prepareNewRun(request, progress);
  const run = await createRun(request.out, record, labels, pictures);
  return { run, dataset, model };
}

function describeConfig({ config, labels, pictures, path }: Run): string {
  const weights = config.classWeights;
  const short = weights && weights.length > 10 ? `${Math.min(...weights)} to ${Math.max(...weights)}` : weights;
  const settings = Object.entries({ ...config, classWeights: short }).map(
    ([key, value]) => `  ${key} ${JSON.stringify(value)}`,
  );
  const size = describeData({ labels, pictures });
  return [`${path}: ${config.model} on ${config.data}, ${size}`, ...settings].join('\n');
}

async function delegatedKernels({ name }: SelectedBackend): Promise<Record<string, number>> {
  if (name !== 'onnxruntime') return {};
  const { kernelCounts } = await import('../export/backend/index.js');
  return { ...kernelCounts().delegated };
}

function subtract(after: Record<string, number>, before: Record<string, number>): Record<string, number> {
  const differences = Object.entries(after).map(([kernel, count]) => [kernel, count - (before[kernel] ?? 0)] as const);
  return Object.fromEntries(differences.filter(([, count]) => count > 0));
}
