/** Loops that do not end: while a program is traced or checked, the rounds of each are counted, and have a limit. */
import { UserError } from '../../base/errors.js';
import { recorder } from '../../onnx/backend/onnxruntime-backend.js';
import type { ExecutedNode } from './branches.js';

/** Of a loop in one run of a check: some seconds if a round is cheap. */
export const MOST_ROUNDS = 100_000;
/** Of a loop that is unrolled: minutes, because a trace of so many is slow, and so is the file. */
const MOST_UNROLLED = 2_000;

export class EndlessLoopError extends UserError {
  /** @param problem  default: it went beyond the check's limit */
  constructor(
    loop: string,
    options?: ErrorOptions,
    problem = `this loop did not end within ${MOST_ROUNDS.toLocaleString('en')} rounds on the check's random numbers`,
  ) {
    super(
      `${loop}: ${problem}; limit its rounds in the model, or cut the model before it with outputs (--outputs)`,
      options,
    );
  }
}

const TOO_LONG = `unrolling this loop takes more than ${MOST_UNROLLED.toLocaleString('en')} rounds`;

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

/** Told that a loop begins, with the nodes that its rounds compute: each time inside another loop it has all its rounds. */
export function beginLoop(nodes: readonly ExecutedNode[]): void {
  for (const node of nodes) counts?.delete(node);
}

/**
 * Told of each time that a node of a loop is computed.
 * @throws {EndlessLoopError} at one time too many
 */
export function countRound(loop: string, node: ExecutedNode): void {
  const count = 1 + (counts?.get(node) ?? 0);
  if (recorder.tracing && count > MOST_UNROLLED) throw new EndlessLoopError(loop, {}, TOO_LONG);
  if (count > MOST_ROUNDS) throw new EndlessLoopError(loop);
  counts?.set(node, count);
}
