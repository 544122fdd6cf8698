/** Memory that ran out, in whichever library: no fault of the program, and people can do something about it. */
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { UserError } from './errors.js';

/** As V8, onnxruntime and its arenas, TensorFlow, libvips and the operating system say it. */
const MESSAGE =
  /bad_?alloc|failed to allocate|BFCArena|array buffer allocation failed|out of memory|cannot allocate memory|\bOOM\b/i;

/** As onnxruntime says it of a GPU's memory. Over WebGPU, a buffer that could not be had is first noticed when it is used. */
const ON_GPU =
  /exceeds the max buffer size limit|\[Invalid Buffer\b.* invalid due to a previous error|failed to create GPU buffer|CUDA.*out of memory/i;

/** Of the library that ran out, with what is free and, if it is known, what was needed. */
export class OutOfMemoryError extends UserError {
  override name = 'OutOfMemoryError';

  /** @param neededBytes  estimate for what was to be computed; absent if it is not known */
  constructor(
    cause: unknown,
    readonly neededBytes?: number,
  ) {
    const needed = neededBytes === undefined ? '' : `: this computation needs up to ${gigabytes(neededBytes)}`;
    const held = `; the process holds ${gigabytes(process.memoryUsage.rss())}, ${gigabytes(freeMemory())} more are free`;
    const onGpu = ON_GPU.test((cause as Error).message);
    super(`out of ${onGpu ? 'GPU ' : ''}memory${needed}${onGpu ? '' : held} (${firstLine(cause)})`, { cause });
  }
}

export function isOutOfMemory(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  if (error instanceof OutOfMemoryError || (error as NodeJS.ErrnoException).code === 'ENOMEM') return true;
  return !(error instanceof UserError) && (MESSAGE.test(error.message) || ON_GPU.test(error.message));
}

/** The error, or an `OutOfMemoryError` where it tells of memory that ran out. */
export function withMemory<E>(error: E, neededBytes?: number): E | OutOfMemoryError {
  if (error instanceof OutOfMemoryError || !isOutOfMemory(error)) return error;
  return new OutOfMemoryError(error, neededBytes);
}

/** Bytes that this process can still get: of the machine, of its container, of its own limit (`ulimit -v`). */
export function freeMemory(): number {
  return Math.min(process.availableMemory?.() ?? freemem(), addressSpaceLeft());
}

/** proc_pid_limits(5) and proc_pid_status(5); infinite without Linux or without a limit. */
function addressSpaceLeft(): number {
  try {
    const limit = Number(/^Max address space +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]);
    const used = 1024 * Number(/^VmSize:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);
    return Number.isFinite(limit) ? Math.max(0, limit - used) : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;

const firstLine = (cause: unknown) => (cause as Error).message.split('\n')[0].slice(-160);
