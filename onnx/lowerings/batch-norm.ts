/**
 * Batch normalisation with given mean and variance: offset + (x − mean) · scale / √(variance + ε), over the last axis, or
 * over those along which the parameters have x's lengths and not 1.
 * If the parameters are stored in the file it is a factor and a summand a channel, which a convolution or matrix
 * product before it takes into its own weights.
 */
import { type Graph, type Numbers, type Value, valuesOf } from '../graph.js';
import type { Attrs, TensorSpec } from '../kernel-call.js';
import { NCHW } from '../layout.js';
import { type Rule, refusesAllButFloat } from '../rule.js';
import { binary, unary } from './elementwise.js';

const size = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);

/**
 * tfjs's cpu backend repeats the parameters over x's elements; broadcasting says the same where they are a channel each,
 * or an element each. Over another axis ([1, C, 1, 1]) they are broadcast, as Keras and tfjs's webgl backend do it.
 */
function refuses(inputs: TensorSpec[]): string | undefined {
  const [x, ...parameters] = inputs;
  const channels = x.shape[x.shape.length - 1];
  const other = parameters.find((p) => {
    if (!p) return false;
    const isVector = p.shape.length === 1 && p.shape[0] === channels;
    return !isVector && size(p.shape) !== size(x.shape) && !fits(p.shape, x.shape);
  });
  return other ? `parameters of shape [${other.shape}]` : refusesAllButFloat(inputs);
}

/** More than a vector, and 1 or as long along each of x's last axes. */
const fits = (shape: readonly number[], x: readonly number[]) =>
  shape.length > 1 &&
  shape.length <= x.length &&
  shape.every((length, axis) => length === 1 || length === x[axis + x.length - shape.length]);

type Parameters = [mean: Value, variance: Value, offset: Value | undefined, scale: Value | undefined];

/** factor · x + summand, for every channel. */
interface Affine {
  factor(): Float32Array;
  summand(): Float32Array;
  /** Tells it from others. */
  name: string;
}

function affine(g: Graph, parameters: Parameters, epsilon: number): Affine | undefined {
  const alike = (p: Value) => String(p.shape) === String(parameters[0].shape);
  if (!parameters.every((p) => !p || (alike(p) && g.isStored(p)))) return undefined;
  const values = (p: Value | undefined, absent: number) => {
    const stored = p && valuesOf(g.initializers.get(p.name)!);
    return (channel: number) => stored?.[channel] ?? absent;
  };
  const [mean, variance, offset, scale] = parameters;
  const factor = () => {
    const [v, s] = [values(variance, 1), values(scale, 1)];
    return Float32Array.from({ length: size(mean.shape) }, (_, c) => s(c) / Math.sqrt(v(c) + epsilon));
  };
  const summand = () => {
    const [m, o] = [values(mean, 0), values(offset, 0)];
    return factor().map((f, c) => o(c) - m(c) * f);
  };
  return { factor, summand, name: parameters.map((p) => p?.name ?? '').join('|') };
}

/**
 * The convolution or product that made `x`, with the factor in its kernel and the summand in its bias; undefined if
 * another operator made it, or others read it too.
 */
function intoWeights(g: Graph, x: Value, { factor, summand, name }: Affine): Value | undefined {
  const node = g.producer(x);
  const isProduct = node && node.domain === '' && (node.op === 'Conv' || node.op === 'Gemm');
  if (!isProduct || x.uses !== 1 || x.layout[1] !== x.shape.length - 1) return undefined;
  const [input, kernel, bias] = node.inputs;
  if (!kernel || !g.isStored(kernel) || (bias && !(g.isStored(bias) && bias.shape.length === 1))) return undefined;
  // Conv's kernels are [O, I, …], a product's matrix [I, O], or [O, I] where it is transposed.
  const channelAxis = node.op === 'Conv' || node.attributes.transB === 1 ? 0 : 1;
  const inner = kernel.dims.slice(channelAxis + 1).reduce((product, length) => product * length, 1);
  const channels = kernel.dims[channelAxis];
  const scaled = g.derived(kernel, kernel.dims, `·${name}`, (weights) => {
    const factors = factor();
    return Float32Array.from(weights as Float32Array, (w, i) => w * factors[Math.floor(i / inner) % channels]);
  });
  const stored = bias && g.initializers.get(bias.name)!;
  const origin = stored?.origin ?? bias?.name ?? biasName(g.initializers.get(kernel.name)!.origin ?? kernel.name);
  const moved = (biases: Numbers | undefined) => {
    const [factors, summands] = [factor(), summand()];
    return summands.map((s, c) => (biases ? biases[c] * factors[c] + s : s));
  };
  const shifted = g.derived(bias ?? kernel, [channels], `+${name}`, () => moved(stored && valuesOf(stored)), origin);
  const scope = g.scope;
  g.scope = node.scope;
  const result = g.node(node.op, [input, scaled, shifted], node.attributes, x.dims);
  g.scope = scope;
  return g.view(result, x.layout);
}

/** `conv1/bias` for `conv1/kernel`. */
const biasName = (kernel: string) => `${kernel.replace(/\/[^/]*$/, '')}/bias`;

function lowerVectors(g: Graph, x: Value, [mean, variance, offset, scale]: Parameters, epsilon: number): Value {
  const image = g.in(NCHW, x);
  const channels = mean.shape[0];
  const filled = (value: number) => g.constant('float32', [channels], new Float32Array(channels).fill(value));
  const inputs = [image, scale ?? filled(1), offset ?? filled(0), mean, variance].map((value) => g.memory(value));
  return g.view(g.node('BatchNormalization', inputs, { epsilon: { float: epsilon } }, image.dims), NCHW);
}

function lowerTensors(g: Graph, x: Value, parameters: Parameters, epsilon: number): Value {
  const [mean, variance, offset, scale] = parameters.map((p) =>
    p && p.shape.length > 1 && size(p.shape) === size(x.shape) ? g.reshape(p, x.shape) : p,
  ) as Parameters;
  const deviation = unary(g, 'Sqrt', binary(g, 'Add', variance, g.scalar(epsilon)));
  const centred = binary(g, 'Sub', x, mean);
  const scaled = binary(g, 'Div', scale ? binary(g, 'Mul', centred, scale) : centred, deviation);
  return offset ? binary(g, 'Add', scaled, offset) : scaled;
}

function lowerAffine(g: Graph, x: Value, parameters: Parameters, { factor, summand, name }: Affine): Value {
  const [mean, variance, offset, scale] = parameters;
  const channels = mean.dims;
  const scaled = binary(g, 'Mul', x, g.derived(scale ?? variance, channels, `·${name}`, factor));
  return binary(g, 'Add', scaled, g.derived(offset ?? mean, channels, `+${name}`, summand));
}

function lower(g: Graph, x: Value, parameters: Parameters, epsilon: number): Value {
  const known = affine(g, parameters, epsilon);
  if (known && fits(parameters[0].shape, x.shape)) return lowerAffine(g, x, parameters, known);
  const stored = parameters[0].shape.length === 1 ? known : undefined;
  // tfjs gives matrices and sequences as images of one row.
  const base = x.reshapedFrom;
  const isSame = base && x.uses === 1 && base.shape[base.shape.length - 1] === x.shape[x.shape.length - 1];
  const value = stored && isSame ? base : x;
  const folded = stored && intoWeights(g, value, stored);
  if (folded) return g.reshape(folded, x.shape);
  if (stored && value.shape.length !== 4) return g.reshape(lowerAffine(g, value, parameters, stored), x.shape);
  const vectors = x.shape.length === 4 && parameters.every((p) => !p || p.shape.length === 1);
  return vectors ? lowerVectors(g, x, parameters, epsilon) : lowerTensors(g, x, parameters, epsilon);
}

export const BATCH_NORM: Record<string, Rule> = {
  FusedBatchNorm: {
    since: 9,
    inputs: ['x', 'mean', 'variance', 'offset?', 'scale?'],
    refuses,
    outputs: ([x]) => [{ shape: x.shape, dtype: 'float32' }],
    lower: (g, [x, ...parameters], { varianceEpsilon }: Attrs) => [
      lower(g, x, parameters as Parameters, varianceEpsilon ?? 0.001),
    ],
  },
};
