/**
 * Detectors give boxes by falling score: scores that tie, or nearly, come in another order after another rounding. Then
 * the rows are compared as a set.
 */
import type { ModelParts } from '../../onnx/file/proto.js';
import { valuesOf } from '../../onnx/graph.js';
import { TOLERANCE } from './compare-with-network.js';
import { furthest, largestDifference, type OutputPair } from './difference.js';
import type { BothOutputs } from './run-both.js';

/** An output as rows along the axis that is ordered, scaled by its largest value. */
interface Rows {
  pair: OutputPair;
  axis: number;
  expected: Float64Array[];
  actual: Float64Array[];
}

/** How many rows a model's `TopK` nodes order. */
function orderedLengths({ nodes, initializers }: ModelParts): number[] {
  const counts = nodes.flatMap(({ op, inputs }) => (op === 'TopK' && inputs[1] ? [inputs[1].name] : []));
  return counts.flatMap((name) => {
    const stored = initializers.get(name);
    return stored ? [Number(valuesOf(stored)[0])] : [];
  });
}

/** The runs with rows that only ties moved in tfjs's order, and what was done, in words. */
export function alignTies(model: ModelParts, runs: readonly BothOutputs[]): { runs: BothOutputs[]; notes: string[] } {
  const notes = new Set<string>();
  const aligned = runs.map((run) => {
    if (largestDifference(run.pairs).maxRel <= TOLERANCE) return run;
    let { pairs } = run;
    for (const length of new Set(orderedLengths(model))) {
      const rows = pairs.flatMap((pair) => rowsOf(pair, length));
      const order = rows.length > 0 ? orderOf(rows, length) : undefined;
      if (!order) continue;
      const names = rows.map(({ pair }) => pair.name).join(', ');
      notes.add(
        `${order.filter((from, to) => from !== to).length} of ${length} rows of ${names} in another order, by ties of their scores`,
      );
      pairs = pairs.map((pair) => {
        const found = rows.find((one) => one.pair === pair);
        return found ? { ...pair, actual: reordered(found, order) } : pair;
      });
    }
    return { ...run, pairs };
  });
  return { runs: aligned, notes: [...notes] };
}

function rowsOf(pair: OutputPair, length: number): Rows[] {
  const axis = pair.dims.indexOf(length);
  if (axis < 0) return [];
  const scale = furthest(pair).largest || 1;
  const split = (values: ArrayLike<number>) =>
    Array.from({ length }, (_, row) =>
      Float64Array.from(placesOf(pair.dims, axis, row), (place) => values[place] / scale),
    );
  return [{ pair, axis, expected: split(pair.expected), actual: split(pair.actual) }];
}

/** Positions of the values of one row. */
function placesOf(dims: readonly number[], axis: number, row: number): number[] {
  const size = (lengths: readonly number[]) => lengths.reduce((product, length) => product * length, 1);
  const [outer, inner] = [size(dims.slice(0, axis)), size(dims.slice(axis + 1))];
  return Array.from({ length: outer * inner }, (_, i) => {
    const before = Math.floor(i / inner);
    return (before * dims[axis] + row) * inner + (i % inner);
  });
}

const isNear = (a: Float64Array, b: Float64Array) => a.every((value, i) => Math.abs(value - b[i]) <= TOLERANCE);

/** Which of the file's rows each row of tfjs's is, if they are the same and a score ties where they moved. */
function orderOf(rows: readonly Rows[], length: number): number[] | undefined {
  const same = (row: number, other: number) =>
    rows.every(({ expected, actual }) => isNear(expected[row], actual[other]));
  const free = new Set(Array.from({ length }, (_, row) => row));
  const order: number[] = [];
  for (let row = 0; row < length; row++) {
    const found = free.has(row) && same(row, row) ? row : [...free].find((other) => same(row, other));
    if (found === undefined) return undefined;
    free.delete(found);
    order.push(found);
  }
  const moved = order.flatMap((from, to) => (from === to ? [] : [[from, to] as const]));
  const ties = rows.some(({ expected }) =>
    expected[0].some((_, column) =>
      moved.every(([from, to]) => Math.abs(expected[from][column] - expected[to][column]) <= TOLERANCE),
    ),
  );
  return ties ? order : undefined;
}

function reordered({ pair, axis }: Rows, order: readonly number[]): Float64Array {
  const values = Float64Array.from(pair.actual);
  order.forEach((from, to) => {
    const [source, target] = [placesOf(pair.dims, axis, from), placesOf(pair.dims, axis, to)];
    target.forEach((place, i) => {
      values[place] = pair.actual[source[i]];
    });
  });
  return values;
}
