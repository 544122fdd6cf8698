/** Loops that do not end: while a program is traced or checked, the rounds of each are counted, and have a limit. */
import { UserError } from '../../base/errors.js';
import { recorder } from '../../onnx/backend/onnxruntime-backend.js';
import type { ExecutedNode } from './branches.js';

/** Of a loop in one run of a check: some seconds if a round is cheap. */
export const MOST_ROUNDS = 100_000;
/** Of a loop that is unrolled: minutes, because a trace of so many is slow, and so is the file. */
const MOST_UNROLLED = 2_000;

export class EndlessLoopError extends UserError {
  constructor(loop: string, options?: ErrorOptions) {
    const tried = recorder.tracing ? [MOST_UNROLLED, ''] : [MOST_ROUNDS, ' on the random numbers of the check'];
    super(
      `${loop}: this loop has not ended after ${tried[0].toLocaleString('en')} rounds${tried[1]}; ` +
        'limit its rounds in the model, or cut the model before it with outputs (--outputs)',
      options,
    );
  }
}

let counts: Map<ExecutedNode, number> | undefined;

/** Runs a program with `countRound`. */
export async function countingRounds<T>(run: () => Promise<T>): Promise<T> {
  counts = new Map();
  try {
    return await run();
  } finally {
    counts = undefined;
  }
}

/**
 * Told of each time that a node of a loop is computed.
 * @throws {EndlessLoopError} at one time too many
 */
export function countRound(loop: string, node: ExecutedNode): void {
  const count = 1 + (counts?.get(node) ?? 0);
  if (count > (recorder.tracing ? MOST_UNROLLED : MOST_ROUNDS)) throw new EndlessLoopError(loop);
  counts?.set(node, count);
}
