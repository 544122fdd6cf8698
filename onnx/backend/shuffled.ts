/**
 * Programs of the same calls that are never wired the same: which elements of a batch were mapped since the last step, and
 * where in the batch they stand, is chance in a shuffled `tf.data` set. What comes before the batch is small; without it
 * all steps are one program.
 */
import { LRUCache } from 'lru-cache';
import type { KernelCall } from '../kernel-call.js';
import { costOf, formOf, KNOWN, spares, TINY } from './eager.js';
import type { TensorRecord } from './record.js';

/** Programs that were seen, by a number that does not depend on the order of their calls. */
const seen = new LRUCache<number, true>({ max: KNOWN });

const total = (calls: readonly KernelCall[]) => calls.reduce((sum, call) => (sum + formOf(0, call)) | 0, 0);

/**
 * Of a program that is not compiled: if one of the same calls was seen before, those at its beginning that are small.
 * Empty if there are none, or nothing else.
 */
export function smallBeginning(calls: readonly KernelCall[]): Set<KernelCall> {
  const small = new Set<KernelCall>();
  if (!spares()) return small;
  const number = total(calls);
  if (seen.has(number))
    for (const call of calls) {
      const isNext = call.inputs.every((input) => !input?.source || small.has(input.source.call));
      if (isNext && costOf(call) < TINY) small.add(call);
    }
  seen.set(number, true);
  return small.size < calls.length ? small : new Set();
}

/** What the small calls compute for the rest, or for others. */
export function leftBy(
  small: ReadonlySet<KernelCall>,
  rest: readonly KernelCall[],
  alive: readonly TensorRecord[],
): TensorRecord[] {
  const inputs = rest.flatMap((call) => call.inputs as readonly (TensorRecord | undefined)[]);
  const read = new Set([...alive, ...inputs.filter((input) => input !== undefined)]);
  return [...read].filter(({ source }) => source && small.has(source.call));
}
