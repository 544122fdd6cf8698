/** Pooling and its gradients, in NCHW. tfjs's average leaves padding out of the count, as ONNX does by default. */
import { backend_util } from '@tensorflow/tfjs-core';
import type { Graph, Value } from '../graph.js';
import type { Attrs } from '../kernel-call.js';
import { NCHW } from '../layout.js';
import { type Rule, refusesAllButFloat } from '../rule.js';

interface PoolGeometry {
  output: [number, number];
  kernel: [number, number];
  strides: [number, number];
  padBegin: [number, number];
  padEnd: [number, number];
}

function poolGeometry(shape: readonly number[], attrs: Attrs): PoolGeometry {
  const info = backend_util.computePool2DInfo(
    [...shape] as [number, number, number, number],
    attrs.filterSize,
    attrs.strides,
    1,
    attrs.pad,
    attrs.dimRoundingMode,
  );
  const g = {
    output: [info.outHeight, info.outWidth],
    kernel: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    padBegin: [info.padInfo.top, info.padInfo.left],
  } as Omit<PoolGeometry, 'padEnd'>;
  const padEnd = ([0, 1] as const).map((a) =>
    Math.max(0, (g.output[a] - 1) * g.strides[a] + g.kernel[a] - shape[1 + a] - g.padBegin[a]),
  ) as [number, number];
  return { ...g, padEnd };
}

const attributesOf = (p: PoolGeometry) => ({
  kernel_shape: p.kernel,
  pads: [...p.padBegin, ...p.padEnd],
  strides: p.strides,
});

function lowerMaxPool(g: Graph, x: Value, attrs: Attrs): [pooled: Value, indices: Value] {
  const p = poolGeometry(x.shape, attrs);
  const picture = g.in(NCHW, x);
  const dims = [picture.dims[0], picture.dims[1], ...p.output];
  const [pooled, indices] = g.multi('MaxPool', [picture], attributesOf(p), [
    { dims, dtype: 'float32' },
    { dims, dtype: 'int64' },
  ]);
  return [pooled, indices];
}

/** Windows overlap (3, stride 2), so a pixel may be the maximum of several: gradients are added where `Indices` point. */
function lowerMaxPoolGrad(g: Graph, dy: Value, x: Value, attrs: Attrs): Value {
  const [, indices] = lowerMaxPool(g, x, attrs);
  const dims = g.in(NCHW, x).dims;
  const size = dims.reduce((product, length) => product * length, 1);
  const count = indices.dims.reduce((product, length) => product * length, 1);
  const zeros = g.node(
    'ConstantOfShape',
    [g.int64s([size])],
    { value: { dtype: 'float32', dims: [1], data: [0] } },
    [size],
    'float32',
  );
  const flatten = (value: Value) => g.node('Reshape', [value, g.int64s([-1])], {}, [count]);
  const added = g.node(
    'ScatterElements',
    [zeros, flatten(indices), flatten(g.in(NCHW, dy))],
    { axis: 0, reduction: 'add' },
    [size],
  );
  return g.view(g.node('Reshape', [added, g.int64s(dims)], {}, dims), NCHW);
}

/** How many pixels of the picture each window covered: float32 [1, 1, height, width]. */
function windowCounts(g: Graph, p: PoolGeometry, input: readonly number[]): Value {
  const along = (a: 0 | 1) =>
    Array.from({ length: p.output[a] }, (_, i) => {
      const from = i * p.strides[a] - p.padBegin[a];
      return Math.min(from + p.kernel[a], input[a]) - Math.max(from, 0);
    });
  const [rows, columns] = [along(0), along(1)];
  return g.constant(
    'float32',
    [1, 1, ...p.output],
    rows.flatMap((r) => columns.map((c) => r * c)),
  );
}

/**
 * Each window's gradient, divided by its pixels, goes to all of them: zeros between the windows (strides), then the sum over every
 * window that covered a pixel, as an average times its size.
 */
function lowerAvgPoolGrad(g: Graph, dy: Value, xShape: readonly number[], attrs: Attrs): Value {
  const p = poolGeometry(xShape, attrs);
  const input = xShape.slice(1, 3);
  const [n, channels] = [xShape[0], xShape[3]];
  const share = g.node('Div', [g.in(NCHW, dy), windowCounts(g, p, input)], {}, [n, channels, ...p.output]);
  const spread = stuffed(g, share, p);
  const [kh, kw] = p.kernel;
  const begin = [kh - 1 - p.padBegin[0], kw - 1 - p.padBegin[1]];
  const end = ([0, 1] as const).map((a) => input[a] - spread.dims[2 + a] - begin[a] + p.kernel[a] - 1);
  const padded = g.node('Pad', [spread, g.int64s([0, 0, ...begin, 0, 0, ...end])], { mode: 'constant' }, [
    n,
    channels,
    input[0] + kh - 1,
    input[1] + kw - 1,
  ]);
  const mean = g.node('AveragePool', [padded], { kernel_shape: p.kernel, pads: [0, 0, 0, 0], strides: [1, 1] }, [
    n,
    channels,
    ...input,
  ]);
  return g.view(g.node('Mul', [mean, g.scalar(kh * kw)], {}, mean.dims), NCHW);
}

/** Puts strides − 1 zeros after each row and column. */
function stuffed(g: Graph, x: Value, { strides }: PoolGeometry): Value {
  if (strides[0] === 1 && strides[1] === 1) return x;
  const [n, channels, h, w] = x.dims;
  const apart = [n, channels, h, 1, w, 1];
  const single = g.node('Reshape', [x, g.int64s(apart)], {}, apart);
  const wide = [n, channels, h, strides[0], w, strides[1]];
  const zeros = g.node(
    'Pad',
    [single, g.int64s([0, 0, 0, 0, 0, 0, 0, 0, 0, strides[0] - 1, 0, strides[1] - 1])],
    { mode: 'constant' },
    wide,
  );
  const joined = [n, channels, h * strides[0], w * strides[1]];
  return g.node('Reshape', [zeros, g.int64s(joined)], {}, joined);
}

function pool(lower: (g: Graph, x: Value, attrs: Attrs) => Value): Rule {
  return {
    since: 11,
    inputs: ['x'],
    refuses: refusesAllButFloat,
    outputs: ([x], attrs) => [
      { shape: [x.shape[0], ...poolGeometry(x.shape, attrs).output, x.shape[3]], dtype: 'float32' },
    ],
    lower: (g, [x], attrs) => [g.view(lower(g, x, attrs), NCHW)],
  };
}

export const POOLING: Record<string, Rule> = {
  MaxPool: pool((g, x, attrs) => lowerMaxPool(g, x, attrs)[0]),
  AvgPool: pool((g, x, attrs) => {
    const p = poolGeometry(x.shape, attrs);
    const picture = g.in(NCHW, x);
    return g.node('AveragePool', [picture], attributesOf(p), [picture.dims[0], picture.dims[1], ...p.output]);
  }),
  MaxPoolGrad: {
    since: 16, // ScatterElements with reduction
    inputs: ['dy', 'input', 'output'],
    refuses: refusesAllButFloat,
    outputs: ([, input]) => [{ shape: input.shape, dtype: 'float32' }],
    lower: (g, [dy, input], attrs) => [lowerMaxPoolGrad(g, dy, input, attrs)],
  },
  AvgPoolGrad: {
    since: 13,
    inputs: ['dy', 'input'],
    refuses: refusesAllButFloat,
    outputs: ([, input]) => [{ shape: input.shape, dtype: 'float32' }],
    lower: (g, [dy, input], attrs) => [lowerAvgPoolGrad(g, dy, input.shape, attrs)],
  },
};
