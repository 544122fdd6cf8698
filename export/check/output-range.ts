/** What a graph's outputs are at most, where the operator that computes them says so. */
import type { ModelParts } from '../../onnx/file/proto.js';
import { type GraphNode, valuesOf } from '../../onnx/graph.js';
import type { OutputRange } from './difference.js';

/** Operators whose results lie within −1 … 1. */
const UNIT = new Set('Sigmoid Softmax HardSigmoid Hardmax Tanh Softsign Sin Cos Erf'.split(' '));

/**
 * Operators that subtract 1 from e^x: near 0 they give multiples of float32's step below 1, 6e-8. A thousandth of `least`,
 * the tolerance, is eight of them.
 */
const STEPPED = { operators: new Set(['Elu', 'Selu']), least: 5e-4 };

/** Operators whose results are values of their first input, or means of them. */
const PASSING = new Set(
  (
    'Identity Cast Reshape Transpose Squeeze Unsqueeze Flatten Expand Tile Slice Gather GatherND GatherElements Split ' +
    'TopK DepthToSpace SpaceToDepth ReduceMax ReduceMin ReduceMean MaxPool AveragePool GlobalAveragePool'
  ).split(' '),
);

/** Ranges by output; absent for those without a bound. */
export function outputRanges({ nodes, outputs, initializers }: ModelParts): Map<string, OutputRange> {
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((value) => [value.name, node] as const)));
  const clipRange = ({ inputs }: GraphNode): OutputRange | undefined => {
    const bounds = inputs.slice(1).map((value) => value && initializers.get(value.name));
    if (bounds.length < 2 || !bounds.every((bound) => bound)) return undefined;
    const bound = Math.max(...bounds.map((stored) => Math.abs(Number(valuesOf(stored!)[0]))));
    return Number.isFinite(bound) ? { operator: 'Clip', bound } : undefined;
  };
  const rangeOf = (name: string): OutputRange | undefined => {
    const node = producers.get(name);
    if (!node) return undefined;
    if (UNIT.has(node.op)) return { operator: node.op, bound: 1 };
    if (STEPPED.operators.has(node.op))
      return { operator: node.op, bound: Number.POSITIVE_INFINITY, least: STEPPED.least };
    if (node.op === 'Clip') return clipRange(node);
    if (PASSING.has(node.op)) return node.outputs[0].name === name ? rangeOf(node.inputs[0]!.name) : undefined;
    if (node.op !== 'Concat' && node.op !== 'Mul') return undefined;
    const ranges = node.inputs.flatMap((value) => rangeOf(value!.name) ?? []);
    if (ranges.length < node.inputs.length) return undefined;
    if (node.op === 'Concat') return ranges.reduce((a, b) => (a.bound >= b.bound ? a : b));
    const [a, b] = ranges; // such as a score times a probability
    if (!Number.isFinite(a.bound * b.bound)) return undefined;
    return { operator: `${a.operator} times ${b.operator}`, bound: a.bound * b.bound };
  };
  return new Map(
    outputs.flatMap(({ name }) => {
      const range = rangeOf(name);
      return range ? [[name, range] as const] : [];
    }),
  );
}
