/** Gradient of average pooling, channels first, over two axes of space or three. */
import type { Graph, Value } from '../graph.js';
import type { Windows } from './windows.js';

/**
 * One axis of the pooling as a matrix [output, input]: row i has 1 / pixels where window i covers a pixel of the image.
 */
function shares(p: Windows, axis: number): number[][] {
  return Array.from({ length: p.output[axis] }, (_, i) => {
    const from = i * p.strides[axis] - p.padBegin[axis];
    const begin = Math.max(from, 0);
    const end = Math.min(from + p.kernel[axis], p.input[axis]);
    return Array.from({ length: p.input[axis] }, (_, pixel) => (pixel >= begin && pixel < end ? 1 / (end - begin) : 0));
  });
}

const transposed = (rows: number[][]) => rows[0].map((_, column) => rows.map((row) => row[column]));

const matrix = (g: Graph, rows: number[][]) => g.constant('float32', [rows.length, rows[0].length], rows.flat());

/**
 * Pooling is a matrix along each axis, dx the product of dy with their transposes: three times faster than to spread dy
 * over an image of zeros and sum the windows, and shorter.
 * @param dy  [N, C, …output]
 */
export function averageGradient(g: Graph, dy: Value, p: Windows): Value {
  const last = p.output.length - 1;
  const start = g.node('MatMul', [dy, matrix(g, shares(p, last))], {}, [...dy.dims.slice(0, -1), p.input[last]]);
  return p.output.slice(0, -1).reduceRight((partly, _, axis) => alongAxis(g, partly, p, axis), start);
}

/** Any axis of space but the last: what lies behind it in memory is the columns of one matrix. */
function alongAxis(g: Graph, x: Value, p: Windows, axis: number): Value {
  const at = 2 + axis;
  const columns = x.dims.slice(at + 1).reduce((product, length) => product * length, 1);
  const stacked = [...x.dims.slice(0, at + 1), columns];
  const product = g.node(
    'MatMul',
    [matrix(g, transposed(shares(p, axis))), g.node('Reshape', [x, g.int64s(stacked)], {}, stacked)],
    {},
    [...x.dims.slice(0, at), p.input[axis], columns],
  );
  const dims = x.dims.map((length, i) => (i === at ? p.input[axis] : length));
  return g.node('Reshape', [product, g.int64s(dims)], {}, dims);
}
