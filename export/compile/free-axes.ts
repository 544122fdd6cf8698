/**
 * Frees the batch axis of a program that was lowered for two batch sizes. What is the same in both holds for every
 * size; what differs is written as a function of the size, or is an error: nothing is guessed from a number that looks
 * like the batch.
 */
import { UserError } from '../../base/errors.js';
import { type Constant, type Graph, type GraphNode, type Value, valuesOf } from '../../onnx/graph.js';
import { textOf } from '../../onnx/kernel-call.js';

/** Name of the free length in files. */
export const BATCH = 'N';

/** A program lowered for one batch size. */
export interface LoweredProgram {
  g: Graph;
  nodes: GraphNode[];
  inputs: Value[];
  outputs: Value[];
}

/** A program for any batch size. */
export interface FreeProgram {
  nodes: GraphNode[];
  inputs: Value[];
  outputs: Value[];
  /** Shapes by value name; lengths that follow the batch as text, e.g. `N` or `10*N`. */
  dims: Map<string, (number | string)[]>;
}

/** slope · batch + intercept. */
interface Linear {
  slope: number;
  intercept: number;
}

/** A program whose lengths are all fixed. */
export function fixedBatch({ nodes, inputs, outputs }: LoweredProgram): FreeProgram {
  const values = [...inputs, ...nodes.flatMap((node) => node.outputs)];
  return { nodes, inputs, outputs, dims: new Map(values.map(({ name, dims }) => [name, [...dims]])) };
}

/**
 * @param a, b   the same program lowered for `sizes[0]` and `sizes[1]`
 * @throws {UserError} naming the layer whose computation is another for another batch
 */
export function freeBatch(a: LoweredProgram, b: LoweredProgram, sizes: readonly [number, number]): FreeProgram {
  return new BatchFreer(a, b, sizes).run();
}

class BatchFreer {
  private readonly dims: FreeProgram['dims'] = new Map();
  /** Names in `b` of the values of `a`. */
  private readonly partner = new Map<string, string>();
  private readonly nodes: GraphNode[] = [];

  constructor(
    private readonly a: LoweredProgram,
    private readonly b: LoweredProgram,
    private readonly sizes: readonly [number, number],
  ) {}

  run(): FreeProgram {
    const { a, b } = this;
    a.inputs.forEach((input, i) => {
      this.pair(input, b.inputs[i], '');
    });
    for (const [i, node] of a.nodes.entries()) {
      const other = b.nodes[i];
      if (!other || node.op !== other.op || textOf(node.attributes) !== textOf(other.attributes))
        throw this.dependsOnBatch(node, `is ${node.op} for one and ${other?.op ?? 'nothing'} for another`);
      a.g.scope = node.scope;
      const inputs = node.inputs.map((value, at) => value && this.input(node, at, value, other.inputs[at]));
      this.nodes.push({ ...node, inputs });
      node.outputs.forEach((value, at) => {
        this.pair(value, other.outputs[at], node.scope);
      });
    }
    return { nodes: this.nodes, inputs: a.inputs, outputs: a.outputs, dims: this.dims };
  }

  private pair(value: Value, other: Value, scope: string): void {
    this.partner.set(value.name, other.name);
    const lengths = value.dims.map((length, axis) => {
      const linear = this.linear(length, other.dims[axis]);
      if (!linear) throw new UserError(`${scope || value.name}: axis ${axis} is not a multiple of the batch size`);
      return textOfLength(linear);
    });
    this.dims.set(value.name, lengths);
  }

  private input(node: GraphNode, at: number, value: Value, other: Value | undefined): Value {
    const stored = this.a.g.initializers.get(value.name);
    const otherStored = other && this.b.g.initializers.get(other.name);
    if (!other || !stored !== !otherStored) throw this.dependsOnBatch(node, 'reads other values');
    if (!stored || !otherStored) {
      if (this.partner.get(value.name) !== other.name) throw this.dependsOnBatch(node, 'reads other values');
      return value;
    }
    if (isSame(value.name, stored, other.name, otherStored)) return value;
    const free =
      stored.dtype === 'int64' && stored.dims.length === 1 && stored.dims[0] === otherStored.dims[0]
        ? this.freeLengths(node, at, valuesOf(stored), valuesOf(otherStored))
        : this.freeRows(value, stored, otherStored);
    if (!free) throw this.dependsOnBatch(node, 'uses other numbers');
    return free;
  }

  /**
   * Lengths that follow the batch. A `Reshape` infers one of them; elsewhere they are computed from the input's shape.
   */
  private freeLengths(node: GraphNode, at: number, now: ArrayLike<number>, then: ArrayLike<number>): Value | undefined {
    const linear = Array.from(now, (length, i) => this.linear(length, then[i]));
    if (!linear.every((length) => length !== undefined)) return undefined;
    const free = linear.filter(({ slope }) => slope !== 0);
    if (node.op === 'Reshape' && at === 1 && free.length === 1 && !Array.from(now).includes(-1)) {
      return this.a.g.int64s(linear.map(({ slope, intercept }) => (slope === 0 ? intercept : -1)));
    }
    return this.lengths(linear);
  }

  /** A vector of lengths computed from the first input's batch. */
  private lengths(linear: readonly Linear[]): Value {
    return this.emit((g) => {
      const [input] = this.a.inputs;
      const shape = g.node('Shape', [input], {}, [input.dims.length], 'int64');
      const batch = g.node('Gather', [shape, g.int64s([0])], { axis: 0 }, [1], 'int64');
      const slopes = g.int64s(linear.map(({ slope }) => slope));
      const scaled = g.node('Mul', [batch, slopes], {}, [linear.length], 'int64');
      const intercepts = linear.map(({ intercept }) => intercept);
      if (intercepts.every((intercept) => intercept === 0)) return scaled;
      return g.node('Add', [scaled, g.int64s(intercepts)], {}, [linear.length], 'int64');
    });
  }

  /**
   * A stored tensor with the same row for every image of the batch, e.g. a recurrent layer's initial state: one row,
   * expanded.
   */
  private freeRows(value: Value, now: Constant, then: Constant): Value | undefined {
    const free = now.dims.map((length, axis) => this.linear(length, then.dims[axis]));
    if (now.dims.length !== then.dims.length || !free.every((length) => length !== undefined)) return undefined;
    const axes = free.flatMap(({ slope }, axis) => (slope === 0 ? [] : [axis]));
    if (axes.length !== 1) return undefined;
    const rows = [now, then].map((constant) => onlyRow(constant, axes[0]));
    if (!rows[0] || !rows[1] || !rows[0].every((number, i) => Object.is(number, rows[1]![i]))) return undefined;
    const dims = now.dims.map((length, axis) => (axis === axes[0] ? 1 : length));
    const row = this.a.g.constant(now.dtype, dims, rows[0]);
    const lengths = this.lengths(free);
    const expanded = this.emit((g) => g.node('Expand', [row, lengths], {}, value.dims, now.dtype));
    this.dims.set(expanded.name, free.map(textOfLength));
    return expanded;
  }

  /** Adds nodes in front of the current one. */
  private emit(make: (g: Graph) => Value): Value {
    const { g } = this.a;
    const before = g.nodes.length;
    const value = make(g);
    for (const node of g.nodes.slice(before)) {
      this.nodes.push(node);
      for (const { name, dims } of node.outputs) this.dims.set(name, [...dims]);
    }
    return value;
  }

  private linear(now: number, then: number): Linear | undefined {
    const slope = (now - then) / (this.sizes[0] - this.sizes[1]);
    return Number.isInteger(slope) ? { slope, intercept: now - slope * this.sizes[0] } : undefined;
  }

  private dependsOnBatch({ scope, op }: GraphNode, how: string): UserError {
    return new UserError(
      `${scope || op}: the graph depends on the number of rows (${op} ${how}), so its batch axis cannot be free; ` +
        'export it for a fixed number with --batch',
    );
  }
}

function textOfLength({ slope, intercept }: Linear): number | string {
  if (slope === 0) return intercept;
  const product = slope === 1 ? BATCH : `${slope}*${BATCH}`;
  return intercept === 0 ? product : `${product}${intercept < 0 ? '' : '+'}${intercept}`;
}

/** Same numbers. A weight's name says how it was made, and spares comparing millions of them. */
function isSame(name: string, a: Constant, otherName: string, b: Constant): boolean {
  if (a.dtype !== b.dtype || a.dims.length !== b.dims.length || a.dims.some((length, axis) => length !== b.dims[axis]))
    return false;
  if (a.weight && a.weight === b.weight && name === otherName) return true;
  const [values, others] = [valuesOf(a), valuesOf(b)];
  for (let i = 0; i < values.length; i++) if (!Object.is(values[i], others[i])) return false;
  return true;
}

/** The numbers at one place along `axis`, if they are the same at all places. */
function onlyRow(constant: Constant, axis: number): number[] | undefined {
  const values = valuesOf(constant);
  const inner = constant.dims.slice(axis + 1).reduce((product, length) => product * length, 1);
  const length = constant.dims[axis];
  const row: number[] = [];
  for (let i = 0; i < values.length; i++) {
    const place = Math.floor(i / inner) % length;
    const outer = Math.floor(i / inner / length);
    const at = outer * inner + (i % inner);
    if (place === 0) row[at] = values[i];
    else if (!Object.is(row[at], values[i])) return undefined;
  }
  return row;
}
