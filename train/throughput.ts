/** Pictures a second over training steps alone: without validation, saving, and the first steps, which compile and map memory. */

const WARM_UP_STEPS = 2;

export class Throughput {
  private steps = 0;
  private pictures = 0;
  private milliseconds = 0;
  private startedAt = 0;

  start(): void {
    this.startedAt = performance.now();
  }

  /** Ends a step of so many pictures. */
  stop(pictures: number): void {
    this.steps += 1;
    if (this.steps <= WARM_UP_STEPS + 1) {
      // Up to the first warm step keep the latest alone, so that short runs have a figure too.
      this.pictures = 0;
      this.milliseconds = 0;
    }
    this.pictures += pictures;
    this.milliseconds += performance.now() - this.startedAt;
  }

  /** 0 before the first step. */
  imagesPerSecond(): number {
    return this.milliseconds > 0 ? (1000 * this.pictures) / this.milliseconds : 0;
  }
}
