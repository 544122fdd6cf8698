/**
 * Kernels with numbers as attributes that may change from step to step: where a batch begins in a slice, what a tensor is
 * filled with. A program that stores such numbers is another program for each of them; here they are an input of the
 * graph. Shapes stay fixed: entries are picked by numbers of rows, not cut out.
 */
import { cpu } from '../../base/tfjs/backend-cpu.js';
import type { Graph, Value } from '../graph.js';
import type { Attrs, DType, TensorSpec } from '../kernel-call.js';
import { inverse, type TensorData, toMemory } from '../layout.js';
import { point } from './elementwise.js';
import { within } from './gather-scatter.js';
import { padded, sliceParams, withLength } from './shape.js';

export interface LooseForm {
  /** The numbers, of the type that the graph reads them in; undefined if these attributes have none. */
  readonly numbers: (inputs: readonly TensorSpec[], attrs: Attrs) => TensorData | undefined;
  /** What the rest of the attributes says. */
  readonly fixed: (inputs: readonly TensorSpec[], attrs: Attrs) => Attrs;
  readonly lower: (g: Graph, inputs: Value[], numbers: Value, fixed: Attrs) => Value;
}

const iota = (g: Graph, length: number) =>
  g.constant(
    'int32',
    [length],
    Int32Array.from({ length }, (_, i) => i),
  );

/** One of the numbers: a tensor without axes, or with one of length 1. */
const one = (g: Graph, numbers: Value, at: number, dims: [] | [1] = []) =>
  g.node('Gather', [numbers, g.constant('int64', dims, [at])], { axis: 0 }, dims);

/** Entries of one of tfjs's axes at these places. */
function taken(g: Graph, x: Value, axis: number, places: Value): Value {
  const position = inverse(x.layout)[axis];
  const dims = toMemory(withLength(x.shape, axis, places.dims[0]), x.layout);
  return g.view(g.node('Gather', [g.memory(x), places], { axis: position }, dims), x.layout);
}

/** Entries of one of tfjs's axes from a number that the graph reads, `length` of them. */
function cutFrom(g: Graph, x: Value, axis: number, from: Value, length: number): Value {
  if (length === x.shape[axis]) return x;
  return taken(g, x, axis, point(g, 'Add', [iota(g, length), from]));
}

/** `length` entries of an axis, those of x from a number that the graph reads on, all others `filling`. */
function placed(g: Graph, x: Value, axis: number, before: Value, { length, filling }: Attrs): Value {
  const own = x.shape[axis];
  if (length === own) return x;
  const row = withLength(x.shape, axis, 1);
  const dims = toMemory(withLength(x.shape, axis, own + 1), x.layout);
  const extra = g.node(
    'ConstantOfShape',
    [g.int64s(toMemory(row, x.layout))],
    { value: { dtype: x.dtype, dims: [1], data: [filling] } },
    toMemory(row, x.layout),
    x.dtype,
  );
  const position = inverse(x.layout)[axis];
  const longer = g.view(g.node('Concat', [g.memory(x), extra], { axis: position }, dims), x.layout);
  const places = point(g, 'Sub', [iota(g, length), before]);
  return taken(g, longer, axis, within(g, places, own));
}

const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;

export const LOOSE: Record<string, LooseForm> = {
  Slice: {
    numbers: ([x], attrs) => Int32Array.from(sliceParams(x, attrs)[0]),
    fixed: ([x], attrs) => ({ size: sliceParams(x, attrs)[1] }),
    lower: (g, [x], begin, { size }) =>
      x.shape.reduce((value, _, axis) => cutFrom(g, value, axis, one(g, begin, axis, [1]), size[axis]), x),
  },
  /** The gradient of a slice. */
  PadV2: {
    numbers: (_inputs, { paddings }) => Int32Array.from(paddings, ([before]: number[]) => before),
    fixed: ([x], { paddings, constantValue }) => ({ shape: padded(x.shape, paddings), filling: constantValue }),
    lower: (g, [x], before, { shape, filling }) =>
      x.shape.reduce(
        (value, _, axis) => placed(g, value, axis, one(g, before, axis, [1]), { length: shape[axis], filling }),
        x,
      ),
  },
  Fill: {
    numbers: (_inputs, { value, dtype }) => ARRAYS[(dtype ?? 'float32') as DType].of(value),
    fixed: (_inputs, { shape }) => ({ shape }),
    lower: (g, _inputs, value, { shape }) =>
      shape.length === 0 ? g.reshape(value, []) : g.node('Expand', [value, g.int64s(shape)], {}, shape),
  },
  ClipByValue: {
    numbers: ([x], { clipValueMin, clipValueMax }) =>
      x.dtype === 'float32' ? Float32Array.of(clipValueMin, clipValueMax) : undefined,
    fixed: () => ({}),
    lower: (g, [x], bounds) => g.view(point(g, 'Clip', [g.memory(x), one(g, bounds, 0), one(g, bounds, 1)]), x.layout),
  },
  Range: {
    numbers: (_inputs, { start, stop, step, dtype }) => cpu.shared.rangeImpl(start, stop, step, dtype) as TensorData,
    fixed: () => ({}),
    lower: (_g, _inputs, values) => values,
  },
};
