/**
 * The inference processes of a model: those that always run and, while images wait for a processor, helpers that share
 * its threads among them. An image on one thread costs it less time than on all of them: no layer waits for its slowest
 * thread, and what a core computes stays in its cache. An image alone is answered sooner by all threads.
 */
import type { InferenceOptions, Loaded, ToInference } from '../inference/messages.js';
import type { Log } from '../log.js';
import type { HelperMemory } from './helper-memory.js';
import { InferenceSupervisor } from './inference-supervisor.js';
import { LoadWatch } from './load-watch.js';
import type { Lane, RequestQueue } from './request-queue.js';

/** After a helper that died or did not start. */
const PAUSE_MS = 300_000;

export interface PoolOptions {
  /** Processes that always run, without helpers; undefined: one, and helpers. */
  replicas?: number;
  /** What a process may take over one image before it counts as hung, milliseconds. */
  timeoutMs: number;
  /** Compiled file to run as the process, in place of our own. */
  inferenceModule?: string;
}

export interface PoolListener {
  /**
   * A process that always runs; also after a restart.
   * @param isNew  for the first time, or from files that hold something else: what was kept of the others is out of date
   */
  loaded(loaded: Loaded, isNew: boolean): void;
  /** One ended that nobody stopped. */
  died(): void;
  log: Log;
}

interface Member {
  process: InferenceSupervisor;
  lane: Lane;
}

type Settings = InferenceOptions & { threads: number };

export class ProcessPool {
  private readonly lasting: Member[];
  private helpers: Member[] = [];
  private giveMemoryBack = () => {};
  private pausedUntil = 0;
  private readonly watch: LoadWatch;
  private loaded?: Loaded;
  private ended = false;

  constructor(
    private readonly settings: Settings,
    private readonly options: PoolOptions,
    private readonly queue: RequestQueue,
    private readonly memory: HelperMemory,
    private readonly listener: PoolListener,
  ) {
    const { replicas = 1 } = options;
    this.lasting = Array.from({ length: replicas }, (_, i) =>
      this.add(settings, replicas > 1 ? `process ${i + 1}: ` : ''),
    );
    this.watch = new LoadWatch(() => queue.pending, {
      busy: () => void this.help(),
      quiet: () => this.dismissIdle(),
    });
  }

  /**
   * Resolves once every process that always runs has loaded the model and run it.
   * @throws {UserError} when it cannot be loaded
   */
  async start(): Promise<Loaded> {
    // One after the other: they would contend for the disk, and an error is reported once.
    for (const { process } of this.lasting) await process.start();
    return this.loaded!;
  }

  /** To be called for every image. */
  wake(): void {
    if (this.mayHelp && !this.ended) this.watch.wake();
  }

  get isUp(): boolean {
    return this.states.some(({ isUp }) => isUp);
  }

  /** Of its processes just now. */
  get states(): InferenceSupervisor['state'][] {
    return [...this.lasting, ...this.helpers].map(({ process }) => process.state);
  }

  /** Processes at any time: at least, at most. */
  get size(): [number, number] {
    const least = this.lasting.length;
    return [least, least + (this.helpers.length || this.helperCount())];
  }

  /** Ends every process at once. */
  kill(): void {
    this.startNoMore();
    this.dismiss();
    for (const { process, lane } of this.lasting) {
      process.stop();
      lane.release();
    }
  }

  /** No helpers from now on. */
  startNoMore(): void {
    this.ended = true;
    this.watch.stop();
  }

  private get mayHelp(): boolean {
    return this.options.replicas === undefined && this.loaded?.provider === 'cpu' && this.settings.threads > 1;
  }

  /** As many as there is memory for, at most one for each thread; one alone gains nothing. */
  private helperCount(): number {
    if (!this.mayHelp) return 0;
    const count = Math.min(this.settings.threads, Math.floor(this.memory.free / this.loaded!.residentBytes));
    return count > 1 ? count : 0;
  }

  private async help(): Promise<void> {
    if (this.ended || this.helpers.length > 0 || performance.now() < this.pausedUntil) return;
    const count = this.helperCount();
    if (count === 0) return;
    const { remembered, residentBytes, provider } = this.loaded!;
    this.giveMemoryBack = this.memory.take(count * residentBytes);
    const { threads } = this.settings;
    this.listener.log(`images are waiting: starting ${count} helper processes that share ${threads} threads`);
    const helpers = Array.from({ length: count }, (_, i) => {
      const share = Math.floor((threads + i) / count); // together all of them
      return this.add({ ...this.settings, provider, threads: share, remembered }, `helper ${i + 1}: `, true);
    });
    this.helpers = helpers;
    try {
      for (const { process } of helpers) {
        if (this.helpers === helpers) await process.start();
      }
    } catch (error) {
      if (this.helpers === helpers && !this.ended) this.giveUp((error as Error).message);
    }
  }

  private giveUp(reason: string): void {
    this.pausedUntil = performance.now() + PAUSE_MS;
    this.listener.log(`no helpers for the next ${PAUSE_MS / 60_000} minutes: ${reason}`, 'warn');
    this.dismiss();
  }

  private dismissIdle(): boolean {
    if (this.helpers.some(({ lane }) => lane.load > 0)) return false;
    if (this.helpers.length > 0) this.listener.log('no image has waited for five minutes: ending the helpers');
    this.dismiss();
    return true;
  }

  /** What they were doing goes back to the queue. */
  private dismiss(): void {
    const helpers = this.helpers;
    this.helpers = [];
    this.giveMemoryBack();
    this.giveMemoryBack = () => {};
    for (const { process } of helpers) process.stop();
    this.queue.removeHelpers();
  }

  /** A process has loaded another file than those that answer: only the new file answers from now on. */
  private leaveOldFile(by: InferenceSupervisor): void {
    this.dismiss();
    const others = this.lasting.filter(({ process }) => process !== by && process.state.isUp);
    const too = others.length > 0 ? '; the others load it too' : '';
    this.listener.log(
      `the model has changed on disk: a process that restarted answers from the new file${too}`,
      'warn',
    );
    for (const { process, lane } of others) {
      process.replace();
      lane.release();
    }
  }

  /** A process that takes its work from a lane of the queue. */
  private add(settings: Settings, label: string, isHelper = false): Member {
    const { timeoutMs, inferenceModule } = this.options;
    const log: Log = (line, level) => this.listener.log(`${label}${line}`, level);
    const process = new InferenceSupervisor(
      settings,
      {
        ready: (loaded) => {
          const isNew = loaded.remembered?.of !== this.loaded?.remembered?.of;
          if (isHelper && isNew) return this.giveUp('the model has changed on disk');
          if (isNew && this.loaded) this.leaveOldFile(process);
          if (!isHelper) {
            this.loaded = loaded;
            this.listener.loaded(loaded, isNew);
          }
          lane.processReady(loaded.batch);
        },
        reply: (reply) => lane.reply(reply),
        died: (how) => {
          this.listener.died();
          lane.processDied();
          if (isHelper) this.giveUp(`a helper ended (${how})`);
        },
        log,
      },
      inferenceModule,
    );
    const lane = this.queue.addLane(
      {
        send: (message: ToInference) => process.send(message),
        kill: () => {
          log(`the inference process has not answered for ${timeoutMs / 1000} s; ending it`, 'error');
          process.kill();
        },
      },
      isHelper,
    );
    return { process, lane };
  }
}
