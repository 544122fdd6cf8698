/** From two looks at a server's counters to what it did in between. */
import type { ModelStats, Stats } from '../server/answers.js';
import type { Target } from '../server/request.js';

export interface Rates {
  /** Seconds since 1970. */
  time: number;
  /** Images answered a second. */
  throughput: number;
  /** Mean milliseconds of an answer and of its parts; null if none was given. */
  total: number | null;
  queue: number | null;
  decode: number | null;
  inference: number | null;
  /** Requests that a client waits for. */
  pending: number;
}

export function modelOf({ models }: Stats, { model, version }: Target): ModelStats | undefined {
  if (model === undefined) return models[0];
  return models.find((one) => one.name === model && one.version === version);
}

/** One less than there are samples. */
export function ratesOf(samples: readonly Stats[], target: Target): Rates[] {
  return samples.slice(1).flatMap((sample, i) => {
    const [before, after] = [modelOf(samples[i], target), modelOf(sample, target)];
    return before && after ? between(before, after, samples[i].time_ms, sample.time_ms) : [];
  });
}

function between(before: ModelStats, after: ModelStats, fromMs: number, toMs: number): Rates {
  const answered = after.answered - before.answered;
  const mean = (key: 'total_us' | 'queue_us' | 'decode_us' | 'inference_us') =>
    answered > 0 ? (after[key] - before[key]) / answered / 1000 : null;
  return {
    time: toMs / 1000,
    throughput: (1000 * answered) / (toMs - fromMs),
    total: mean('total_us'),
    queue: mean('queue_us'),
    decode: mean('decode_us'),
    inference: mean('inference_us'),
    pending: after.pending,
  };
}
