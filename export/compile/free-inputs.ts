/** Which axes of a model's inputs are free, and what the program is traced with in their place. */
import type { TensorSpec } from '../../onnx/kernel-call.js';
import type { InputSpec } from './model-source.js';
import { FREE_BATCH, type ProgramAxis } from './program.js';

/**
 * Lengths of inner axes: few layers have them as a length, and two axes never the same. Halved again and again they
 * stay different, and are odd in one trace and even in another, so that what depends on that is noticed. Networks halve
 * images more often than sequences, whose steps may be unrolled.
 */
const TRACED = {
  image: [
    [597, 812, 1171],
    [613, 796, 1181],
    [631, 778, 1193],
  ],
  sequence: [
    [149, 172, 211],
    [151, 170, 223],
    [157, 164, 227],
  ],
} as const;

/** Inputs whose first axis is fixed if it is not free in all of them, or if the caller fixes it. */
export function withRows(inputs: readonly InputSpec[], asked: number | undefined): InputSpec[] {
  const rows = asked ?? inputs.find(({ shape }) => shape.length > 0 && shape[0] !== null)?.shape[0] ?? null;
  return inputs.map((input) => ({
    ...input,
    shape: input.shape.map((length, a) => (a === 0 ? (length ?? rows) : length)),
  }));
}

/** The free axes of inputs: the rows of all of them, and every other one for itself. */
export function freeAxesOf(inputs: readonly InputSpec[]): ProgramAxis[] {
  const batch = inputs.findIndex(({ shape }) => shape[0] === null);
  const inner = inputs.flatMap(({ shape }, input) =>
    shape.flatMap((length, axis) => (axis > 0 && length === null ? [{ input, axis }] : [])),
  );
  const several = new Set(inner.map(({ input }) => input)).size > 1;
  return [
    ...(batch < 0 ? [] : [{ ...FREE_BATCH, input: batch }]),
    ...inner.map(({ input, axis }, i) => {
      const { name, shape } = inputs[input];
      const example = shape.map((length, a) => length ?? (a === 0 ? 'N' : 32)).join(',');
      const side = shape.length === 4 ? ['', 'H', 'W', 'C'][axis] : `L${axis}`;
      return {
        name: several ? `${name}_${side}` : side,
        what: `axis ${axis} of ${name}`,
        advice: `give its length in inputShapes, e.g. --input-shape ${name}=${example}`,
        traced: TRACED[shape.length === 4 ? 'image' : 'sequence'][i % 3],
        input,
        axis,
      };
    }),
  ];
}

/** An input with these lengths in place of its free axes. */
export function specOf(
  { shape, dtype }: InputSpec,
  input: number,
  axes: readonly ProgramAxis[],
  lengths: readonly number[],
): TensorSpec {
  const at = (axis: number) => axes.findIndex((free) => free.axis === axis && (axis === 0 || free.input === input));
  return { dtype, shape: shape.map((length, axis) => length ?? lengths[at(axis)]) };
}
