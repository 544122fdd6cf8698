/** Everything that a report says of a run, and what it cannot say. */
import type * as tfl from '@tensorflow/tfjs-layers';
import { UserError } from '../../base/errors.js';
import '../../model/index.js'; // registers the layers that a checkpoint's topology names
import type { Progress } from '../../base/progress.js';
import { type ComputeChoice, startBackend } from '../../onnx/backend/select-backend.js';
import type { DataChoice, Dataset } from '../data/dataset.js';
import { type MetricsLine, readMetrics } from '../metrics/metrics-file.js';
import { NotFiniteError, type RunState } from '../run/checkpoint.js';
import { hasCheckpoint, loadCheckpoint } from '../run/load-checkpoint.js';
import { openRun, type Run } from '../run/run-folder.js';
import { isInUse } from '../run/run-lock.js';
import type { Kernels } from './kernel-image.js';
import { type Measured, measure } from './measure.js';

/** What the user asked for. */
export interface ReportRequest extends ComputeChoice, DataChoice {
  run: string;
  /** Default: what the run was trained on. */
  data?: string;
  /** That, if it is open already. */
  dataset?: Dataset;
  /** Default: val. */
  split?: string;
  checkpoint: 'best' | 'last';
  /** 10: with one crop and with ten. */
  crops: 1 | 10;
}

export interface Report {
  run: Run;
  /** A process trains it at this moment. */
  inUse: boolean;
  metrics: MetricsLine[];
  /** The checkpoint that kernels and errors are of. */
  checkpoint?: { name: 'best' | 'last'; state: RunState; weightsSha256: string; conv1: Kernels };
  backend?: string;
  measured?: Measured;
  /** One sentence each, with the flag that would supply it. */
  missing: string[];
}

/**
 * @throws {UserError} if there is no run, or a checkpoint is damaged, or a data set or split asked for by name does not
 *   fit
 */
export async function gather(request: ReportRequest, progress: Progress): Promise<Report> {
  const run = await openRun(request.run);
  const metrics = await readMetrics(run);
  const report: Report = { run, inUse: await isInUse(run.path), metrics, missing: [] };
  if (metrics.length === 0) report.missing.push(noCurves(run));
  if (!hasCheckpoint(run[request.checkpoint])) {
    report.missing.push(noCheckpoint(run, request.checkpoint));
    return report;
  }
  const { name: backend } = await startBackend(request, progress.note);
  const { model, state, weightsSha256 } = await loadCheckpoint(run[request.checkpoint]);
  try {
    const checkpoint = { name: request.checkpoint, state, weightsSha256, conv1: conv1Of(model) };
    return { ...report, backend, checkpoint, measured: await measureIfThere(report, model, request, progress) };
  } finally {
    model.dispose();
  }
}

async function measureIfThere(
  { run, missing }: Report,
  model: tfl.LayersModel,
  { data, split, ...choice }: ReportRequest,
  progress: Progress,
): Promise<Measured | undefined> {
  try {
    return await measure(run, model, { ...choice, data, split: split ?? 'val' }, progress);
  } catch (error) {
    if (error instanceof NotFiniteError) {
      missing.push(`Errors and images: ${error.message}.`);
      return undefined;
    }
    if (!(error instanceof UserError) || data !== undefined || split !== undefined) throw error;
    missing.push(
      `Errors and images: the data set is not available (${error.message}); --data DATA says where it is, --split NAME which part.`,
    );
    return undefined;
  }
}

/** Kernel of the first layer, HWIO [size, size, 3, channels]. */
function conv1Of(model: tfl.LayersModel): Kernels {
  const [kernel] = model.getLayer('conv1').getWeights();
  const [size, , , channels] = kernel.shape;
  return { values: kernel.dataSync<'float32'>().slice(), size, channels };
}

function noCurves({ imported }: Run): string {
  if (imported) return `Curves: the weights were imported from ${imported.file}, which has none.`;
  return 'Curves: metrics.jsonl has no line yet; training writes one every 10 steps.';
}

function noCheckpoint(run: Run, name: 'best' | 'last'): string {
  const other = name === 'best' ? 'last' : 'best';
  const advice = hasCheckpoint(run[other])
    ? `--checkpoint ${other} takes ${other}/`
    : 'training saves one within minutes and at the end of each epoch; "alexnet train --resume" continues a run that stopped';
  return `Kernels, errors and images: there is no checkpoint ${name}/ yet; ${advice}.`;
}
