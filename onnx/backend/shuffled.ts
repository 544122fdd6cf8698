/**
 * Programs of the same calls that are never connected the same way: which elements of a batch were mapped since the last
 * step, and where in the batch they stand, is chance in a shuffled `tf.data` set. What comes before the batch is small;
 * without it all steps are one program.
 */
import { LRUCache } from 'lru-cache';
import type { KernelCall } from '../kernel-call.js';
import { costOf, formOf, KNOWN, spares, TINY } from './eager.js';
import type { TensorRecord } from './record.js';

/** Programs that were due to be compiled, by a number that does not depend on the order of their calls. */
const seen = new LRUCache<number, 'once' | 'split'>({ max: KNOWN });

const numberOf = (calls: readonly KernelCall[]) => calls.reduce((sum, call) => (sum + formOf(0, call)) | 0, 0);

/** The small calls at a program's beginning; empty if there are none, or nothing else. */
function smallBeginning(calls: readonly KernelCall[]): Set<KernelCall> {
  const small = new Set<KernelCall>();
  for (const call of calls) {
    const isNext = call.inputs.every((input) => !input?.source || small.has(input.source.call));
    if (isNext && costOf(call) < TINY) small.add(call);
  }
  return small.size < calls.length ? small : new Set();
}

/** The small beginning of a program, if one of the same calls was split; else empty. */
export function splitAgain(calls: readonly KernelCall[]): Set<KernelCall> {
  return spares() && seen.get(numberOf(calls)) === 'split' ? smallBeginning(calls) : new Set();
}

/** The small beginning of a program that is due to be compiled, if one of the same calls was before; else empty. */
export function splitWhenDue(calls: readonly KernelCall[]): Set<KernelCall> {
  if (!spares()) return new Set();
  const number = numberOf(calls);
  const small = seen.has(number) ? smallBeginning(calls) : new Set<KernelCall>();
  seen.set(number, small.size > 0 ? 'split' : 'once');
  return small;
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
