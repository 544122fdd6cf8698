/**
 * Loops whose number of rounds the data decide, as kernels of our own around the calls of one round: `LoopBegin` gives
 * the values that a round starts with, `LoopEnd` takes those it ends with. They exist while a program is traced. In a
 * file they and what lies between become one `Loop`, see `file/nest-loops.ts`.
 */
import type { Graph, Value } from '../graph.js';
import type { Rule } from '../rule.js';

/** Kernel, and node in a graph that is not nested yet. */
export const LOOP_BEGIN = 'LoopBegin';
/** The kernel at the end of a round; its node has the operator's own name. */
export const LOOP_END = 'LoopEnd';

/** An axis that grows from round to round, by the number of its length: see `Graph.selected`. */
export interface Grown {
  index: number;
  value: number;
  axis: number;
}

const inMemory = (g: Graph, values: readonly Value[]) => values.map((value) => g.memory(g.plain(value)));

function grow(g: Graph, values: readonly Value[], grown: Grown | undefined): Value[] {
  if (grown) g.selected.set(grown.index, { value: values[grown.value], axis: grown.axis });
  return [...values];
}

export const LOOP: Record<string, Rule> = {
  /** whether there is a first round, values before it → values at the start of any round */
  [LOOP_BEGIN]: {
    since: 13,
    inputs: '*',
    list: true,
    takesEmpty: true,
    outputs: ([, ...values], { shapes }) => values.map(({ dtype }, i) => ({ dtype, shape: shapes[i] })),
    lower: (g, [first, ...values], { loop, shapes, grown }) => {
      const starts = values.map(({ dtype }, i) => ({ dtype, dims: shapes[i] }));
      const [, , ...started] = g.multi(LOOP_BEGIN, inMemory(g, [first, ...values]), { loop }, [
        { dtype: 'int64', dims: [] }, // number of the round
        { dtype: 'bool', dims: [] },
        ...starts,
      ]);
      return grow(g, started, grown);
    },
  },

  /** any value of `LoopBegin`, whether there is another round, values at the end of this one → values after the last */
  [LOOP_END]: {
    since: 13,
    inputs: '*',
    list: true,
    outputs: ([, , ...values], { shapes }) => values.map(({ dtype }, i) => ({ dtype, shape: shapes[i] })),
    lower: (g, [started, again, ...values], { loop, shapes, grown }) => {
      const [round] = g.producer(g.memory(started))!.outputs;
      const ends = values.map(({ dtype }, i) => ({ dtype, dims: shapes[i] }));
      return grow(g, g.multi('Loop', [round, ...inMemory(g, [again, ...values])], { loop }, ends), grown);
    },
  },
};
