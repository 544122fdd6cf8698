/** Starts or resumes a run: backend, data set, folder and model brought together for the loop. */
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { UsageError } from '../../base/errors.js';
import { counted } from '../../base/format.js';
import type { Interrupt } from '../../base/process/interrupt.js';
import type { Progress } from '../../base/progress.js';
import { type ComputeChoice, type SelectedBackend, startBackend } from '../../onnx/backend/select-backend.js';
import { ALONE, type Communicator } from '../distributed/communicator.js';
import { checkSameJob } from '../distributed/launched.js';
import type { ProcessGroup } from '../distributed/process-group.js';
import { receiveRun, shareRun } from '../distributed/share-run.js';
import { type Training, type TrainResult, train } from '../loop.js';
import type { RunState } from '../run/checkpoint.js';
import { checkFree, checkResumable, createRun, holdsRun, type Run, updateRun } from '../run/run-folder.js';
import { lockRun } from '../run/run-lock.js';
import { checkNewRun, type NewRunRequest, prepareNewRun } from './new-run.js';
import type { PreparedRun } from './prepared-run.js';
import { resumeRun } from './resume-run.js';
import { describeData } from './training-data.js';

/** What the user asked for. */
export interface TrainRequest extends NewRunRequest, ComputeChoice {
  /** The run's folder. */
  out: string;
  /** Resume the run in `out` if there is one. */
  resume: boolean;
  /** Replace the run in `out`; with `resume`, continue it under other settings. */
  force: boolean;
  checkpointMinutes: number;
  /** Tells every setting, rather than the most important ones. */
  verbose?: boolean;
  /** Asked at the end of every epoch; true ends the run. */
  stopWhen?(state: RunState): boolean;
}

/** How it went. */
export interface Trained extends TrainResult {
  run: Run;
  backend: SelectedBackend['name'];
  /**
   * Kernel calls by kernel that the onnxruntime backend gave to the cpu backend while training; empty on other
   * backends.
   */
  delegated: Record<string, number>;
}

/**
 * @param processes  the processes that train together: all call this, with the same request, and rank 0 alone has the
 *   run's folder
 * @throws {UserError} for anything about request, data set or checkpoint that does not fit; see the functions called
 */
export async function startTraining(
  request: TrainRequest,
  progress: Progress,
  interrupt: Interrupt,
  processes: ProcessGroup = { group: ALONE, gradientType: 'float32' },
): Promise<Trained> {
  const { group } = processes;
  const goesOn = request.resume && holdsRun(request.out);
  const unlock = group.rank === 0 ? await claimFolder(request, goesOn, progress) : async () => {};
  try {
    const backend = await startBackend(request, progress.note);
    await checkSameJob(processes, request, `${backend.name}: ${backend.what}`);
    const prepare = group.rank > 0 ? receiveRun : goesOn ? prepareResumed : prepareNew;
    const prepared = await prepare(group, request, progress);
    const { checkpointMinutes, stopWhen } = request;
    return await trainOn(backend, { ...prepared, progress, interrupt, processes, checkpointMinutes, stopWhen });
  } finally {
    await unlock();
  }
}

/** @returns unlocks the run's folder */
async function claimFolder(request: TrainRequest, goesOn: boolean, progress: Progress): Promise<() => Promise<void>> {
  const { out, resume } = request;
  await (goesOn ? checkResumable(out) : checkRequest(request));
  const unlock = await lockRun(out);
  if (resume && !goesOn) progress.note(`${out}: no run here yet, starting one`);
  return unlock;
}

async function trainOn(backend: SelectedBackend, training: Training): Promise<Trained> {
  const { run, model } = training;
  try {
    const before = await delegatedKernels(backend);
    const result = await train(training);
    return { ...result, run, backend: backend.name, delegated: subtract(await delegatedKernels(backend), before) };
  } finally {
    model.dispose();
  }
}

/** The run that is in the folder, shared with the other processes. */
async function prepareResumed(group: Communicator, request: TrainRequest, progress: Progress): Promise<PreparedRun> {
  const prepared = await resumeRun(request, progress);
  const { run, dataset, from, changes } = prepared;
  await shareRun(group, run, dataset, { state: from?.state, changes });
  await updateRun(run);
  progress.note(describeConfig(run, request.verbose));
  progress.note(describeStart(run, from?.state));
  return prepared;
}

function describeStart({ config: { epochs }, path }: Run, state?: RunState): string {
  if (!state) return 'no checkpoint yet: starting at step 0';
  if (state.epoch < epochs) return `continuing after step ${state.step}`;
  return `${path} has finished its ${counted(epochs, 'epoch')}; train it further with --resume --epochs N`;
}

/** A new run, shared with the other processes and put into its folder. */
async function prepareNew(group: Communicator, request: TrainRequest, progress: Progress): Promise<PreparedRun> {
  const { run: contents, dataset, model } = await prepareNewRun(request, progress);
  await shareRun(group, contents, dataset);
  const run = await createRun(request.out, contents);
  progress.note(describeConfig(run, request.verbose));
  return { run, dataset, model };
}

async function checkRequest(request: TrainRequest): Promise<void> {
  const { out, from, resume, force } = request;
  checkNewRun(request, resume ? `${out}: no run here to resume (no config.json), and a new run` : undefined);
  if (from !== undefined && (await realFolder(from)) === (await realFolder(out))) {
    throw new UsageError(
      `--from and --out are the same folder, ${out}; a run cannot replace the one that it starts from`,
    );
  }
  await checkFree(out, force);
}

/** Links followed; the path as it is if nothing is there. */
const realFolder = (path: string) => realpath(path).catch(() => resolve(path));

/** @param verbose  every setting on a line of its own */
function describeConfig({ config, labels, pictures: images, path }: Run, verbose = false): string {
  const title = `${path}: ${config.model} on ${config.data}, ${describeData({ labels, images })}`;
  if (!verbose) {
    const { epochs, batch, learningRate, schedule, momentum, weightDecay, seed } = config;
    const settings =
      `${counted(epochs, 'epoch')}, batch ${batch}, learning rate ${learningRate} (${schedule}), momentum ${momentum}, ` +
      `weight decay ${weightDecay}, seed ${seed}`;
    return `${title}\n${settings}; all settings are in its config.json`;
  }
  const weights = config.classWeights;
  const short = weights && weights.length > 10 ? `${Math.min(...weights)} to ${Math.max(...weights)}` : weights;
  const settings = Object.entries({ ...config, classWeights: short });
  return [title, ...settings.map(([key, value]) => `  ${key} ${JSON.stringify(value)}`)].join('\n');
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
