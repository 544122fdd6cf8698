/**
 * What a file is compared with the program on: how many rows, on which of tfjs's backends. The cpu backend shares no
 * code with the exporter and is slow; wasm shares none either, where it is installed.
 */
import { backendWasm } from '../../base/tfjs/backend-wasm.js';
import type { ModelParts } from '../../onnx/file/proto.js';
import { BATCH } from '../compile/free-axes.js';
import { multiplications } from './cost.js';

/** `quick`: fewer rows, and for a heavy network no backend that takes long. */
export const VERIFICATIONS = ['full', 'quick'] as const;
export type Verification = (typeof VERIFICATIONS)[number];

/** One run of the program and of the file. */
export interface CheckRun {
  backend: 'cpu' | 'wasm' | 'onnxruntime';
  /** In place of a free number. */
  rows: number;
  /** Tells the numbers fed from those of other runs. */
  seed: number;
}

/** Rows where their number is free. The exporter traces 53, 59 and 1009. */
const ROWS = { full: [1, 2, 3, 7], quick: [1, 2] };
/** Different numbers for a fixed number of rows. */
const DRAWS = { full: 2, quick: 1 };
/** Runs of a heavy network at most. */
const HEAVY_RUNS = 3;
/** Multiplications that the cpu backend does in some 10 s. */
const LIGHT = 1e9;

/** Length of an inner axis that is free; other runs take others. Inception takes images of 75 pixels at least. */
export const innerLength = (axis: number, { rows, seed }: Pick<CheckRun, 'rows' | 'seed'>): number =>
  80 + 5 * axis + 3 * rows + 7 * seed;

/** The plans to follow, the second if the first cannot be or finds a difference. */
export async function checkPlans(parts: ModelParts, verification: Verification): Promise<CheckRun[][]> {
  const free = parts.inputs.some(({ dims }) => dims[0] === BATCH);
  const fixed = parts.inputs.map(({ dims }) => dims[0]).find((length) => typeof length === 'number');
  const sizes = free ? ROWS[verification] : new Array<number>(DRAWS[verification]).fill(Number(fixed ?? 1));
  const runs = (backend: CheckRun['backend']) => sizes.map((rows, i) => ({ backend, rows, seed: free ? 0 : i }));
  const lengthOf = (name: string) => {
    const [, whole, part] = /^(.*?)(?:_(\d+)(?:_\d+)?)?$/.exec(name)!; // `H_2` is about a half of `H`
    return (whole === BATCH ? 1 : innerLength(1, { rows: 1, seed: 0 })) / Number(part ?? 1);
  };
  const rows = free ? sizes.reduce((sum, size) => sum + size, 0) : sizes.length;
  if (rows * multiplications(parts, lengthOf) <= LIGHT) return [runs('cpu')];
  // The rest of a heavy network's rows, and fewer of them, is compared with this package's backend, which takes less.
  const heavy = (backend: CheckRun['backend'], first: number) =>
    runs('onnxruntime')
      .slice(0, HEAVY_RUNS)
      .map((run, i) => (i < first ? { ...run, backend } : run));
  const slow = heavy('cpu', verification === 'quick' ? 0 : 1);
  return (await backendWasm()) ? [heavy('wasm', 2), slow] : [slow];
}

/** `rows 1, 2, 3 and 7 on tfjs's wasm backend` */
export function describeRuns(runs: readonly CheckRun[]): string {
  const backends = [...new Set(runs.map(({ backend }) => backend))];
  return backends
    .map((backend) => {
      const rows = runs.filter((run) => run.backend === backend).map((run) => run.rows);
      const owner = backend === 'onnxruntime' ? "this package's backend" : `tfjs's ${backend} backend`;
      return `${rows.join(' + ')} row${rows.length === 1 && rows[0] === 1 ? '' : 's'} on ${owner}`;
    })
    .join(', ');
}
