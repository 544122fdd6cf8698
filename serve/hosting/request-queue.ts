/**
 * The line in front of a model's inference processes: bounded, first come first served, with a deadline that counts
 * while waiting. It knows nothing of HTTP and of processes, only the messages between them.
 */
import { RequestError } from '../errors.js';
import type { Answer, Reply, ToInference, Work } from '../inference/messages.js';

/** Images with a process, by those that share a run: one run under way, one decoded or decoding, one on its way. */
const RUNS_AHEAD = 3;
/** Work under way while its process dies is retried once. */
const MAX_ATTEMPTS = 2;

export interface QueueOptions {
  /** Images that may wait, in addition to those in inference. */
  maxWaiting: number;
  /**
   * Time from `add` to the answer, milliseconds; also what a process may take over one image before it counts as hung.
   */
  timeoutMs: number;
}

/** One process, as the queue sees it. */
export interface Worker {
  send(message: ToInference): void;
  /** Called when the process hangs; `Lane.processDied` is to follow. */
  kill(): void;
}

interface Job {
  id: number;
  work: Work;
  /** Times it was first in line at a process when that died. */
  attempts: number;
  /** Answered, given up or failed: still with the process perhaps, but nobody waits. */
  settled: boolean;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

export class RequestQueue {
  private readonly waiting: Job[] = [];
  private lanes: Lane[] = [];
  private nextId = 1;
  private imageMs = 0;
  private idleListeners: (() => void)[] = [];
  private held = 0;

  constructor(private readonly options: QueueOptions) {}

  /**
   * A place for one more process to take work from.
   * @param isHelper  once every process is up, images go to the helpers only, or to the others if there are few of them
   */
  addLane(worker: Worker, isHelper = false): Lane {
    const events: LaneEvents = {
      done: (ms) => {
        if (ms !== undefined) this.imageMs = ms;
        this.pump();
        this.announceIdle();
      },
      again: (jobs) => this.waiting.unshift(...jobs),
    };
    const lane = new Lane(worker, isHelper, this.options.timeoutMs, events);
    this.lanes.push(lane);
    return lane;
  }

  /** What their processes were doing goes back to the front of the line. */
  removeHelpers(): void {
    const helpers = this.lanes.filter((lane) => lane.isHelper);
    this.lanes = this.lanes.filter((lane) => !lane.isHelper);
    for (const lane of helpers) lane.release();
  }

  /** Requests that a client waits for. */
  get pending(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.pending, this.waiting.length);
  }

  /** Requests that the processes take at a time, unless fewer may be pending at all. */
  get width(): number {
    const taken = this.busyLanes.reduce((sum, lane) => sum + lane.width, 0);
    return Math.min(taken, this.capacity);
  }

  /** Requests that it would take now. */
  get room(): number {
    return Math.max(0, this.capacity - this.pending);
  }

  /** @throws {RequestError} QUEUE_FULL, with the seconds after which there should be room */
  requireRoom(): void {
    const { pending } = this;
    if (this.room > 0) return;
    const seconds = Math.ceil((pending * this.imageMs) / this.busyLanes.length / 1000);
    throw new RequestError('QUEUE_FULL', undefined, Math.max(1, seconds));
  }

  /** Keeps the line from being idle until it is called: more work of the same request follows. */
  hold(): () => void {
    this.held += 1;
    return () => {
      this.held -= 1;
      this.announceIdle();
    };
  }

  /**
   * @param signal   aborted when the client is gone: the work leaves the line, the promise rejects with the signal's
   *   reason
   * @param isTaken  of a request that there was room for; it waits though the line has filled up since
   * @throws {RequestError} QUEUE_FULL, DEADLINE_EXCEEDED, INFERENCE_FAILED or what the process refused the work with
   */
  async add(work: Work, signal: AbortSignal, isTaken = false): Promise<Answer> {
    if (!isTaken) this.requireRoom();
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const job: Job = { id: this.nextId++, work, attempts: 0, settled: false, resolve, reject };
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

  private giveUp(job: Job, reason: Error): void {
    const place = this.waiting.indexOf(job);
    if (place >= 0) this.waiting.splice(place, 1);
    else for (const lane of this.lanes) lane.cancel(job);
    job.reject(reason);
  }

  private get capacity(): number {
    return this.options.maxWaiting + this.busyLanes.length;
  }

  /** Helpers have all the threads that the others have: both at once would be in each other's way. */
  private get helpersAreUp(): boolean {
    return this.lanes.some((lane) => lane.isHelper) && this.lanes.every((lane) => lane.isUp);
  }

  /** Those that infer at the same time while images wait. */
  private get busyLanes(): Lane[] {
    const { helpersAreUp } = this;
    return this.lanes.filter((lane) => lane.isHelper === helpersAreUp);
  }

  /** Where the next image may go. */
  private get candidates(): Lane[] {
    if (!this.helpersAreUp) return this.lanes;
    const idle = this.lanes.filter((lane) => !lane.isHelper && lane.load === 0);
    const helpers = this.busyLanes;
    const areEnough = this.pending > helpers.length / 2; // to use more threads than stay idle
    return areEnough || idle.length === 0 ? helpers : idle;
  }

  /** To the process with the shortest line of its own. */
  private pump(): void {
    while (this.waiting.length > 0) {
      const open = this.candidates.filter((lane) => lane.hasRoom);
      if (open.length === 0) return;
      const lane = open.reduce((a, b) => (b.load < a.load ? b : a));
      lane.take(this.waiting.shift()!);
    }
  }

  private announceIdle(): void {
    if (this.pending > 0 || this.held > 0) return;
    for (const listener of this.idleListeners.splice(0)) listener();
  }
}

interface LaneEvents {
  /** Something may have room. @param ms  what the last inference took */
  done(ms?: number): void;
  /** Back to the front of the line. */
  again(jobs: Job[]): void;
}

/** The work that is with one process, in the order of its replies. */
export class Lane {
  private sent: Job[] = [];
  /** Its process takes work. */
  isUp = false;
  private runsAhead = RUNS_AHEAD;
  /**
   * One at a time after a death, until something is answered: so only the image that kills is tried without success.
   */
  private ahead = 1;
  private hang?: NodeJS.Timeout;

  constructor(
    private readonly worker: Worker,
    readonly isHelper: boolean,
    private readonly timeoutMs: number,
    private readonly events: LaneEvents,
  ) {}

  get hasRoom(): boolean {
    return this.isUp && this.sent.length < this.ahead;
  }

  /** Work that the process is given at a time. */
  get width(): number {
    return this.runsAhead;
  }

  get load(): number {
    return this.sent.length;
  }

  get pending(): number {
    return this.sent.filter(({ settled }) => !settled).length;
  }

  /** @param batch  images that may share a run there */
  processReady(batch = 1): void {
    this.isUp = true;
    this.runsAhead = batch === 1 ? RUNS_AHEAD : 2 * batch;
    this.events.done();
  }

  processDied(): void {
    const [first] = this.sent;
    if (first && !first.settled) {
      first.attempts += 1;
      if (first.attempts >= MAX_ATTEMPTS) first.reject(new RequestError('INFERENCE_FAILED'));
    }
    this.release();
  }

  /** Takes no more work until its process is ready again; what it has goes back to the front of the line. */
  release(): void {
    this.isUp = false;
    this.ahead = 1;
    clearTimeout(this.hang);
    const again = this.sent.filter((job) => !job.settled);
    this.sent = [];
    this.events.again(again);
    this.events.done();
  }

  reply(reply: Reply): void {
    const job = this.sent.shift();
    if (job?.id !== reply.id) throw new Error(`reply to request ${reply.id}, expected one to ${job?.id}`);
    this.ahead = this.runsAhead;
    if (!job.settled) {
      if (reply.type === 'refused') job.reject(new RequestError(reply.code, reply.message));
      else if (reply.type !== 'skipped') job.resolve(reply);
    }
    this.watch();
    this.events.done('inferenceMs' in reply ? reply.inferenceMs : undefined);
  }

  take(job: Job): void {
    this.sent.push(job);
    this.worker.send({ ...job.work, id: job.id });
    if (this.sent.length === 1) this.watch();
  }

  cancel(job: Job): void {
    if (this.sent.includes(job)) this.worker.send({ type: 'cancel', id: job.id });
  }

  /** The clock for the work that is now first in line at the process. */
  private watch(): void {
    clearTimeout(this.hang);
    if (this.sent.length > 0) this.hang = setTimeout(() => this.worker.kill(), this.timeoutMs);
  }
}
