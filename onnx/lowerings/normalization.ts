/**
 * Local response normalisation (Krizhevsky et al. 2012, §3.3): b_i = a_i / s_i^β, s_i = k + α · Σ_j a_j² over
 * 2·depthRadius + 1 channels. tfjs does not divide α by the window, ONNX does: size = 2·depthRadius + 1, α_onnx = α ·
 * size.
 */
import { bandMatrix } from '../band-matrix.js';
import type { Graph, Value } from '../graph.js';
import type { Attrs } from '../kernel-call.js';
import { NCHW } from '../layout.js';
import { type Rule, refusesAllButFloat } from '../rule.js';

/** Sums `weight` times the channels of each window. */
function bandConv(g: Graph, x: Value, attrs: Attrs, weight: number, bias?: number): Value {
  const channels = x.dims[1];
  const matrix = bandMatrix(channels, 2 * attrs.depthRadius + 1, weight);
  const kernel = g.constant('float32', [channels, channels, 1, 1], matrix);
  const added = bias === undefined ? [] : [g.constant('float32', [channels], new Float32Array(channels).fill(bias))];
  const attributes = { dilations: [1, 1], group: 1, kernel_shape: [1, 1], pads: [0, 0, 0, 0], strides: [1, 1] };
  return g.node('Conv', [x, kernel, ...added], attributes, x.dims);
}

/** s and s^β; the power ¾ as two square roots, several times faster than `Pow`. `x` in memory order NCHW. */
function scale(g: Graph, x: Value, attrs: Attrs): { s: Value; power: Value } {
  const s = bandConv(g, g.node('Mul', [x, x], {}, x.dims), attrs, attrs.alpha, attrs.bias);
  if (attrs.beta !== 0.75) return { s, power: g.node('Pow', [s, g.scalar(attrs.beta)], {}, x.dims) };
  const root = g.node('Sqrt', [s], {}, x.dims);
  return { s, power: g.node('Mul', [root, g.node('Sqrt', [root], {}, x.dims)], {}, x.dims) };
}

function lowerLrn(g: Graph, value: Value, attrs: Attrs): Value {
  const x = g.in(NCHW, value);
  if (g.target.lrn === 'conv') return g.view(g.node('Div', [x, scale(g, x, attrs).power], {}, x.dims), NCHW);
  const size = 2 * attrs.depthRadius + 1;
  const attributes = {
    alpha: { float: attrs.alpha * size },
    beta: { float: attrs.beta },
    bias: { float: attrs.bias },
    size,
  };
  return g.view(g.node('LRN', [x], attributes, x.dims), NCHW);
}

/** dx_i = dy_i / s_i^β − 2αβ · x_i · Σ_j dy_j · y_j / s_j, j over the channels whose window holds i. */
function lowerLrnGrad(g: Graph, [xValue, yValue, dyValue]: Value[], attrs: Attrs): Value {
  const [x, y, dy] = [xValue, yValue, dyValue].map((value) => g.in(NCHW, value));
  const { s, power } = scale(g, x, attrs);
  const share = g.node('Div', [g.node('Mul', [dy, y], {}, x.dims), s], {}, x.dims);
  const through = g.node('Mul', [x, bandConv(g, share, attrs, 2 * attrs.alpha * attrs.beta)], {}, x.dims);
  return g.view(g.node('Sub', [g.node('Div', [dy, power], {}, x.dims), through], {}, x.dims), NCHW);
}

export const NORMALIZATION: Record<string, Rule> = {
  LRN: {
    since: 13,
    inputs: ['x'],
    refuses: refusesAllButFloat,
    outputs: ([x]) => [{ shape: x.shape, dtype: 'float32' }],
    lower: (g, [x], attrs) => [lowerLrn(g, x, attrs)],
  },
  LRNGrad: {
    since: 13,
    inputs: ['x', 'y', 'dy'],
    refuses: refusesAllButFloat,
    outputs: ([x]) => [{ shape: x.shape, dtype: 'float32' }],
    lower: (g, inputs, attrs) => [lowerLrnGrad(g, inputs, attrs)],
  },
};
