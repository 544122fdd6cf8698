/** Kernels that make a tensor from attributes alone, or from another's shape. */
import { cpu } from '../../base/tfjs/backend-cpu.js';
import type { Attrs, DType } from '../kernel-call.js';
import type { TensorData } from '../layout.js';
import type { Rule } from '../rule.js';
import { same } from './elementwise.js';

function constantLike(data: number): Rule {
  return {
    since: 13,
    inputs: ['x'],
    outputs: same,
    lower: (g, [x]) => {
      const shape = g.node('Shape', [g.memory(x)], {}, [x.dims.length], 'int64');
      const value = { dtype: x.dtype, dims: [1], data: [data] };
      return [g.view(g.node('ConstantOfShape', [shape], { value }, x.dims, x.dtype), x.layout)];
    },
  };
}

/** Above this, numbers are better kept out of a graph, which is compiled for them. */
const MAX_STORED = 4096;

/** A row of numbers that tfjs counts up, rounding after each step: counted the same way and stored. */
function sequence(dtypeOf: (attrs: Attrs) => DType, values: (attrs: Attrs) => TensorData): Rule {
  return {
    since: 1,
    inputs: [],
    refuses: (_inputs, attrs) => {
      const { length } = values(attrs);
      return length > MAX_STORED ? `${length} numbers` : undefined;
    },
    outputs: (_inputs, attrs) => [{ shape: [values(attrs).length], dtype: dtypeOf(attrs) }],
    lower: (g, _inputs, attrs) => {
      const data = values(attrs);
      return [g.constant(dtypeOf(attrs), [data.length], data)];
    },
  };
}

export const CREATION: Record<string, Rule> = {
  ZerosLike: constantLike(0),
  OnesLike: constantLike(1),

  Fill: {
    since: 13,
    inputs: [],
    refuses: (_inputs, { dtype, value }) =>
      typeof value === 'number' && dtype !== 'string' ? undefined : `dtype ${dtype}`,
    outputs: (_inputs, { shape, dtype }) => [{ shape, dtype: dtype ?? 'float32' }],
    lower: (g, _inputs, { shape, value, dtype }) => {
      const filling = { dtype: dtype ?? 'float32', dims: [1], data: [value] };
      return [g.node('ConstantOfShape', [g.int64s(shape)], { value: filling }, shape, filling.dtype)];
    },
  },

  LinSpace: sequence(
    () => 'float32',
    ({ start, stop, num }) => cpu.shared.linSpaceImpl(start, stop, num) as TensorData,
  ),
  Range: sequence(
    ({ dtype }) => dtype,
    ({ start, stop, step, dtype }) => cpu.shared.rangeImpl(start, stop, step, dtype) as TensorData,
  ),
};
