/** `alexnet train --distributed mpi`: the job that a launcher started, from joining it to its end. */
import { availableParallelism, cpus, hostname } from 'node:os';
import { UsageError, UserError } from '../../base/errors.js';
import { packageVersions } from '../../base/versions.js';
import { type Communicator, checkEqual, gatherJson } from './communicator.js';
import { joinJob } from './mpi.js';
import type { ProcessGroup } from './process-group.js';

export const ENGINES = ['mpi'] as const;

/** Number of the process on its machine, as Open MPI, MPICH and Slurm tell it. */
const LOCAL_RANKS = ['OMPI_COMM_WORLD_LOCAL_RANK', 'MPI_LOCALRANKID', 'SLURM_LOCALID'];

/**
 * Joins the job, each process of a machine with a GPU of its own.
 * @throws {UserError} if there is no MPI library
 */
export function joinLaunched(): Communicator {
  const device = ownDevice(process.env);
  if (device !== undefined) process.env.CUDA_VISIBLE_DEVICES = device;
  return joinJob();
}

/** For `CUDA_VISIBLE_DEVICES`: of the devices that all processes of a machine see, or of all that it has. */
export function ownDevice(env: NodeJS.ProcessEnv): string | undefined {
  const local = LOCAL_RANKS.map((name) => env[name]).find((value) => value !== undefined);
  const seen = env.CUDA_VISIBLE_DEVICES?.split(',');
  return seen && local !== undefined ? seen[Number(local) % seen.length] : local;
}

/**
 * For people: which process is which, since launchers name a dead one by host and process; with advice where this one
 * was given fewer processors than the machine has, as Open MPI does unless told otherwise.
 */
export async function describeJob(group: Communicator): Promise<string> {
  const all = await gatherJson(group, `${process.pid} on ${hostname()}`);
  const ranks = all.map((process, rank) => `rank ${rank} is process ${process}`).join(', ');
  const [given, present] = [availableParallelism(), cpus().length];
  const bound =
    given < present ? `; each has ${given} of ${present} processors: for all of them, mpirun --bind-to none` : '';
  return `${group.library}: ${ranks}${bound}`;
}

/**
 * Compares versions and commands of the processes, before anything is computed.
 * @throws {UserError} in rank 0, naming what differs
 */
export async function checkSameJob(
  { group, gradientType }: ProcessGroup,
  request: object,
  backend: string,
): Promise<void> {
  if (group.size > 1) await checkEqual(group, { ...request, ...packageVersions(), backend, gradientType });
}

/** An error with the process and the step in front. @param step  from 1; undefined before the first */
export function withRank({ rank, size }: Communicator, error: unknown, step?: number): unknown {
  if (size === 1 || !(error instanceof Error) || PLACED.has(error)) return error;
  const where = `rank ${rank} of ${size}${step === undefined ? '' : `, step ${step}`}: `;
  const Kind = error instanceof UsageError ? UsageError : UserError;
  const placed = error instanceof UserError ? new Kind(where + error.message, { cause: error }) : error;
  if (placed === error) Object.assign(error, { message: where + error.message, stack: where + error.stack });
  PLACED.add(placed);
  return placed;
}

const PLACED = new WeakSet<object>();

/** Ends all processes of the job, once the error was printed: the others would wait for this one for ever. */
export function endJob(group: Communicator, error: unknown): void {
  const code = error instanceof UsageError ? 2 : 1;
  if (group.size > 1) setImmediate(() => group.abort(code));
}
