/** How training that fails tells its user where it stopped, what is saved, and how to continue. */
import { DiskFullError } from '../base/disk-full.js';
import { UserError } from '../base/errors.js';
import { isOutOfMemory, withMemory } from '../base/out-of-memory.js';
import { DeviceLostError } from '../onnx/backend/device-lost.js';
import { DivergedError } from './divergence.js';
import { hasCheckpoint } from './run/load-checkpoint.js';
import type { Run } from './run/run-folder.js';

/** Where training stopped. */
export interface Stop {
  run: Run;
  /** Updates made. */
  step: number;
  /** Images computed at once. */
  microBatch: number;
}

const stopsAfter = (step: number) => `training stops after step ${step}`;

const resume = ({ path }: Run) => `alexnet train --resume --out ${path}`;

/** An error that ends the run as the person at it should read it. */
export function describeFailure(error: unknown, { run, step, microBatch }: Stop): unknown {
  if (error instanceof DiskFullError) {
    const { path, reason } = error;
    return new UserError(
      `${stopsAfter(step)}: ${path} cannot be written: ${reason}; ${lastGood(run)}. Make room, then continue with: ${resume(run)}`,
    );
  }
  if (isOutOfMemory(error)) {
    const { message } = withMemory(error);
    // A quarter of what is computed at once takes little more than a quarter of the memory.
    const smaller = `${resume(run)} --force --micro-batch ${Math.ceil(microBatch / 4)}`;
    return new UserError(
      `${stopsAfter(step)}: ${message}; ${lastGood(run)}. Compute fewer images at once, for the same updates: ${smaller}`,
      { cause: error },
    );
  }
  if (error instanceof DeviceLostError) {
    const { message } = error;
    return new UserError(`${stopsAfter(step)}: ${message}; ${lastGood(run)}. Continue with: ${resume(run)}`, {
      cause: error,
    });
  }
  return error;
}

/** An image could not be loaded, and the steps before it are saved in `last/`. */
export function savedBefore(error: Error, { run, step }: Stop): UserError {
  return new UserError(`${stopsAfter(step)}, saved in ${run.last}: ${error.message}. Continue with: ${resume(run)}`, {
    cause: error,
  });
}

/**
 * @param step  from 1
 * @param good  the last good checkpoint
 */
export function diverged(what: string, step: number, learningRate: number, good: string): DivergedError {
  return new DivergedError(
    `training diverged at step ${step}, learning rate ${learningRate.toPrecision(3)}: ${what}; ` +
      `${good}. Try a lower --lr, a --warmup-epochs or a --clip-norm`,
  );
}

export function waitingForOthers(run: Run, step: number): string {
  return (
    `step ${step}: signalled, and waiting for the other processes. If one has died, the launcher says which and ends the job: ` +
    `${lastGood(run)}; continue with --resume --out ${run.path}, with as many processes as you like`
  );
}

export function lastGood({ last }: Run): string {
  return hasCheckpoint(last) ? `the last good checkpoint is ${last}` : 'no checkpoint was saved before';
}

/** Where `last/` is from within an epoch that turned out to be bad, nobody knows from which step on. */
export function goodBeforeEpoch({ last, best }: Run): string {
  const earlier = hasCheckpoint(best) ? `the last good checkpoint is ${best}` : 'no good checkpoint was saved';
  return `${earlier}, since ${last} is from within this epoch`;
}
