/** Gradient of average pooling, channels first, over two axes of space or three. */
import type { Graph, Value } from '../graph.js';
import type { Windows } from './windows.js';

/** How many pixels of the picture each window covered: float32 [1, 1, …output]. */
function windowCounts(g: Graph, p: Windows): Value {
  const counts = p.output.reduce<number[]>(
    (covered, length, a) => {
      const along = Array.from({ length }, (_, i) => {
        const from = i * p.strides[a] - p.padBegin[a];
        return Math.min(from + p.kernel[a], p.input[a]) - Math.max(from, 0);
      });
      return covered.flatMap((others) => along.map((count) => others * count));
    },
    [1],
  );
  return g.constant('float32', [1, 1, ...p.output], counts);
}

/**
 * Each window's gradient, divided by its pixels, goes to all of them: zeros between the windows (strides), then the sum over every
 * window that covered a pixel, as an average times its size.
 * @param dy  [N, C, …output]
 */
export function averageGradient(g: Graph, dy: Value, p: Windows): Value {
  const channels = dy.dims.slice(0, 2);
  const share = g.node('Div', [dy, windowCounts(g, p)], {}, dy.dims);
  const spread = stuffed(g, share, p);
  const begin = p.kernel.map((length, a) => length - 1 - p.padBegin[a]);
  const end = p.kernel.map((length, a) => p.input[a] - spread.dims[2 + a] - begin[a] + length - 1);
  const wide = g.node('Pad', [spread, g.int64s([0, 0, ...begin, 0, 0, ...end])], { mode: 'constant' }, [
    ...channels,
    ...p.input.map((length, a) => length + p.kernel[a] - 1),
  ]);
  const attributes = {
    kernel_shape: p.kernel,
    pads: [...begin, ...end].map(() => 0),
    strides: p.kernel.map(() => 1),
  };
  const mean = g.node('AveragePool', [wide], attributes, [...channels, ...p.input]);
  const size = p.kernel.reduce((product, length) => product * length, 1);
  return g.node('Mul', [mean, g.scalar(size)], {}, mean.dims);
}

/** Puts strides − 1 zeros after each entry along each axis of space. */
function stuffed(g: Graph, x: Value, { strides }: Windows): Value {
  if (strides.every((stride) => stride === 1)) return x;
  const [n, channels, ...space] = x.dims;
  const apart = [n, channels, ...space.flatMap((length) => [length, 1])];
  const single = g.node('Reshape', [x, g.int64s(apart)], {}, apart);
  const pads = [...apart.map(() => 0), 0, 0, ...strides.flatMap((stride) => [0, stride - 1])];
  const wide = [n, channels, ...space.flatMap((length, a) => [length, strides[a]])];
  const zeros = g.node('Pad', [single, g.int64s(pads)], { mode: 'constant' }, wide);
  const joined = [n, channels, ...space.map((length, a) => length * strides[a])];
  return g.node('Reshape', [zeros, g.int64s(joined)], {}, joined);
}
