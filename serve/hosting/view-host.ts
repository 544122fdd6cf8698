/**
 * The line of views in front of one model, and the process that computes them: started when somebody first looks, ended
 * when nobody has looked for a while, so that its weights are in memory no longer than that. Views wait for
 * classification, never the other way round.
 */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { aborted } from '../aborted.js';
import { RequestError } from '../errors.js';
import type { Log } from '../log.js';
import type { FromViewer, ToViewer, ViewOptions, ViewPart, ViewRequest } from '../views/process/messages.js';
import { forkQuietly } from './fork-quietly.js';

/** Views that may wait besides the one that is computed. */
const MAX_WAITING = 4;
/** Seconds after which a refused one may be tried again. */
const RETRY_AFTER_S = 5;
/** What one step may take before the process counts as hung: under load it gets a hundredth of a core. */
const HANG_MS = 300_000;
/** How long a step waits, at most, while images are being classified. */
const MAX_YIELD_MS = 1000;
const YIELD_POLL_MS = 5;

export interface ViewHostOptions extends Omit<ViewOptions, 'signatures'> {
  /** From the last view to the end of its process, milliseconds. */
  idleMs: number;
  /** Compiled file to run as the process, in place of our own. */
  module?: string;
}

type StepReply = Exclude<FromViewer, { type: 'fault' }>;

export class ViewHost {
  private child?: ChildProcess;
  private idle?: NodeJS.Timeout;
  private stopped = false;
  private signatures?: string[];
  private nextId = 1;
  private waiting = 0;
  private running?: ViewRequest['view'];
  private turn: Promise<void> = Promise.resolve();
  private answer?: { id: number; take(reply: StepReply): void; fail(error: Error): void };

  /** @param isClassifying  images are with the model just now */
  constructor(
    private readonly options: ViewHostOptions,
    private readonly isClassifying: () => boolean,
    private readonly log: Log,
  ) {}

  /** For people who watch the server. */
  get state(): { process: 'none' | 'up'; running: string | null; waiting: number } {
    return { process: this.child ? 'up' : 'none', running: this.running ?? null, waiting: this.waiting };
  }

  get hasIndex(): boolean {
    return this.options.index !== undefined;
  }

  /** @throws {RequestError} VIEWS_BUSY, SHUTTING_DOWN */
  requireRoom(): void {
    if (this.stopped) throw ending();
    if (this.waiting >= MAX_WAITING + (this.running ? 0 : 1))
      throw new RequestError('VIEWS_BUSY', undefined, RETRY_AFTER_S);
  }

  /**
   * The parts of a view, in its turn. Nothing is computed before it is asked for, nor after the consumer stops or
   * `signal` aborts.
   * @throws {RequestError} VIEWS_BUSY, VIEW_FAILED, or what the view was refused with; the reason of `signal`
   */
  async *view(request: ViewRequest, signal: AbortSignal): AsyncGenerator<ViewPart> {
    this.requireRoom();
    const gone = aborted(signal);
    const leave = await this.enter(gone);
    const id = this.nextId++;
    this.running = request.view;
    try {
      if (this.stopped) throw ending();
      this.child ??= this.fork();
      this.send({ type: 'view', id, request });
      for (;;) {
        await this.letImagesPass();
        signal.throwIfAborted();
        const { part, done } = await this.step(id, gone);
        if (part) yield part;
        if (done) return;
      }
    } finally {
      this.send({ type: 'cancel', id });
      this.running = undefined;
      leave();
      this.endWhenIdle();
    }
  }

  /** Those that classify have loaded these files: views are of them from now on, those under way fail. */
  follow(signatures: string[]): void {
    this.signatures = signatures;
    this.end(new RequestError('VIEW_FAILED', 'the file of this model was replaced meanwhile; ask again'));
  }

  /** Ends the process at once; views under way fail. */
  stop(): void {
    this.stopped = true;
    clearTimeout(this.idle);
    this.end();
  }

  private end(error = ending()): void {
    this.child?.kill('SIGKILL');
    this.child = undefined;
    this.answer?.fail(error);
  }

  /** Resolves when it is this view's turn, with what lets the next one in. */
  private async enter(gone: Promise<never>): Promise<() => void> {
    const before = this.turn;
    let leave = () => {};
    this.turn = new Promise((resolve) => {
      leave = resolve;
    });
    this.waiting += 1;
    clearTimeout(this.idle);
    try {
      await Promise.race([gone, before]);
      return leave;
    } catch (error) {
      // Its place passes on to the next as soon as it is reached.
      void before.then(leave);
      throw error;
    } finally {
      this.waiting -= 1;
    }
  }

  private async letImagesPass(): Promise<void> {
    const started = performance.now();
    while (this.isClassifying() && performance.now() - started < MAX_YIELD_MS) await delay(YIELD_POLL_MS);
  }

  private async step(id: number, gone: Promise<never>): Promise<{ part?: ViewPart; done: boolean }> {
    if (this.stopped) throw ending();
    if (!this.child) throw new RequestError('VIEW_FAILED');
    const hang = setTimeout(() => {
      this.log(`a view made no progress for ${HANG_MS / 1000} s; ending its process`, 'error');
      this.child?.kill('SIGKILL');
    }, HANG_MS);
    try {
      const reply = new Promise<StepReply>((take, fail) => {
        this.answer = { id, take, fail };
      });
      this.send({ type: 'step', id });
      const given = await Promise.race([gone, reply]);
      if (given.type === 'refused') throw new RequestError(given.code, given.message);
      return given;
    } finally {
      clearTimeout(hang);
      this.answer = undefined;
    }
  }

  private send(message: ToViewer): void {
    if (this.child?.connected) this.child.send(message, () => undefined); // `exit` tells of a process that is gone
  }

  private fork(): ChildProcess {
    const { idleMs, module, ...options } = this.options;
    const own = fileURLToPath(new URL('../views/process/views-process.js', import.meta.url));
    const child = forkQuietly(module ?? own, { ...options, signatures: this.signatures });
    child.on('message', (message: FromViewer) => {
      if (message.type === 'fault') this.log(message.line, 'error');
      else if (message.id === this.answer?.id) this.answer.take(message);
    });
    const gone = (how: string) => {
      if (this.child !== child) return;
      this.log(`the process for views ended (${how})`, 'error');
      this.child = undefined;
      this.answer?.fail(new RequestError('VIEW_FAILED'));
    };
    child.on('error', ({ message }) => {
      if (child.pid === undefined)
        gone(message); // it did not start, and does not exit
      else this.log(`the process for views: ${message}`, 'error');
    });
    child.once('exit', (code, signal) => gone(signal ?? `code ${code}`));
    return child;
  }

  private endWhenIdle(): void {
    clearTimeout(this.idle);
    if (this.waiting > 0) return;
    this.idle = setTimeout(() => this.end(), this.options.idleMs).unref();
  }
}

function ending(): RequestError {
  return new RequestError('SHUTTING_DOWN', 'this version of the model is shutting down; try again', 1);
}
