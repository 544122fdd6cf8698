/** Running sums and products along one axis, in whatever layout the operand has. */
import { util } from '../../base/tfjs/core.js';
import type { Graph, Value } from '../graph.js';
import type { Attrs } from '../kernel-call.js';
import { inverse } from '../layout.js';
import type { Rule } from '../rule.js';
import { cast } from './elementwise.js';

function lowerCumsum(g: Graph, x: Value, axis: number, { exclusive, reverse }: Attrs): Value {
  const attributes = { exclusive: exclusive ? 1 : 0, reverse: reverse ? 1 : 0 };
  return g.node('CumSum', [x, g.scalar(axis, 'int64')], attributes, x.dims);
}

/**
 * ONNX has no such operator. Every round multiplies by the tensor moved twice as far as before, ones moved in: after
 * ⌈log2 n⌉ rounds each element holds the product of all before it. The order of the factors, and so the last bit, is
 * not tfjs's.
 */
function lowerCumprod(g: Graph, x: Value, axis: number, { exclusive, reverse }: Attrs): Value {
  const length = x.dims[axis];
  const moved = (value: Value, by: number): Value => {
    const pads = new Array<number>(2 * x.dims.length).fill(0);
    pads[axis + (reverse ? x.dims.length : 0)] = by;
    const dims = x.dims.map((side, a) => (a === axis ? side + by : side));
    const padded = g.node('Pad', [value, g.int64s(pads), g.scalar(1, x.dtype)], { mode: 'constant' }, dims);
    const from = reverse ? by : 0;
    return g.node('Slice', [padded, g.int64s([from]), g.int64s([from + length]), g.int64s([axis])], {}, x.dims);
  };
  let product = exclusive ? moved(x, 1) : x;
  for (let by = 1; by < length; by *= 2) product = g.node('Mul', [product, moved(product, by)], {}, x.dims);
  return product;
}

/** `lower` works on memory order; tfjs counts booleans as integers. */
function cumulative(lower: (g: Graph, x: Value, axis: number, attrs: Attrs) => Value): Rule {
  const dtypeOf = (dtype: string) => (dtype === 'float32' ? 'float32' : 'int32');
  return {
    since: 13,
    inputs: ['x'],
    refuses: ([x]) => (x.shape.length === 0 ? 'a scalar' : undefined),
    outputs: ([x]) => [{ shape: x.shape, dtype: dtypeOf(x.dtype) }],
    lower: (g, [x], attrs) => {
      const [axis] = util.parseAxisParam(attrs.axis, [...x.shape]);
      const number = g.memory(cast(g, x, dtypeOf(x.dtype)));
      return [g.view(lower(g, number, inverse(x.layout)[axis], attrs), x.layout)];
    },
  };
}

export const CUMULATIVE: Record<string, Rule> = {
  Cumsum: cumulative(lowerCumsum),
  Cumprod: cumulative(lowerCumprod),
};
