/**
 * The range of each activation on real images: the smallest and largest value, or less if the few numbers at the ends
 * cost more than they are worth.
 */

import { usableCores } from '../../base/process/usable-cores.js';
import { encodeModel, type ModelParts, type ValueInfo } from '../../onnx/file/proto.js';
import * as ort from '../../onnx/onnxruntime.js';

export const CALIBRATIONS = ['entropy', 'percentile', 'minmax'] as const;
export type Calibration = (typeof CALIBRATIONS)[number];

/** Numbers to run a model on. */
export interface Feeds {
  /** Rows in all. */
  readonly count: number;
  /** The model's inputs for rows `first` … `first + rows − 1`. */
  at(first: number, rows: number): Record<string, ort.Tensor> | Promise<Record<string, ort.Tensor>>;
}

export interface Range {
  min: number;
  max: number;
}

/** Rows at once: ten crops of each are in memory with all their activations. */
const ROWS = 4;
const BINS = 2048;
/** Numbers of one tensor that one run adds to a histogram; more say nothing new. */
const SAMPLED = 65_536;
/** `percentile` keeps this share of the numbers. */
const KEPT = 0.9999;

/**
 * Runs the model on all rows, twice: for the ends, then for the histograms between them.
 * @param names  values to look at
 */
export async function calibrate(
  parts: ModelParts,
  names: readonly string[],
  feeds: Feeds,
  method: Calibration,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<Map<string, Range>> {
  const known = new Map([...parts.inputs, ...(parts.valueInfo ?? [])].map((info) => [info.name, info]));
  const computed = names.filter((name) => !parts.inputs.some((input) => input.name === name));
  const outputs = computed.map((name) => known.get(name) as ValueInfo);
  // Of the inputs alone there is nothing to compute.
  const session = outputs.length > 0 ? await open({ ...parts, outputs, valueInfo: [] }) : undefined;
  const passes = method === 'minmax' ? 1 : 2;
  const run = async (pass: number, look: (name: string, values: Float32Array) => void) => {
    for (let first = 0; first < feeds.count; first += ROWS) {
      const inputs = await feeds.at(first, Math.min(ROWS, feeds.count - first));
      const results = { ...inputs, ...(await session?.run(inputs)) };
      for (const name of names) look(name, results[name].data as Float32Array);
      onProgress(pass * feeds.count + Math.min(first + ROWS, feeds.count), passes * feeds.count);
    }
  };
  try {
    const ends = new Map<string, Range>(names.map((name) => [name, { min: 0, max: 0 }])); // zero is always a code
    await run(0, (name, values) => widen(ends.get(name)!, values));
    if (method === 'minmax') return ends;
    const histograms = new Map([...ends].map(([name, range]) => [name, new Histogram(range)]));
    await run(1, (name, values) => histograms.get(name)!.add(values));
    return new Map(
      [...histograms].map(([name, h]) => [name, method === 'entropy' ? h.leastDivergence() : h.most(KEPT)]),
    );
  } finally {
    await session?.release();
  }
}

const open = (parts: ModelParts) =>
  ort.InferenceSession.create(encodeModel(parts), { logSeverityLevel: 3, intraOpNumThreads: usableCores() });

function widen(range: Range, values: Float32Array): void {
  let { min, max } = range;
  for (let i = 0; i < values.length; i++) {
    if (values[i] < min) min = values[i];
    if (values[i] > max) max = values[i];
  }
  Object.assign(range, { min, max });
}

/** How often absolute values were met; zeros are left out, because a code says them exactly whatever the range. */
export class Histogram {
  private readonly counts = new Float64Array(BINS);
  private readonly width: number;
  /** Codes for absolute values: half of them if both signs occur. */
  private readonly levels: number;

  constructor(private readonly range: Range) {
    this.levels = range.min < 0 && range.max > 0 ? 128 : 256;
    this.width = Math.max(range.max, -range.min) / BINS || 1;
  }

  add(values: Float32Array): void {
    const step = Math.max(1, Math.floor(values.length / SAMPLED));
    for (let i = 0; i < values.length; i += step) {
      if (values[i] === 0) continue;
      this.counts[Math.min(BINS - 1, Math.floor(Math.abs(values[i]) / this.width))] += 1;
    }
  }

  /** The range that holds this share of the values. */
  most(share: number): Range {
    const total = this.counts.reduce((sum, count) => sum + count, 0);
    let [bins, held] = [0, 0];
    while (bins < BINS && held < share * total) held += this.counts[bins++];
    return this.upTo(bins);
  }

  /**
   * The range whose codes say most about the values: least Kullback–Leibler divergence between the distribution, all
   * that is cut off at the end, and what its codes give back (Migacz, "8-bit inference with TensorRT", 2017).
   */
  leastDivergence(): Range {
    let [best, least] = [BINS, Number.POSITIVE_INFINITY];
    for (let bins = this.levels; bins <= BINS; bins += this.levels / 8) {
      const divergence = this.divergence(bins);
      if (divergence < least) [best, least] = [bins, divergence];
    }
    return this.upTo(best);
  }

  private divergence(bins: number): number {
    const { counts, levels } = this;
    const reference = counts.slice(0, bins);
    for (let i = bins; i < BINS; i++) reference[bins - 1] += counts[i];
    const total = reference.reduce((sum, count) => sum + count, 0);
    const kept = counts.subarray(0, bins).reduce((sum, count) => sum + count, 0);
    if (total === 0 || kept === 0) return Number.POSITIVE_INFINITY;
    let divergence = 0;
    for (let level = 0; level < levels; level++) {
      const [from, to] = [Math.floor((level * bins) / levels), Math.floor(((level + 1) * bins) / levels)];
      let [sum, filled] = [0, 0];
      for (let i = from; i < to; i++) {
        sum += counts[i];
        if (reference[i] > 0) filled += 1;
      }
      const share = Math.max(sum / Math.max(filled, 1) / kept, 1e-9); // what a code gives back to each of its bins
      for (let i = from; i < to; i++) {
        if (reference[i] > 0) divergence += (reference[i] / total) * Math.log(reference[i] / total / share);
      }
    }
    return divergence;
  }

  private upTo(bins: number): Range {
    const end = bins * this.width;
    return { min: Math.max(this.range.min, -end), max: Math.min(this.range.max, end) };
  }
}
