/**
 * Entries along one axis, chosen by positions that the kernel's attributes give: resizing by nearest pixel, mirrored
 * borders.
 */
import type { Graph, Value } from '../graph.js';
import { inverse } from '../layout.js';

/**
 * `x` with the entries at `positions` along tfjs's `axis`, in x's layout.
 * @param positions  0 … length − 1; nothing is added where they are all entries in order
 */
export function pick(g: Graph, x: Value, axis: number, positions: readonly number[]): Value {
  if (positions.length === x.shape[axis] && positions.every((position, i) => position === i)) return x;
  const at = inverse(x.layout)[axis];
  const dims = x.dims.map((length, a) => (a === at ? positions.length : length));
  return g.view(g.node('Gather', [g.memory(x), g.int64s(positions)], { axis: at }, dims), x.layout);
}
