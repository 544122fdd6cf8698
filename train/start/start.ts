/** Starts a run or goes on with one: backend, data set, folder and model brought together for the loop. */
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { UsageError } from '../../base/errors.js';
import type { Interrupt } from '../../base/process/interrupt.js';
import type { Progress } from '../../base/progress.js';
import { type BackendName, type SelectedBackend, selectBackend } from '../../onnx/backend/select-backend.js';
import { ALONE, type Communicator } from '../distributed/communicator.js';
import { checkSameJob } from '../distributed/launched.js';
import { receiveRun, shareRun } from '../distributed/share-run.js';
import { type TrainResult, train } from '../loop.js';
import type { RunState } from '../run/checkpoint.js';
import { checkFree, checkResumable, createRun, holdsRun, type Run, updateRun } from '../run/run-folder.js';
import { lockRun } from '../run/run-lock.js';
import type { Together } from '../trainer.js';
import { checkNewRun, type NewRunRequest, prepareNewRun } from './new-run.js';
import { type ResumedRun, resumeRun } from './resume-run.js';
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
 * @param together  the processes that train together: all call this, with the same request, and rank 0 alone has the run's folder
 * @throws {UserError} for anything about request, data set or checkpoint that does not fit; see the functions called
 */
export async function startTraining(
  request: TrainRequest,
  progress: Progress,
  interrupt: Interrupt,
  together: Together = { group: ALONE, gradientType: 'float32' },
): Promise<Trained> {
  const starting = { request, progress, interrupt, together };
  if (together.group.rank > 0) {
    return startPrepared(starting, () => receiveRun(together.group, request, progress));
  }
  const { out, resume } = request;
  const goesOn = resume && holdsRun(out);
  await (goesOn ? checkResumable(out) : checkRequest(request));
  const unlock = await lockRun(out);
  try {
    if (resume && !goesOn) progress.note(`${out}: no run here yet, starting one`);
    return await startPrepared(starting, () => prepareFirst(starting, goesOn));
  } finally {
    await unlock();
  }
}

interface Starting {
  request: TrainRequest;
  progress: Progress;
  interrupt: Interrupt;
  together: Together;
}

async function startPrepared(starting: Starting, prepare: () => Promise<ResumedRun>): Promise<Trained> {
  const { request, progress, interrupt, together } = starting;
  const backend = await selectBackend(request.backend);
  progress.note(`backend ${backend.name}: ${backend.why}`);
  await checkSameJob(together, request, `${backend.name}: ${backend.why}`);

  const prepared = await prepare();
  const { checkpointMinutes, stopWhen } = request;
  const delegatedBefore = await delegatedKernels(backend);
  try {
    const result = await train({ ...prepared, progress, interrupt, together, checkpointMinutes, stopWhen });
    return {
      ...result,
      run: prepared.run,
      backend: backend.name,
      delegated: subtract(await delegatedKernels(backend), delegatedBefore),
    };
  } finally {
    prepared.model.dispose();
  }
}

/** The run as the process with its folder finds or makes it, and shares it with the others. */
async function prepareFirst({ request, progress, together }: Starting, goesOn: boolean): Promise<ResumedRun> {
  if (!goesOn) return newRun(request, progress, together.group);
  const prepared = await resumeRun(request, progress);
  const { run, dataset, from, changes } = prepared;
  await shareRun(together.group, run, dataset, { state: from?.state, changes });
  await updateRun(run);
  progress.note(describeConfig(run));
  progress.note(from ? `going on after step ${from.state.step}` : 'no checkpoint yet: starting at step 0');
  return prepared;
}

async function checkRequest(request: TrainRequest): Promise<void> {
  const { out, from, resume, force } = request;
  checkNewRun(request, resume ? `${out}: no run here to resume (no config.json), and ` : '');
  if (from !== undefined && (await realFolder(from)) === (await realFolder(out))) {
    throw new UsageError(
      `--from and --out are the same folder, ${out}; a run cannot replace the one that it starts from`,
    );
  }
  await checkFree(out, force);
}

/** Links followed; the path as it is where nothing is there. */
const realFolder = (path: string) => realpath(path).catch(() => resolve(path));

async function newRun(request: TrainRequest, progress: Progress, group: Communicator): Promise<ResumedRun> {
  const { record, labels, pictures, dataset, model } = await prepareNewRun(request, progress);
  await shareRun(group, { ...record, ...labels, mean: pictures.mean }, dataset);
  const run = await createRun(request.out, record, labels, pictures);
  progress.note(describeConfig(run));
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
  const { kernelCounts } = await import('../../onnx/backend/index.js');
  return { ...kernelCounts().delegated };
}

function subtract(after: Record<string, number>, before: Record<string, number>): Record<string, number> {
  const differences = Object.entries(after).map(([kernel, count]) => [kernel, count - (before[kernel] ?? 0)] as const);
  return Object.fromEntries(differences.filter(([, count]) => count > 0));
}
