/** What the helpers of all models of a server may take of the machine's memory. */
import { freeMemory } from '../../base/out-of-memory.js';

export class HelperMemory {
  private taken = 0;

  /** @param bytes  for all helpers together */
  constructor(private readonly bytes: number) {}

  /** What is left of it, at most half of what the machine or container has left. */
  get free(): number {
    return Math.min(this.bytes - this.taken, freeMemory() / 2);
  }

  /** @returns what gives it back */
  take(bytes: number): () => void {
    this.taken += bytes;
    return () => {
      this.taken -= bytes;
    };
  }
}
