/**
 * Pooling and its gradients, over two axes of space or three, channels first. tfjs's average leaves padding out of the
 * count, as ONNX does by default.
 */
import { backend_util } from '../../base/tfjs/core.js';
import type { Graph, Value } from '../graph.js';
import type { Attrs, TensorSpec } from '../kernel-call.js';
import { type Layout, NCHW } from '../layout.js';
import { type Rule, refusesAllButFloat } from '../rule.js';
import { averageGradient } from './average-gradient.js';
import { isNan, point, where } from './elementwise.js';
import { gradientByMasks, positionsByMasks } from './max-pool-masks.js';
import { negated, padding, padSpace, trimmed, turnedAround, type Windows, withPadEnd } from './windows.js';

/** What tells pooling over two axes from pooling over three. */
interface Kind {
  geometry(shape: readonly number[], attrs: Attrs): Windows;
  /** Order in memory of ONNX's images. */
  layout: Layout;
  /** Of equal maxima in a window the last one gets the gradient. */
  lastMaximum: boolean;
}

const POOL_2D: Kind = {
  lastMaximum: false,
  layout: NCHW,
  geometry(shape, { filterSize, strides, pad, dimRoundingMode }) {
    const shape4 = [...shape] as [number, number, number, number];
    const info = backend_util.computePool2DInfo(shape4, filterSize, strides, 1, pad, dimRoundingMode);
    return withPadEnd({
      input: [info.inHeight, info.inWidth],
      output: [info.outHeight, info.outWidth],
      kernel: [info.filterHeight, info.filterWidth],
      strides: [info.strideHeight, info.strideWidth],
      dilations: [1, 1],
      padBegin: [info.padInfo.top, info.padInfo.left],
      isSame: pad === 'same',
    });
  },
};

const POOL_3D: Kind = {
  lastMaximum: true,
  layout: [0, 4, 1, 2, 3],
  geometry(shape, { filterSize, strides, pad, dimRoundingMode }) {
    const shape5 = [...shape] as [number, number, number, number, number];
    const info = backend_util.computePool3DInfo(shape5, filterSize, strides, 1, pad, dimRoundingMode);
    return withPadEnd({
      input: [info.inDepth, info.inHeight, info.inWidth],
      output: [info.outDepth, info.outHeight, info.outWidth],
      kernel: [info.filterDepth, info.filterHeight, info.filterWidth],
      strides: [info.strideDepth, info.strideHeight, info.strideWidth],
      dilations: [1, 1, 1],
      padBegin: [info.padInfo.front, info.padInfo.top, info.padInfo.left],
      isSame: pad === 'same',
    });
  },
};

const attributesOf = (g: Graph, p: Windows) => ({ kernel_shape: p.kernel, ...padding(g, p), strides: p.strides });

/** Largest pixels, and where they are: int64 positions in the flattened image. `inner` is trimmed. */
function maxPool(g: Graph, image: Value, inner: Windows): [pooled: Value, indices: Value] {
  const dims = [...image.dims.slice(0, 2), ...inner.output];
  const [pooled, indices] = g.multi('MaxPool', [image], attributesOf(g, inner), [
    { dims, dtype: 'float32' },
    { dims, dtype: 'int64' },
  ]);
  return [pooled, indices];
}

function lowerMaxPool(g: Graph, kind: Kind, x: Value, attrs: Attrs): Value {
  const { inner, begin, end } = trimmed(kind.geometry(x.shape, attrs));
  return maxPool(g, padSpace(g, g.in(kind.layout, x), begin, end), inner)[0];
}

function lowerAvgPool(g: Graph, kind: Kind, x: Value, attrs: Attrs): Value {
  const { inner, begin, end } = trimmed(kind.geometry(x.shape, attrs));
  const image = padSpace(g, g.in(kind.layout, x), begin, end);
  return g.node('AveragePool', [image], attributesOf(g, inner), [...image.dims.slice(0, 2), ...inner.output]);
}

/** Adds each entry of `dy` where `indices` point in an image of zeros. */
function scattered(g: Graph, dy: Value, indices: Value, dims: readonly number[]): Value {
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
  const added = g.node('ScatterElements', [zeros, flatten(indices), flatten(dy)], { axis: 0, reduction: 'add' }, [
    size,
  ]);
  return g.node('Reshape', [added, g.int64s(dims)], {}, dims);
}

/**
 * Windows overlap (3, stride 2), so a pixel may be the maximum of several: gradients are added where `Indices` point.
 * ONNX points at the first of equal maxima, as tfjs over two axes; over three it takes the last, the first of
 * everything turned around.
 */
function lowerMaxPoolGrad(g: Graph, kind: Kind, dy: Value, x: Value, attrs: Attrs): Value {
  const p = kind.geometry(x.shape, attrs);
  const turn = (value: Value) => (kind.lastMaximum ? turnedAround(g, value) : value);
  if (!g.has('MaxPool with positions')) {
    const image = g.in(kind.layout, x);
    const values = { image, pooled: lowerMaxPool(g, kind, x, attrs), dy: g.in(kind.layout, dy) };
    return g.view(gradientByMasks(g, values, p, kind.lastMaximum ? 'last' : 'first'), kind.layout);
  }
  const { inner, begin, end } = trimmed(kind.lastMaximum ? { ...p, padBegin: p.padEnd, padEnd: p.padBegin } : p);
  const image = padSpace(g, turn(g.in(kind.layout, x)), begin, end);
  const [, indices] = maxPool(g, image, inner);
  const gradient = scattered(g, turn(g.in(kind.layout, dy)), indices, image.dims);
  return g.view(turn(padSpace(g, gradient, negated(begin), negated(end))), kind.layout);
}

/** ONNX has no windows that lie in padding alone. */
function refuses(kind: Kind, x: TensorSpec, attrs: Attrs): string | undefined {
  const p = kind.geometry(x.shape, attrs);
  const outside = p.kernel.some((length, a) => p.padBegin[a] >= length || p.padEnd[a] >= length);
  return outside ? `padding [${p.padBegin},${p.padEnd}] for windows [${p.kernel}]` : undefined;
}

const pooledShape = (kind: Kind, { shape }: TensorSpec, attrs: Attrs) => [
  shape[0],
  ...kind.geometry(shape, attrs).output,
  shape[shape.length - 1],
];

function pool(kind: Kind, lower: (g: Graph, kind: Kind, x: Value, attrs: Attrs) => Value): Rule {
  return {
    since: 11,
    inputs: ['x'],
    refuses: (inputs, attrs) => refusesAllButFloat(inputs) ?? refuses(kind, inputs[0], attrs),
    outputs: ([x], attrs) => [{ shape: pooledShape(kind, x, attrs), dtype: 'float32' }],
    lower: (g, [x], attrs) => [g.view(lower(g, kind, x, attrs), kind.layout)],
  };
}

function maxPoolGrad(kind: Kind): Rule {
  return {
    since: 16, // ScatterElements with reduction
    inputs: ['dy', 'input', 'output'],
    refuses: (inputs, attrs) => refusesAllButFloat(inputs) ?? refuses(kind, inputs[1], attrs),
    outputs: ([, input]) => [{ shape: input.shape, dtype: 'float32' }],
    lower: (g, [dy, input], attrs) => [lowerMaxPoolGrad(g, kind, dy, input, attrs)],
  };
}

/**
 * tfjs's kernel divides by the whole window even where padding cut it, unlike its forward pass. With padding given side
 * by side its own test suite asks for just that, so the cpu kernel does it.
 */
function avgPoolGrad(kind: Kind): Rule {
  return {
    since: 13,
    inputs: ['dy', 'input'],
    refuses: (inputs, attrs) => {
      if (Array.isArray(attrs.pad)) return 'padding side by side';
      return refusesAllButFloat(inputs) ?? refuses(kind, inputs[1], attrs);
    },
    outputs: ([, input]) => [{ shape: input.shape, dtype: 'float32' }],
    lower: (g, [dy, input], attrs) => {
      const gradient = averageGradient(g, g.in(kind.layout, dy), kind.geometry(input.shape, attrs));
      return [g.view(gradient, kind.layout)];
    },
  };
}

/**
 * ONNX counts positions in [N, C, H, W], tfjs in [H, W, C], or [N, H, W, C] if asked. tfjs passes NaNs over, ONNX takes
 * them.
 */
function lowerArgmax(g: Graph, x: Value, attrs: Attrs): Value[] {
  const image = g.in(NCHW, x);
  const numbers = g.target.finite ? image : where(g, isNan(g, image), g.scalar(-Infinity), image);
  const p = POOL_2D.geometry(x.shape, attrs);
  const [pooled, indices] = maxPool(g, numbers, trimmed(p).inner);
  const [n, height, width, channels] = x.shape;
  const along = (length: number, dims: number[], step: number) =>
    g.constant(
      'int32',
      dims,
      Array.from({ length }, (_, i) => i * step),
    );
  const pixel = g.has('MaxPool with positions')
    ? point(g, 'Cast', [point(g, 'Mod', [indices, g.scalar(height * width, 'int64')])], 'int32', { to: 'int32' })
    : positionsByMasks(g, numbers, pooled, p);
  const scaled = point(g, 'Mul', [pixel, g.scalar(channels, 'int32')]);
  const at = point(g, 'Add', [scaled, along(channels, [1, channels, 1, 1], 1)]);
  const positions = attrs.includeBatchInIndex
    ? point(g, 'Add', [at, along(n, [n, 1, 1, 1], height * width * channels)])
    : at;
  return [g.view(pooled, NCHW), g.view(positions, NCHW)];
}

export const POOLING: Record<string, Rule> = {
  MaxPool: pool(POOL_2D, lowerMaxPool),
  AvgPool: pool(POOL_2D, lowerAvgPool),
  MaxPoolGrad: maxPoolGrad(POOL_2D),
  AvgPoolGrad: avgPoolGrad(POOL_2D),

  MaxPool3D: pool(POOL_3D, lowerMaxPool),
  AvgPool3D: pool(POOL_3D, lowerAvgPool),
  MaxPool3DGrad: maxPoolGrad(POOL_3D),
  AvgPool3DGrad: avgPoolGrad(POOL_3D),

  MaxPoolWithArgmax: {
    ...pool(POOL_2D, lowerMaxPool),
    refuses: (inputs, attrs) => {
      const [x] = inputs;
      if (x.shape.length !== 4) return `rank ${x.shape.length}`;
      const { begin, end } = trimmed(POOL_2D.geometry(x.shape, attrs));
      // Positions would be those in the smaller image.
      if ([...begin, ...end].some((pad) => pad < 0)) return 'windows over a part of the image';
      return refusesAllButFloat(inputs) ?? refuses(POOL_2D, x, attrs);
    },
    outputs: ([x], attrs) => [
      { shape: pooledShape(POOL_2D, x, attrs), dtype: 'float32' },
      { shape: pooledShape(POOL_2D, x, attrs), dtype: 'int32' },
    ],
    lower: (g, [x], attrs) => lowerArgmax(g, x, attrs),
  },
};
