/** Batch normalisation with given mean and variance: offset + (x − mean) · scale / √(variance + ε), over the last axis. */
import type { Graph, Value } from '../graph.js';
import type { Attrs, TensorSpec } from '../kernel-call.js';
import { NCHW } from '../layout.js';
import { type Rule, refusesAllButFloat } from '../rule.js';
import { binary, unary } from './elementwise.js';

/** tfjs repeats the parameters over x's elements; broadcasting says the same where they have x's shape or its last axis. */
function refuses(inputs: TensorSpec[]): string | undefined {
  const [x, ...parameters] = inputs;
  const channels = x.shape[x.shape.length - 1];
  const other = parameters.find((p) => {
    if (!p) return false;
    const isVector = p.shape.length === 1 && p.shape[0] === channels;
    return !isVector && !(p.shape.length === x.shape.length && p.shape.every((length, a) => length === x.shape[a]));
  });
  return other ? `parameters of shape [${other.shape}]` : refusesAllButFloat(inputs);
}

type Parameters = [mean: Value, variance: Value, offset: Value | undefined, scale: Value | undefined];

function lowerVectors(g: Graph, x: Value, [mean, variance, offset, scale]: Parameters, epsilon: number): Value {
  const picture = g.in(NCHW, x);
  const channels = mean.shape[0];
  const filled = (value: number) => g.constant('float32', [channels], new Float32Array(channels).fill(value));
  const inputs = [picture, scale ?? filled(1), offset ?? filled(0), mean, variance].map((value) => g.memory(value));
  return g.view(g.node('BatchNormalization', inputs, { epsilon: { float: epsilon } }, picture.dims), NCHW);
}

function lowerTensors(g: Graph, x: Value, [mean, variance, offset, scale]: Parameters, epsilon: number): Value {
  const deviation = unary(g, 'Sqrt', binary(g, 'Add', variance, g.scalar(epsilon)));
  const centred = binary(g, 'Sub', x, mean);
  const scaled = binary(g, 'Div', scale ? binary(g, 'Mul', centred, scale) : centred, deviation);
  return offset ? binary(g, 'Add', scaled, offset) : scaled;
}

export const BATCH_NORM: Record<string, Rule> = {
  FusedBatchNorm: {
    since: 15,
    inputs: ['x', 'mean', 'variance', 'offset?', 'scale?'],
    refuses,
    outputs: ([x]) => [{ shape: x.shape, dtype: 'float32' }],
    lower: (g, [x, ...parameters], { varianceEpsilon }: Attrs) => {
      const vectors = x.shape.length === 4 && parameters.every((p) => !p || p.shape.length === 1);
      const lower = vectors ? lowerVectors : lowerTensors;
      return [lower(g, x, parameters as Parameters, varianceEpsilon ?? 0.001)];
    },
  },
};
