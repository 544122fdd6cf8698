/**
 * Where a step of a loop that reads nothing ends. Cut there, every part of the loop is the same program, compiled once;
 * cut anywhere else, each is another.
 */
import type { KernelCall } from '../kernel-call.js';

/** A variable that is assigned a second time tells that a step has passed: it ended with the last assignment before. */
export class StepWatch {
  private assigned = new Set<object>();
  /** Pending calls up to the last assignment. */
  end = 0;
  /** Variables were assigned lately, so that assignments tell steps apart. */
  isTraining = false;

  /** @returns true if the variable had a new value since the last cut */
  sees(variable: object): boolean {
    return this.assigned.has(variable);
  }

  /** @param pending  calls recorded so far, those of the new value included */
  note(variable: object, pending: number): void {
    this.assigned.add(variable);
    this.end = pending;
  }

  restart(): void {
    this.isTraining = this.assigned.size > 0;
    this.assigned.clear();
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
