/**
 * Resizing of images [N, H, W, C] and its gradients. Output pixel i lies at i · in / out of the input, at (i + ½) · in
 * / out − ½ with `halfPixelCenters`, at i · (in − 1) / (out − 1) with `alignCorners`.
 *
 * Gradients are the forward operation transposed. tfjs's cpu kernels leave `halfPixelCenters` out of theirs, exchange
 * height and width in the shape of the bilinear one, and read the wrong image of a batch in the nearest one.
 */
import type { Graph, Value } from '../graph.js';
import type { Attrs, TensorSpec } from '../kernel-call.js';
import { NCHW } from '../layout.js';
import { type Rule, refusesAllButFloat } from '../rule.js';
import { pick } from './pick.js';

/** Input pixels and their weights for each output pixel along one axis. */
type Taps = { from: number; weight: number }[][];

function ratio(input: number, output: number, { alignCorners }: Attrs): number {
  return alignCorners && output > 1 ? (input - 1) / (output - 1) : input / output;
}

/** The input pixel next to each output pixel. */
function nearest(input: number, output: number, attrs: Attrs): number[] {
  const step = ratio(input, output, attrs);
  return Array.from({ length: output }, (_, i) => {
    const at = step * (attrs.halfPixelCenters ? i + 0.5 : i);
    return Math.min(input - 1, attrs.alignCorners ? Math.round(at) : Math.floor(at));
  });
}

function linear(input: number, output: number, attrs: Attrs): Taps {
  const step = ratio(input, output, attrs);
  return Array.from({ length: output }, (_, i) => {
    const at = attrs.halfPixelCenters ? step * (i + 0.5) - 0.5 : step * i;
    const from = Math.max(0, Math.floor(at));
    const part = at - from;
    return [
      { from, weight: 1 - part },
      { from: Math.min(input - 1, Math.ceil(at)), weight: part },
    ];
  });
}

/** Constant float32 [output, input] or, turned, [input, output]. */
function matrix(g: Graph, taps: Taps, input: number, turned: boolean): Value {
  const data = new Float32Array(taps.length * input);
  taps.forEach((row, i) => {
    for (const { from, weight } of row) data[turned ? from * taps.length + i : i * input + from] += weight;
  });
  return g.constant('float32', turned ? [input, taps.length] : [taps.length, input], data);
}

function lowerBilinear(g: Graph, x: Value, attrs: Attrs): Value {
  const image = g.in(NCHW, x);
  const dims = [...image.dims.slice(0, 2), ...attrs.size];
  let mode = attrs.halfPixelCenters ? 'half_pixel' : 'asymmetric';
  if (attrs.alignCorners) mode = 'align_corners';
  const attributes = { coordinate_transformation_mode: mode, mode: 'linear' };
  return g.view(g.node('Resize', [image, undefined, undefined, g.int64s(dims)], attributes, dims), NCHW);
}

/** dx = Rᵀ · dy · S, with the interpolation matrices R of the rows and S of the columns. */
function lowerGradient(g: Graph, dy: Value, [rows, columns]: [Taps, Taps], shape: readonly number[]): Value {
  const image = g.in(NCHW, dy);
  const [n, height, width, channels] = shape;
  const [, , , dyWidth] = image.dims;
  const tall = g.node('MatMul', [matrix(g, rows, height, true), image], {}, [n, channels, height, dyWidth], 'float32');
  return g.view(g.node('MatMul', [tall, matrix(g, columns, width, false)], {}, [n, channels, height, width]), NCHW);
}

const resized = ([images]: TensorSpec[], { size }: Attrs): TensorSpec[] => [
  { shape: [images.shape[0], ...size, images.shape[3]], dtype: images.dtype },
];

function gradient(taps: (input: number, output: number, attrs: Attrs) => Taps): Rule {
  return {
    since: 13,
    inputs: ['images', 'dy'],
    refuses: refusesAllButFloat,
    outputs: ([images]) => [{ shape: images.shape, dtype: 'float32' }],
    lower: (g, [images, dy], attrs) => {
      const along = (axis: 1 | 2) => taps(images.shape[axis], dy.shape[axis], attrs);
      return [lowerGradient(g, dy, [along(1), along(2)], images.shape)];
    },
  };
}

export const RESIZE: Record<string, Rule> = {
  ResizeBilinear: {
    since: 13,
    inputs: ['images'],
    refuses: refusesAllButFloat,
    outputs: resized,
    lower: (g, [images], attrs) => [lowerBilinear(g, images, attrs)],
  },
  /** ONNX's `Resize` finds the pixel in float32 and would miss it where the quotient is whole. */
  ResizeNearestNeighbor: {
    since: 13,
    inputs: ['images'],
    outputs: resized,
    lower: (g, [images], attrs) => {
      const rows = pick(g, images, 1, nearest(images.shape[1], attrs.size[0], attrs));
      return [pick(g, rows, 2, nearest(images.shape[2], attrs.size[1], attrs))];
    },
  },
  ResizeBilinearGrad: gradient(linear),
  ResizeNearestNeighborGrad: gradient((input, output, attrs) =>
    nearest(input, output, attrs).map((from) => [{ from, weight: 1 }]),
  ),
};
