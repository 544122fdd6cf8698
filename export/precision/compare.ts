/**
 * Two files of one classifier side by side, opened as they are served on the CPU: how often they name the same class first,
 * and how fast each answers.
 */
import { usableCores } from '../../base/process/usable-cores.js';
import { openEdited } from '../../onnx/file/open-edited.js';
import type * as ort from '../../onnx/onnxruntime.js';
import { rewriteFor } from '../../onnx/rewrite/for-provider.js';
import type { Feeds } from './calibrate.js';

export interface Comparison {
  /** Rows compared. */
  pictures: number;
  /** Share of the rows whose largest output is the same. */
  agreement: number;
  /** Medians of milliseconds per row, one row at a time, the files in turn. */
  referenceMs: number;
  ms: number;
}

/** Rows at once while agreement is counted. */
const ROWS = 16;
const TIMED = 30;
const WARM_UP = 5;

/**
 * @param reference, file  models with the same inputs and a first output [N, classes]
 */
export async function compareFiles(
  reference: string,
  file: string,
  feeds: Feeds,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<Comparison> {
  const sessions = [await open(reference), await open(file)];
  try {
    let same = 0;
    for (let first = 0; first < feeds.count; first += ROWS) {
      const inputs = await feeds.at(first, Math.min(ROWS, feeds.count - first));
      const [a, b] = [await winners(sessions[0], inputs), await winners(sessions[1], inputs)];
      same += a.filter((winner, i) => winner === b[i]).length;
      onProgress(Math.min(first + ROWS, feeds.count), feeds.count);
    }
    const times: number[][] = [[], []];
    for (let round = 0; round < TIMED + WARM_UP; round++) {
      const inputs = await feeds.at(round % feeds.count, 1);
      for (const [i, session] of sessions.entries()) {
        const start = performance.now();
        await session.run(inputs);
        if (round >= WARM_UP) times[i].push(performance.now() - start);
      }
    }
    return {
      pictures: feeds.count,
      agreement: same / feeds.count,
      referenceMs: median(times[0]),
      ms: median(times[1]),
    };
  } finally {
    for (const session of sessions) await session.release();
  }
}

const open = (file: string) =>
  openEdited(file, (model) => rewriteFor('cpu', model), { logSeverityLevel: 3, intraOpNumThreads: usableCores() });

/** Index of the largest value of each row of the first output. */
async function winners(session: ort.InferenceSession, inputs: Record<string, ort.Tensor>): Promise<number[]> {
  const { data, dims } = (await session.run(inputs))[session.outputNames[0]];
  const classes = dims.slice(1).reduce((product, length) => product * length, 1);
  return Array.from({ length: dims[0] }, (_, row) => {
    let best = row * classes;
    for (let i = best; i < (row + 1) * classes; i++) if (Number(data[i]) > Number(data[best])) best = i;
    return best - row * classes;
  });
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
