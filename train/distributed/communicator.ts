/** The processes of one job, as the loop sees them: alone there is one, and nothing is sent. */
import { UserError } from '../../base/errors.js';
import type { Rank } from '../data/batches/epoch-batches.js';

/**
 * Every call is collective: all processes make the same calls in the same order, one at a time. Calls leave the event
 * loop free.
 */
export interface Communicator extends Rank {
  /** Name and version of the library, for people. */
  readonly library: string;
  /** The sum over all processes, in place. */
  allReduceSum(values: Float32Array): Promise<void>;
  /** Rank 0's bytes in all processes, in place; as many everywhere. */
  broadcast(bytes: Uint8Array): Promise<void>;
  /** Every process's bytes, in order of rank; as many from each. */
  allGather(bytes: Uint8Array): Promise<Uint8Array[]>;
  /**
   * Part r of `bytes` goes to process r; gives what came, in order of rank. Parts are of equal length, also between
   * processes.
   */
  allToAll(bytes: Uint8Array): Promise<Uint8Array>;
  /** Ends every process of the job. */
  abort(code: number): void;
  /** To be called last. */
  finalize(): void;
}

/** The job of a process that nobody launched. */
export const ALONE: Communicator = {
  rank: 0,
  size: 1,
  library: 'none',
  allReduceSum: async () => {},
  broadcast: async () => {},
  allGather: async (bytes) => [bytes],
  allToAll: async (bytes) => bytes,
  abort: (code) => process.exit(code),
  finalize: () => {},
};

/** Sums of the processes' numbers, place by place: added in order of rank, so that all get the same. */
export async function sumNumbers(group: Communicator, numbers: readonly number[]): Promise<number[]> {
  if (group.size === 1) return [...numbers];
  const rows = await gatherNumbers(group, numbers);
  return numbers.map((_, i) => rows.reduce((sum, row) => sum + row[i], 0));
}

/** Every process's numbers, in order of rank; as many from each. */
async function gatherNumbers(group: Communicator, numbers: readonly number[]): Promise<Float64Array[]> {
  const all = await group.allGather(bytesOf(Float64Array.from(numbers)));
  return all.map((bytes) => new Float64Array(bytes.slice().buffer));
}

/** Rank 0's value in all processes, as JSON keeps it. @param value  of other processes: not looked at */
export async function broadcastJson<T>(group: Communicator, value: T | undefined): Promise<T> {
  const text = Buffer.from(group.rank === 0 ? JSON.stringify(value) : '');
  const [length] = await sumNumbers(group, [text.length]);
  const bytes = group.rank === 0 ? text : Buffer.alloc(length);
  await group.broadcast(bytes);
  return JSON.parse(bytes.toString('utf8')) as T;
}

/** Every process's value, in order of rank, as JSON keeps them. */
export async function gatherJson<T>(group: Communicator, value: T): Promise<T[]> {
  const text = Buffer.from(JSON.stringify(value));
  const lengths = (await gatherNumbers(group, [text.length])).map(([length]) => length);
  const padded = Buffer.alloc(Math.max(...lengths));
  text.copy(padded);
  const all = await group.allGather(padded);
  return all.map((bytes, rank) => JSON.parse(Buffer.from(bytes.subarray(0, lengths[rank])).toString('utf8')) as T);
}

/**
 * Compares what every process says of itself.
 * @throws {UserError} in rank 0, naming what differs and where; the other processes continue until it ends them
 */
export async function checkEqual(group: Communicator, what: Record<string, unknown>): Promise<void> {
  const all = await gatherJson(group, what);
  if (group.rank !== 0) return;
  const differences = all.flatMap((other, rank) =>
    Object.keys({ ...all[0], ...other })
      .filter((key) => JSON.stringify(other[key]) !== JSON.stringify(all[0][key]))
      .map((key) => `${key}: rank 0 has ${JSON.stringify(all[0][key])}, rank ${rank} ${JSON.stringify(other[key])}`),
  );
  if (differences.length === 0) return;
  throw new UserError(`--distributed: the processes must be equal, and are not: ${differences.join('; ')}`);
}

/** The memory of an array, as bytes. */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
