/** An inference process's answer to a request, for tests of the queue. */
import type { Answer } from '../../serve/inference/messages.js';

export function answerOf(id: number, inferenceMs = 2): Answer {
  return { type: 'answer', id, probabilities: new Float32Array(1), decodeMs: 1, inferenceMs, runs: 1, batch: 1 };
}
