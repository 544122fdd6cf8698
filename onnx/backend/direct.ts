/**
 * Calls that the cpu kernels compute as they are made, because the program that they are part of, up to the next read, is
 * too small or too new to be worth compiling: recording a call takes half as long as computing it. What a program is
 * worth shows at its end, so it is recognised by its first calls.
 */
import { LRUCache } from 'lru-cache';
import { type CallForm, CPU_CALL, costOf, formOf, isDue, isWorthCompiling, KNOWN, spares, TINY } from './eager.js';

/** Direct calls between two reads; a loop that reads nothing is recorded then, and its steps are found. */
const MAX_CALLS = 4096;

export class DirectCalls {
  /** Of the calls since the last read, up to the first that was recorded. */
  form = 0;
  private calls = 0;
  private cost = 0;
  private isRecording = false;
  /** Form up to the call with which the program stopped being tiny. */
  private beginning?: number;
  /** Programs that are recorded, and that are not, by their beginning. */
  private readonly recorded = new LRUCache<number, boolean>({ max: KNOWN });
  /** A program with an unknown beginning is taken for one like the last. */
  private recordsUnknown = true;

  /** True if a call is to be computed now. The first that is not is recorded, as are all after it until `endStretch`. */
  computesNow(call: CallForm): boolean {
    if (this.isRecording || !spares()) return false;
    const form = formOf(this.form, call);
    const cost = this.cost + costOf(call);
    const calls = this.calls + 1;
    if (cost - CPU_CALL * calls > TINY) {
      this.beginning ??= form;
      if (calls > MAX_CALLS || isWorthCompiling(cost, calls)) this.recorded.set(this.beginning, true);
      this.isRecording = this.recorded.get(this.beginning) ?? this.recordsUnknown;
      if (this.isRecording) return false;
    }
    this.form = form;
    this.cost = cost;
    this.calls = calls;
    return true;
  }

  /** Call when a program was recorded. @param isCompiled  false if the cpu kernels computed it all the same */
  noteRecorded(isCompiled: boolean): void {
    this.recordsUnknown = isCompiled;
    if (this.beginning !== undefined) this.recorded.set(this.beginning, isCompiled);
  }

  /** Call when a value was read, or a step ended. */
  endStretch(): void {
    const { beginning, isRecording, form, cost, calls } = this;
    if (beginning !== undefined && !isRecording && isDue(form, cost, calls)) this.recorded.set(beginning, true);
    this.form = 0;
    this.cost = 0;
    this.calls = 0;
    this.isRecording = false;
    this.beginning = undefined;
  }
}
