/**
 * A range test of learning rates: a new network is trained for some steps while the rate rises exponentially. Nothing
 * is written.
 */
import { setImmediate } from 'node:timers/promises';
import type { Progress } from '../../base/progress.js';
import { type ComputeChoice, startBackend } from '../../onnx/backend/select-backend.js';
import { NotFiniteError } from '../run/checkpoint.js';
import { checkNewRun, type NewRunRequest, prepareNewRun } from '../start/new-run.js';
import { Trainer } from '../trainer.js';
import { type RateCurve, type RatePoint, rateCurve } from './rate-curve.js';

export interface FindRateRequest extends NewRunRequest, ComputeChoice {
  /** Rates of the first step and of the last. */
  minRate: number;
  maxRate: number;
  /** At least 2. */
  steps: number;
}

export interface FoundRate extends RateCurve {
  model: string;
  data: string;
  backend: string;
  /** Images a step. */
  batch: number;
}

/** Ended if the mean of the last losses is above this multiple of the lowest such mean: nothing better comes. */
const HOPELESS = 4;
const WINDOW = 5;

/** @throws {UserError} for anything about request or data set that does not fit */
export async function findRate(request: FindRateRequest, progress: Progress): Promise<FoundRate> {
  checkNewRun(request, 'find-lr');
  const backend = await startBackend(request, progress.note);
  const { run, dataset, model } = await prepareNewRun(request, progress);
  const trainer = new Trainer(model, dataset, run);
  try {
    const { config } = run;
    await trainer.prepare({ onProgress: (done, total) => progress.work('frozen layers', done, total) });
    const points = await risingRate(trainer, request, progress);
    if (!Number.isFinite(points[0].loss)) {
      throw new NotFiniteError(
        `${config.from ?? config.model}: the loss is ${points[0].loss} before any update; start with other weights`,
      );
    }
    const curve = rateCurve(points);
    return { model: config.model, data: config.data, backend: backend.name, batch: trainer.batch, ...curve };
  } finally {
    trainer.dispose();
    model.dispose();
  }
}

/** Losses before each update, the rate of that update next to them. */
async function risingRate(
  trainer: Trainer,
  { minRate, maxRate, steps }: FindRateRequest,
  progress: Progress,
): Promise<RatePoint[]> {
  const points: RatePoint[] = [];
  let lowest = Number.POSITIVE_INFINITY;
  let batches = trainer.batches(0);
  for (let step = 0; step < steps; step++) {
    const epoch = Math.floor(step / trainer.stepsPerEpoch);
    if (step > 0 && step % trainer.stepsPerEpoch === 0) batches = trainer.batches(epoch);
    const learningRate = minRate * (maxRate / minRate) ** (step / (steps - 1));
    const { loss } = await trainer.update(batches, { step, epoch }, learningRate);
    points.push({ learningRate, loss });
    progress.work('learning rates', step + 1, steps);
    const recent = points.slice(-WINDOW).reduce((sum, point) => sum + point.loss, 0) / WINDOW;
    if (!Number.isFinite(loss) || recent > HOPELESS * lowest) break;
    if (points.length >= WINDOW) lowest = Math.min(lowest, recent);
    await setImmediate(); // lets signals in
  }
  return points;
}
