/**
 * What max pooling with positions gives, without them, for runtimes whose `MaxPool` has no second output: each position in the window
 * is a cut of the image as large as the pooled one, and equal to it where the maximum is.
 */
import type { Graph, Value } from '../graph.js';
import { point, where } from './elementwise.js';
import { interleaved, negated, padSpace, pixelsMet, positions, type Windows } from './windows.js';

/** Where each position in the window holds the maximum, bool [N, C, …output]. */
function hits(g: Graph, image: Value, pooled: Value, p: Windows): Value[] {
  const padEnd = p.padEnd.map((pad) => Math.max(pad, 0));
  const padded = padSpace(g, image, p.padBegin, padEnd, -Infinity);
  return positions(p.kernel).map((at) => point(g, 'Equal', [pixelsMet(g, padded, p, at), pooled], 'bool'));
}

/**
 * Gradient of max pooling.
 * @param image   [N, C, …input]
 * @param pooled  its maxima; as `dy` [N, C, …output]
 * @param wins    which of equal maxima in a window gets the gradient
 */
export function gradientByMasks(
  g: Graph,
  { image, pooled, dy }: { image: Value; pooled: Value; dy: Value },
  p: Windows,
  wins: 'first' | 'last',
): Value {
  const zero = g.scalar(0);
  const masks = hits(g, image, pooled, p);
  const shares = new Array<Value>(masks.length);
  let left = dy; // what no position before this one has taken
  for (const at of wins === 'first' ? masks.keys() : [...masks.keys()].reverse()) {
    shares[at] = where(g, masks[at], left, zero);
    left = where(g, masks[at], zero, left);
  }
  return spread(g, shares, p);
}

/**
 * Adds what each position in the window got to the pixels it met: pixels whose positions differ by whole strides lie on one grid,
 * where that is a sum of shifted images, and the grids interleave.
 */
function spread(g: Graph, shares: readonly Value[], p: Windows): Value {
  const reach = p.kernel.map((length, a) => Math.floor((length - 1) / p.strides[a]));
  const lengths = p.output.map((length, a) => length + reach[a]);
  const at = positions(p.kernel);
  const grids = positions(p.strides).map((grid) => {
    // From the last position on, as windows come in order: sums are those of a scatter.
    const members = [...at.keys()].reverse().filter((i) => grid.every((g, a) => at[i][a] % p.strides[a] === g));
    const shifted = members.map((i) => {
      const begin = at[i].map((position, a) => Math.floor(position / p.strides[a]));
      return padSpace(
        g,
        shares[i],
        begin,
        begin.map((shift, a) => reach[a] - shift),
      );
    });
    return shifted.length > 0 ? shifted.reduce((sum, x) => point(g, 'Add', [sum, x])) : undefined;
  });
  const whole = interleaved(g, grids, lengths, p.strides);
  const ends = p.input.map((length, a) => length + p.padBegin[a] - lengths[a] * p.strides[a]);
  return padSpace(g, whole, negated(p.padBegin), ends);
}

/** Positions in the image [height, width] of the maxima, the first of equal ones: int32 [N, C, …output]. */
export function positionsByMasks(g: Graph, image: Value, pooled: Value, p: Windows): Value {
  const [height, width] = p.output;
  const at = positions(p.kernel);
  const start = g.scalar(0, 'int32');
  return hits(g, image, pooled, p).reduceRight((found, mask, i) => {
    const pixels = Int32Array.from({ length: height * width }, (_, place) => {
      const row = Math.floor(place / width) * p.strides[0] + at[i][0] - p.padBegin[0];
      return row * p.input[1] + (place % width) * p.strides[1] + at[i][1] - p.padBegin[1];
    });
    return where(g, mask, g.constant('int32', [1, 1, height, width], pixels), found);
  }, start);
}
