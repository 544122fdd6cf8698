/** Images a second over training steps alone: without validation, saving, and the first steps, which compile and map memory. */

const WARM_UP_STEPS = 2;

interface Work {
  pictures: number;
  milliseconds: number;
}

const plus = (a: Work, b: Work): Work => ({
  pictures: a.pictures + b.pictures,
  milliseconds: a.milliseconds + b.milliseconds,
});

const rate = ({ pictures, milliseconds }: Work): number => (milliseconds > 0 ? (1000 * pictures) / milliseconds : 0);

export class Throughput {
  private steps = 0;
  private all: Work = { pictures: 0, milliseconds: 0 };
  private epoch: Work = { pictures: 0, milliseconds: 0 };
  private startedAt = 0;

  start(): void {
    this.startedAt = performance.now();
  }

  /** Ends a step of this many images. */
  stop(pictures: number): void {
    this.steps += 1;
    // Up to the first warm step keep the latest alone, so that short runs have a figure too.
    if (this.steps <= WARM_UP_STEPS + 1) this.all = this.epoch = { pictures: 0, milliseconds: 0 };
    const milliseconds = performance.now() - this.startedAt;
    this.all = plus(this.all, { pictures, milliseconds });
    this.epoch = plus(this.epoch, { pictures, milliseconds });
  }

  startEpoch(): void {
    this.epoch = { pictures: 0, milliseconds: 0 };
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
