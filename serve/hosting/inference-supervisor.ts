/**
 * Keeps one inference process alive: forks it, starts another when it dies, waits longer each time it dies again before
 * it has answered anything. worker_threads do not help: a worker ended during `session.run` aborts the whole process.
 */
import type { ChildProcess } from 'node:child_process';
import { UserError } from '../../base/errors.js';
import { explainTooManyFiles } from '../../base/few-open-files.js';
import type { FromInference, InferenceOptions, Loaded, Reply, ToInference } from '../inference/messages.js';
import type { Log } from '../log.js';
import { forkQuietly, INFERENCE_PROCESS } from './fork-quietly.js';

const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 30_000;
/** A process that has lived this long is not part of a crash loop. */
const SETTLED_MS = 30_000;

export interface SupervisorEvents {
  /** Also after a restart, with what the file holds by then. */
  ready(loaded: Loaded): void;
  reply(reply: Reply): void;
  /** The process is gone, and with it what it was doing. @param how  its signal or exit code */
  died(how: string): void;
  log: Log;
}

export class InferenceSupervisor {
  private child?: ChildProcess;
  private stopped = false;
  private isUp = false;
  private failures = 0;
  private startedAt = 0;
  /** What the next process is told of this one. */
  private known?: Pick<InferenceOptions, 'name' | 'remembered'>;
  private restart?: NodeJS.Timeout;
  private firstLoad?: { resolve(loaded: Loaded): void; reject(error: Error): void };

  /** @param module  compiled file that runs as the process */
  constructor(
    private readonly options: InferenceOptions,
    private readonly events: SupervisorEvents,
    private readonly module = INFERENCE_PROCESS,
  ) {}

  /**
   * Resolves once the model is loaded for the first time.
   * @throws {UserError} when it cannot be loaded; no second try is made then
   */
  start(): Promise<Loaded> {
    return new Promise((resolve, reject) => {
      this.firstLoad = { resolve, reject };
      this.fork();
    });
  }

  /** Of the process just now; `since`: milliseconds since 1970. */
  get state(): { pid?: number; since: number; isUp: boolean } {
    return { pid: this.child?.pid, since: Math.round(performance.timeOrigin + this.startedAt), isUp: this.isUp };
  }

  /** To a process that died meanwhile, nothing is sent; `died` follows. */
  send(message: ToInference): void {
    if (!this.child?.connected) return;
    this.child.send(message, (error) => {
      if (error) this.events.log(`the inference process cannot be reached: ${error.message}`, 'warn');
    });
  }

  /** Ends the process at once; another is started. */
  kill(): void {
    this.child?.kill('SIGKILL');
  }

  /** Ends the process at once and starts another at once; `died` does not follow. */
  replace(): void {
    const { child } = this;
    this.child = undefined;
    this.isUp = false;
    child?.kill('SIGKILL');
    this.fork();
  }

  /** Ends the process at once and starts no other. */
  stop(): void {
    this.stopped = true;
    clearTimeout(this.restart);
    this.firstLoad?.reject(new UserError('stopped while the model was loading'));
    this.firstLoad = undefined;
    this.kill();
  }

  private fork(): void {
    this.startedAt = performance.now();
    try {
      this.follow(forkQuietly(this.module, { ...this.options, ...this.known }));
    } catch (error) {
      this.notStarted(error as NodeJS.ErrnoException); // Node throws what some systems say, and emits the rest
    }
  }

  private follow(child: ChildProcess): void {
    this.child = child;
    child.on('message', (message: FromInference) => {
      // Messages may still come after the end; what they answer has been put back in line by then.
      if (this.child === child && !this.stopped) this.receive(message);
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid === undefined) this.notStarted(error);
      else this.events.log(`the inference process: ${error.message}`, 'error');
    });
    child.once('exit', (code, signal) => {
      if (this.child === child) this.exited(signal ?? `code ${code}`);
    });
  }

  /** It does not exit. */
  private notStarted(error: NodeJS.ErrnoException): void {
    this.exited(error.code ?? error.message, explainTooManyFiles(error));
  }

  private receive(message: FromInference): void {
    switch (message.type) {
      case 'progress':
        this.events.log(message.line);
        break;
      case 'fault':
        this.events.log(message.line, 'error');
        break;
      case 'ready':
        this.isUp = true;
        this.known = { name: message.model.name, remembered: message.remembered };
        this.events.ready(message);
        this.firstLoad?.resolve(message);
        this.firstLoad = undefined;
        break;
      case 'failed':
        this.failed(message.forPeople ? new UserError(message.message) : new Error(message.message));
        this.kill();
        break;
      default:
        this.failures = 0;
        this.events.reply(message);
    }
  }

  /** The first load decides whether the server starts; a later one is tried again. */
  private failed(error: Error): void {
    if (this.firstLoad) {
      this.stopped = true;
      this.firstLoad.reject(error);
      this.firstLoad = undefined;
    } else this.events.log(`the model cannot be loaded again: ${error.message}`, 'error');
  }

  private exited(how: string, cause?: Error): void {
    this.child = undefined;
    if (this.firstLoad) {
      this.failed(cause ?? endedWhileLoading(how));
    }
    if (this.stopped) return;
    this.isUp = false;
    this.events.died(how);
    if (this.stopped) return; // meanwhile
    if (performance.now() - this.startedAt > SETTLED_MS) this.failures = 0;
    const delayMs = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.failures);
    this.failures += 1;
    this.events.log(`the inference process ended (${how}); starting another in ${delayMs / 1000} s`, 'error');
    this.restart = setTimeout(() => this.fork(), delayMs);
  }
}

/** Linux ends with SIGKILL what it has no memory for; any other end is a fault of ours. */
function endedWhileLoading(how: string): Error {
  const message = `the inference process ended while loading the model (${how})`;
  if (how !== 'SIGKILL') return new Error(message);
  return new UserError(`${message}; if nobody killed it, the machine or container ran out of memory`);
}
