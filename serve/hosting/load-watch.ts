/** Tells when images have been waiting for a while, and when none has for long. */

const TICK_MS = 250;
/** Ticks at which images waited, less those at which none did. */
const BUSY_TICKS = 8;
/** In a row without a waiting image: five minutes. */
const QUIET_TICKS = 1200;

export interface LoadListener {
  /** At every tick while images keep waiting. */
  busy(): void;
  /** At every tick once none has waited for five minutes. @returns  no more of them are wanted until the next image */
  quiet(): boolean;
}

export class LoadWatch {
  private timer?: NodeJS.Timeout;
  private waited = 0;
  private quietTicks = 0;

  /** @param pending  images in line and in inference */
  constructor(
    private readonly pending: () => number,
    private readonly listener: LoadListener,
  ) {}

  /** To be called for every image. */
  wake(): void {
    this.timer ??= setInterval(() => this.tick(), TICK_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private tick(): void {
    const waits = this.pending() > 1;
    this.waited = Math.max(0, Math.min(BUSY_TICKS, this.waited + (waits ? 1 : -1)));
    this.quietTicks = waits ? 0 : this.quietTicks + 1;
    if (this.waited === BUSY_TICKS) this.listener.busy();
    if (this.quietTicks >= QUIET_TICKS && this.listener.quiet()) this.stop();
  }
}
