/** A checkpoint in memory: what training changes, to be saved later. */
import { type RunState, restoreValues } from './checkpoint.js';
import type { NamedVariable } from './weights.js';

type Values = Map<string, Float32Array>;

export class HeldCheckpoint {
  private readonly values: Values[];
  private readonly state: RunState;

  /** @param variables  weights that are trained, and their velocities */
  constructor(
    private readonly variables: NamedVariable[][],
    state: RunState,
  ) {
    this.values = variables.map(valuesOf);
    this.state = structuredClone(state);
  }

  /** Calls `save` while the variables have the values that are held. */
  async save(save: (state: RunState) => Promise<void>): Promise<void> {
    const now = this.variables.map(valuesOf);
    this.restore(this.values);
    try {
      await save(this.state);
    } finally {
      this.restore(now);
    }
  }

  private restore(values: Values[]): void {
    for (const [i, variables] of this.variables.entries()) restoreValues(variables, values[i]);
  }
}

function valuesOf(variables: NamedVariable[]): Values {
  return new Map(variables.map(({ name, variable }) => [name, Float32Array.from(variable.dataSync())]));
}
