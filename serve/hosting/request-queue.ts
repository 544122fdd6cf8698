/**
 * The line in front of the inference process: bounded, first come first served, with a deadline that counts while waiting. It knows
 * nothing of HTTP and of processes, only the messages between them.
 */
import { RequestError } from '../errors.js';
import type { Reply, ToInference } from '../inference/messages.js';

/** Pictures with the inference process: one in inference, one decoded or decoding, one on its way. */
const SENT_AHEAD = 3;
/** A picture in inference while the process dies is tried once more. */
const MAX_ATTEMPTS = 2;

export type Answer = Extract<Reply, { type: 'answer' }>;

export interface QueueOptions {
  /** Pictures that may wait, besides the one in inference. */
  maxWaiting: number;
  /** Time from `add` to the answer, milliseconds; also what the process may take over one picture before it counts as hung. */
  timeoutMs: number;
  send(message: ToInference): void;
  /** Called when the process hangs; `processDied` is to follow. */
  kill(): void;
}

interface Job {
  id: number;
  bytes: Uint8Array;
  /** Times it was first in line at the process when that died. */
  attempts: number;
  /** Answered, given up or failed: still with the process perhaps, but nobody waits. */
  settled: boolean;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

export class RequestQueue {
  private readonly waiting: Job[] = [];
  /** With the process, in the order of its replies. */
  private sent: Job[] = [];
  private up = false;
  /** One at a time after a death, until something is answered: so only the picture that kills is tried in vain. */
  private ahead = 1;
  private nextId = 1;
  private pictureMs = 0;
  private hang?: NodeJS.Timeout;
  private idleListeners: (() => void)[] = [];

  constructor(private readonly options: QueueOptions) {}

  /** Pictures somebody waits for. */
  get pending(): number {
    return this.waiting.length + this.sent.filter((job) => !job.settled).length;
  }

  /** @throws {RequestError} QUEUE_FULL, with the seconds after which there should be room */
  requireRoom(): void {
    if (this.pending <= this.options.maxWaiting) return;
    const seconds = Math.ceil((this.pending * this.pictureMs) / 1000);
    throw new RequestError('QUEUE_FULL', undefined, Math.max(1, seconds));
  }

  /**
   * @param signal  aborted when the client is gone: the picture leaves the line, the promise rejects with the signal's reason
   * @throws {RequestError} QUEUE_FULL, DEADLINE_EXCEEDED, INFERENCE_FAILED or what the process refused the picture with
   */
  async add(bytes: Uint8Array, signal: AbortSignal): Promise<Answer> {
    this.requireRoom();
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const job: Job = { id: this.nextId++, bytes, attempts: 0, settled: false, resolve, reject };
      const aborted = () => this.giveUp(job, signal.reason);
      const deadline = setTimeout(
        () => this.giveUp(job, new RequestError('DEADLINE_EXCEEDED')),
        this.options.timeoutMs,
      );
      const settle = () => {
        job.settled = true;
        clearTimeout(deadline);
        signal.removeEventListener('abort', aborted);
        this.announceIdle();
      };
      job.resolve = (answer) => {
        resolve(answer);
        settle();
      };
      job.reject = (error) => {
        reject(error);
        settle();
      };
      signal.addEventListener('abort', aborted);
      this.waiting.push(job);
      this.pump();
    });
  }

  /** Resolves as soon as nobody waits. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.idleListeners.push(resolve);
      this.announceIdle();
    });
  }

  processReady(): void {
    this.up = true;
    this.pump();
  }

  processDied(): void {
    this.up = false;
    this.ahead = 1;
    clearTimeout(this.hang);
    const [first, ...others] = this.sent;
    const again = others.filter((job) => !job.settled);
    if (first && !first.settled) {
      first.attempts += 1;
      if (first.attempts < MAX_ATTEMPTS) again.unshift(first);
      else first.reject(new RequestError('INFERENCE_FAILED'));
    }
    this.sent = [];
    this.waiting.unshift(...again);
    this.announceIdle();
  }

  reply(reply: Reply): void {
    const job = this.sent.shift();
    if (job?.id !== reply.id) throw new Error(`reply to picture ${reply.id}, expected one to ${job?.id}`);
    this.ahead = SENT_AHEAD;
    if (reply.type === 'answer') {
      this.pictureMs = reply.inferenceMs;
      if (!job.settled) job.resolve(reply);
    } else if (reply.type === 'refused' && !job.settled) {
      job.reject(new RequestError(reply.code, reply.message));
    }
    this.watch();
    this.pump();
    this.announceIdle();
  }

  private giveUp(job: Job, reason: Error): void {
    const place = this.waiting.indexOf(job);
    if (place >= 0) this.waiting.splice(place, 1);
    else this.options.send({ type: 'cancel', id: job.id });
    job.reject(reason);
  }

  private pump(): void {
    while (this.up && this.sent.length < this.ahead && this.waiting.length > 0) {
      const job = this.waiting.shift()!;
      this.sent.push(job);
      this.options.send({ type: 'classify', id: job.id, bytes: job.bytes });
      if (this.sent.length === 1) this.watch();
    }
  }

  /** The clock for the picture that is now first in line at the process. */
  private watch(): void {
    clearTimeout(this.hang);
    if (this.sent.length > 0) this.hang = setTimeout(() => this.options.kill(), this.options.timeoutMs);
  }

  private announceIdle(): void {
    if (this.pending > 0) return;
    for (const listener of this.idleListeners.splice(0)) listener();
  }
}
