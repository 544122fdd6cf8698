/** The experiment as the server answers it, line by line. */
import type { OcclusionLine, OcclusionStart } from '../server/answers.js';
import { jsonLines } from '../server/lines.js';
import { ask, Gone, Refused } from '../server/request.js';
import type { Subject } from '../subject.js';

/** Undefined: as the server does it. */
export interface Covering {
  /** Index of the class. */
  class?: number;
  /** Sides of the square, and steps between its places, pixels. */
  patch?: number;
  stride?: number;
}

export interface Covered {
  start: OcclusionStart;
  /** By position, row by row; those done so far. */
  probabilities: number[];
  /** The then most probable class, likewise. */
  tops: number[];
  done: number;
  /** Once all are done. */
  lowest?: { row: number; column: number; probability: number };
}

/**
 * @param show  called with what is known so far
 * @throws as `ask`; Gone where the answer ends before its last line
 */
export async function cover(
  { image, target, crop }: Subject,
  covering: Covering,
  signal: AbortSignal,
  show: (covered: Covered) => void,
): Promise<void> {
  const query = { ...covering, crop: crop?.number, ...target };
  const response = await ask('explain/occlusion', query, signal, image!.blob);
  let covered: Covered | undefined;
  for await (const line of jsonLines<OcclusionLine>(response)) {
    signal.throwIfAborted();
    if (line.type === 'error') throw new Refused(line.error.code, line.error.message);
    covered = after(covered, line);
    show(covered);
  }
  if (!covered?.lowest) throw new Gone('the server stopped before the end; try again');
}

function after(before: Covered | undefined, line: Exclude<OcclusionLine, { type: 'error' }>): Covered {
  if (line.type === 'start') return { start: line, probabilities: [], tops: [], done: 0 };
  if (line.type === 'end') return { ...before!, lowest: line.lowest };
  const { start, probabilities, tops } = before!;
  return {
    start,
    probabilities: [...probabilities.slice(0, line.first), ...line.probabilities],
    tops: [...tops.slice(0, line.first), ...line.tops],
    done: line.done,
  };
}
