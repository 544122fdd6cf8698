/**
 * Where a step of a loop that reads nothing ends. Cut there, every part of the loop is the same program, compiled once;
 * cut anywhere else, each is another.
 */
import type { KernelCall } from '../kernel-call.js';

/**
 * A variable that is assigned a second time tells that a step has passed. It began after that assignment which the most
 * calls follow before the next one: forward and backward pass lie there, whichever variable was assigned first.
 */
export class StepWatch {
  private assigned = new Set<object>();
  /** Pending calls up to the last assignment; undefined before the first. */
  private last?: number;
  /** The most calls between two assignments. */
  private most = 0;
  /** Pending calls before the step that is being recorded. */
  end = 0;
  /** Variables were assigned lately, so that assignments tell steps apart. */
  isTraining = false;

  /**
   * @param pending  calls recorded so far, those of the new value included
   * @returns true if the variable had a new value since the last cut
   */
  note(variable: object, pending: number): boolean {
    const again = this.assigned.has(variable);
    this.assigned.add(variable);
    const { last = pending } = this;
    if (pending - last >= this.most) {
      this.most = pending - last;
      this.end = last;
    }
    this.last = pending;
    return again;
  }

  restart(): void {
    this.isTraining = this.assigned.size > 0;
    this.assigned.clear();
    this.last = undefined;
    this.most = 0;
    this.end = 0;
  }
}

/** Calls that must be alike for a loop to have begun again. */
const ALIKE = 64;

/** What a call is, but for numbers that change from step to step. */
const form = ({ kernel, outputs }: KernelCall) => kernel + outputs.map(({ shape }) => `[${shape}]`);

/** The last place from which the calls go on as they began; 0 if there is none. */
export function lastRepetition(calls: readonly KernelCall[]): number {
  const forms = calls.map(form);
  const length = Math.min(ALIKE, calls.length >> 1);
  for (let from = calls.length - length; from >= length; from--) {
    let same = 0;
    while (same < length && forms[from + same] === forms[same]) same++;
    if (same === length) return from;
  }
  return 0;
}
