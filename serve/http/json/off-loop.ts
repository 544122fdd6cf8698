/**
 * Large JSON off the event loop: a thread parses it and turns its numbers and base64 into bytes, which are handed over
 * without a copy. One body at a time, so that what they unfold to is bounded; the thread ends when idle, and its memory
 * with it.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import pLimit from 'p-limit';
import { aborted } from '../../aborted.js';
import { type ErrorCode, RequestError } from '../../errors.js';
import { type FromThread, runTask, type TaskArgs, type TaskResult, type Tasks, type ToThread } from './tasks.js';

/** Up to here the server's own thread is quicker: some milliseconds at the most. */
const INLINE_BYTES = 131_072;
const IDLE_MS = 10_000;

export interface OffLoopOptions {
  /** From the complete body to the end of a task, waiting included, milliseconds. */
  timeoutMs: number;
  /** See `requireFewValues`. */
  maxValueBytes: number;
  /** Called for every task that the thread is given. */
  moved(): void;
}

export class OffLoop {
  private readonly line = pLimit(1);
  private thread?: Worker;
  private idle?: NodeJS.Timeout;

  constructor(private readonly options: OffLoopOptions) {}

  /**
   * @param args       those of the task; a body is gone from here afterwards
   * @param jsonBytes  of the JSON that is read or written, about
   * @param signal     aborted when the client is gone
   * @throws {RequestError} DEADLINE_EXCEEDED, JSON_TOO_LARGE, or as the task
   */
  async run<K extends keyof Tasks>(
    task: K,
    args: TaskArgs<K>,
    jsonBytes: number,
    signal: AbortSignal,
  ): Promise<TaskResult<K>> {
    if (jsonBytes <= INLINE_BYTES) return runTask(task, args);
    const { timeoutMs, maxValueBytes, moved } = this.options;
    moved();
    const late = new AbortController();
    const deadline = setTimeout(() => late.abort(new RequestError('DEADLINE_EXCEEDED')), timeoutMs);
    const message = { task, args, jsonBytes, maxValueBytes };
    try {
      const either = AbortSignal.any([signal, late.signal]);
      const reply = await Promise.race([this.line(() => this.ask(message, either)), aborted(either)]);
      return resultOf(reply) as TaskResult<K>;
    } finally {
      clearTimeout(deadline);
    }
  }

  /** Ends the thread, and with it what it does. */
  async end(): Promise<void> {
    clearTimeout(this.idle);
    const { thread } = this;
    this.thread = undefined;
    await thread?.terminate();
  }

  private async ask(message: ToThread, signal: AbortSignal): Promise<FromThread> {
    signal.throwIfAborted();
    clearTimeout(this.idle);
    this.thread ??= this.start();
    try {
      const [body] = message.args;
      this.thread.postMessage(message, body instanceof Uint8Array ? [body.buffer as ArrayBuffer] : []);
      const [reply] = await once(this.thread, 'message', { signal });
      return reply;
    } catch (error) {
      await this.end(); // it may still be busy: the next must not run at the same time
      throw error;
    } finally {
      this.idle = setTimeout(() => void this.end(), IDLE_MS);
      this.idle.unref();
    }
  }

  private start(): Worker {
    // Not to be reached: a thread that runs out of memory may take the process along. Small machines default to less.
    const heapMb = Math.ceil((4 * this.options.maxValueBytes) / 1e6) + 256;
    const thread = new Worker(new URL('./thread.js', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: heapMb },
    });
    thread.unref();
    thread.on('error', () => undefined); // told to whoever waits
    thread.once('exit', () => {
      if (this.thread === thread) this.thread = undefined;
    });
    return thread;
  }
}

function resultOf(reply: FromThread): unknown {
  if ('fault' in reply) throw new Error(`the thread for JSON: ${reply.fault}`);
  if ('refused' in reply) throw new RequestError(reply.refused.code as ErrorCode, reply.refused.message);
  return reply.result;
}
