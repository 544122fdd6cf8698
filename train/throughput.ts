/**
 * Images a second over training steps alone: without validation, saving, and the first steps, which compile and map
 * memory.
 */

const WARM_UP_STEPS = 2;

interface Work {
  images: number;
  milliseconds: number;
}

const plus = (a: Work, b: Work): Work => ({
  images: a.images + b.images,
  milliseconds: a.milliseconds + b.milliseconds,
});

const rate = ({ images, milliseconds }: Work): number => (milliseconds > 0 ? (1000 * images) / milliseconds : 0);

export class Throughput {
  private steps = 0;
  private all: Work = { images: 0, milliseconds: 0 };
  private epoch: Work = { images: 0, milliseconds: 0 };
  private startedAt = 0;

  start(): void {
    this.startedAt = performance.now();
  }

  /** Ends a step of this many images. */
  stop(images: number): void {
    this.steps += 1;
    // Up to the first warm step keep the latest alone, so that short runs have a figure too.
    if (this.steps <= WARM_UP_STEPS + 1) this.all = this.epoch = { images: 0, milliseconds: 0 };
    const milliseconds = performance.now() - this.startedAt;
    this.all = plus(this.all, { images, milliseconds });
    this.epoch = plus(this.epoch, { images, milliseconds });
  }

  startEpoch(): void {
    this.epoch = { images: 0, milliseconds: 0 };
  }

  /** 0 before the first step. */
  imagesPerSecond(): number {
    return rate(this.all);
  }

  /** Since the epoch began; 0 before its first step. */
  ofEpoch(): number {
    return rate(this.epoch);
  }
}
