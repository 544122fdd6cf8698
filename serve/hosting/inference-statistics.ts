/** What a version has answered since it was loaded, as Triton's statistics extension tells it. */
import type { Timings } from '../metrics.js';

/** Times that something happened, and nanoseconds that it took together. */
interface Sum {
  count: number;
  ns: number;
}

/** Runs of the model with one number of images. */
interface OfBatch {
  compute_input: Sum;
  compute_infer: Sum;
  compute_output: Sum;
}

const none = (): Sum => ({ count: 0, ns: 0 });

function add(sum: Sum, ms: number, times = 1): void {
  sum.count += times;
  sum.ns += Math.round(ms * 1e6);
}

export class InferenceStatistics {
  /** Milliseconds since 1970; 0 for never. */
  lastInference = 0;
  inferenceCount = 0;
  executionCount = 0;
  readonly requests = {
    success: none(),
    fail: none(),
    queue: none(),
    compute_input: none(),
    compute_infer: none(),
    compute_output: none(),
    cache_hit: none(),
    cache_miss: none(),
  };
  /** By number of images. */
  readonly batches = new Map<number, OfBatch>();

  /**
   * @param runs   1 for the first of the requests that shared a run of the model, else 0
   * @param batch  images of that run
   */
  succeeded({ queue, decode, inference, total }: Timings, runs: number, batch: number): void {
    const { requests } = this;
    this.lastInference = Date.now();
    this.inferenceCount += 1;
    this.executionCount += runs;
    add(requests.success, total);
    add(requests.queue, queue);
    add(requests.compute_input, decode);
    add(requests.compute_infer, inference);
    add(requests.compute_output, 0);
    const ofBatch = this.batches.get(batch) ?? { compute_input: none(), compute_infer: none(), compute_output: none() };
    this.batches.set(batch, ofBatch);
    add(ofBatch.compute_input, decode, runs);
    add(ofBatch.compute_infer, runs * inference, runs);
    add(ofBatch.compute_output, 0, runs);
  }

  failed(ms: number): void {
    add(this.requests.fail, ms);
  }

  cacheHit(ms: number): void {
    add(this.requests.cache_hit, ms);
    add(this.requests.success, ms);
  }

  cacheMissed(): void {
    add(this.requests.cache_miss, 0);
  }
}
