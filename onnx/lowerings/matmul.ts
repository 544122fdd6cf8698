/** Matrix products. Plain matrices become `Gemm`, which takes transposes and a bias; stacks of them `MatMul`. */
import { backend_util, util } from '../../base/tfjs/core.js';
import type { Graph, Value } from '../graph.js';
import type { Attrs, TensorSpec } from '../kernel-call.js';
import { isIdentity } from '../layout.js';
import { type Rule, refusesAllButFloat } from '../rule.js';
import { activate, refusesActivation } from './activation.js';
import { binary } from './elementwise.js';

/** [..., rows, columns] of a product. Throws, in tfjs's words, if the matrices do not fit. */
function productShape(a: readonly number[], b: readonly number[], { transposeA, transposeB }: Attrs): number[] {
  const innerA = a[a.length - (transposeA ? 2 : 1)];
  const innerB = b[b.length - (transposeB ? 1 : 2)];
  util.assert(
    innerA === innerB,
    () =>
      `Error in matMul: inner shapes (${innerA}) and (${innerB}) of Tensors with shapes ${a} and ${b} ` +
      `and transposeA=${transposeA} and transposeB=${transposeB} must match.`,
  );
  const rows = a[a.length - (transposeA ? 1 : 2)];
  const columns = b[b.length - (transposeB ? 2 : 1)];
  return [...backend_util.assertAndGetBroadcastShape(a.slice(0, -2), b.slice(0, -2)), rows, columns];
}

const isOneMatrix = (shape: readonly number[]) => shape.slice(0, -2).every((length) => length === 1);

function lowerMatMul(g: Graph, a: Value, b: Value, bias: Value | undefined, attrs: Attrs): Value {
  const shape = productShape(a.shape, b.shape, attrs);
  if (isOneMatrix(a.shape) && isOneMatrix(b.shape)) {
    const matrix = (value: Value) => (value.shape.length === 2 ? value : g.reshape(value, value.shape.slice(-2)));
    const [left, right] = flattenedInMemoryOrder(g, matrix(a), matrix(b), attrs) ?? [matrix(a), matrix(b)];
    const vector = bias?.shape.length === 1 ? [g.memory(bias)] : [];
    const attributes = { transA: attrs.transposeA ? 1 : 0, transB: attrs.transposeB ? 1 : 0 };
    const product = g.node('Gemm', [g.in([0, 1], left), g.in([0, 1], right), ...vector], attributes, shape.slice(-2));
    const result = shape.length === 2 ? product : g.reshape(product, shape);
    return bias && vector.length === 0 ? binary(g, 'Add', result, bias) : result;
  }
  const turned = (value: Value, turn: boolean) => {
    const plain = g.memory(g.plain(value));
    const rank = plain.dims.length;
    if (!turn) return plain;
    const perm = [...plain.dims.keys()].slice(0, -2).concat(rank - 1, rank - 2);
    return g.node(
      'Transpose',
      [plain],
      { perm },
      perm.map((axis) => plain.dims[axis]),
    );
  };
  const product = g.node('MatMul', [turned(a, attrs.transposeA), turned(b, attrs.transposeB)], {}, shape);
  return bias ? binary(g, 'Add', product, bias) : product;
}

/**
 * Features flattened from NHWC into a stored matrix: the image need not be transposed back where the matrix's rows can
 * be put in the order h, w, c → c, h, w once and for all.
 * @returns features and matrix so arranged, or undefined if that is not the case
 */
function flattenedInMemoryOrder(g: Graph, a: Value, b: Value, attrs: Attrs): [Value, Value] | undefined {
  const image = a.reshapedFrom;
  const oneRowEach = image && a.shape.length === 2 && image.shape.length > 2 && image.shape[0] === a.shape[0];
  if (!oneRowEach || image.layout[0] !== 0 || isIdentity(image.layout)) return undefined;
  if (attrs.transposeA || attrs.transposeB || b.shape.length !== 2 || !g.initializers.has(b.name)) return undefined;
  const rows = g.reshape(b, [...image.shape.slice(1), b.shape[1]]);
  const order = [...image.layout.slice(1).map((axis) => axis - 1), image.layout.length - 1];
  return [g.reshape(g.memory(image), a.shape), g.reshape(g.in(order, rows), b.shape)];
}

const outputs = ([a, b]: TensorSpec[], attrs: Attrs): TensorSpec[] => [
  { shape: productShape(a.shape, b.shape, attrs), dtype: 'float32' },
];

export const MATMUL: Record<string, Rule> = {
  BatchMatMul: {
    since: 13,
    inputs: ['a', 'b'],
    refuses: refusesAllButFloat,
    outputs,
    lower: (g, [a, b], attrs) => [lowerMatMul(g, a, b, undefined, attrs)],
  },
  _FusedMatMul: {
    since: 13,
    inputs: ['a', 'b', 'bias?', 'preluActivationWeights?'],
    refuses: (inputs, attrs) => refusesAllButFloat(inputs) ?? refusesActivation(attrs),
    outputs,
    lower: (g, [a, b, bias, slope], attrs) => [activateMatrix(g, lowerMatMul(g, a, b, bias, attrs), attrs, slope)],
  },
};

/** Activates the matrix itself, not tfjs's stack of one, so that the reshapes around it vanish. */
function activateMatrix(g: Graph, product: Value, attrs: Attrs, slope: Value | undefined): Value {
  const matrix = slope ? undefined : product.reshapedFrom;
  return matrix ? g.reshape(activate(g, matrix, attrs), product.shape) : activate(g, product, attrs, slope);
}
