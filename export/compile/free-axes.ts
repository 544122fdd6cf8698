/**
 * Frees axes of a program that was lowered for several lengths of them. What is the same in all holds for every length;
 * what differs is written as a function of the lengths, or is an error: nothing is guessed from a number that looks like
 * one of them. One more program, of lengths that the functions were not made from, has to agree with them. A length that
 * follows no free one by whole numbers, such as a half, is measured where it first occurs, and others may follow it.
 */
import { UserError } from '../../base/errors.js';
import {
  type Constant,
  type Graph,
  type GraphNode,
  type LengthSource,
  type Value,
  valuesOf,
} from '../../onnx/graph.js';
import { textOf } from '../../onnx/kernel-call.js';
import { LOOP_BEGIN } from '../../onnx/lowerings/loop.js';
import { countedUp, isSame, onlyRow } from './traced-constants.js';

/** Name of the free number of rows in files. */
export const BATCH = 'N';

/** A length that a file leaves open. */
export interface FreeAxis {
  /** In files, e.g. `N`. */
  name: string;
  /** For people, e.g. `the number of rows`. */
  what: string;
  /** What to do if the program cannot do without a fixed one. */
  advice: string;
  /** Lengths that the program is lowered for: two that functions are made from, one that has to agree. */
  traced: readonly [number, number, number];
}

/** Numbers of a stored tensor that may follow free lengths one by one. */
const FEW_NUMBERS = 64;

/** A program lowered for one length of each free axis. */
export interface LoweredProgram {
  g: Graph;
  nodes: GraphNode[];
  inputs: Value[];
  outputs: Value[];
}

/** The same program lowered several times. */
export interface LoweredTimes {
  /** With every axis at `traced[0]`. */
  base: LoweredProgram;
  /** For each axis, with that one at `traced[1]`. */
  changed: readonly LoweredProgram[];
  /** With every axis at `traced[2]`. */
  proof: LoweredProgram;
}

/** A program for any lengths. */
export interface FreeProgram {
  nodes: GraphNode[];
  inputs: Value[];
  outputs: Value[];
  /** Shapes by value name; lengths that are not fixed as text, e.g. `N` or `10*N`. */
  dims: Map<string, (number | string)[]>;
}

/** A length that is no whole function of the free ones. Its name says of which one it is about what part: `H_2`. */
interface Measured {
  name: string;
  /** In every program. */
  lengths: readonly number[];
  /** Measured in a loop that ended, where nothing else can read it. */
  isOver?: boolean;
}

/** slopes · lengths + intercept; of free lengths, then of measured ones. */
interface Linear {
  slopes: number[];
  intercept: number;
}

/** A program whose lengths are all fixed. */
export function fixedAxes({ nodes, inputs, outputs }: LoweredProgram): FreeProgram {
  const values = [...inputs, ...nodes.flatMap((node) => node.outputs)];
  return { nodes, inputs, outputs, dims: new Map(values.map(({ name, dims }) => [name, [...dims]])) };
}

/**
 * @param sources  where the file finds the length of each axis
 * @throws {UserError} naming the layer whose computation is another for another length
 */
export function freeAxes(
  axes: readonly FreeAxis[],
  sources: readonly LengthSource[],
  times: LoweredTimes,
): FreeProgram {
  return new AxisFreer(axes, sources, times).run();
}

class AxisFreer {
  private readonly dims: FreeProgram['dims'] = new Map();
  /** Names in the other programs of the values of the first. */
  private readonly partners = new Map<string, string[]>();
  private readonly nodes: GraphNode[] = [];
  private readonly base: LoweredProgram;
  private readonly others: readonly LoweredProgram[];
  private readonly measured: Measured[] = [];
  /** How many were measured before a loop, by its name for the number of the round. */
  private readonly before = new Map<string, number>();
  private readonly sources: LengthSource[];

  constructor(
    private readonly axes: readonly FreeAxis[],
    sources: readonly LengthSource[],
    { base, changed, proof }: LoweredTimes,
  ) {
    this.base = base;
    this.sources = [...sources];
    this.others = [...changed, proof];
  }

  run(): FreeProgram {
    const { base, others } = this;
    base.inputs.forEach((input, i) => {
      this.pair(
        input,
        others.map(({ inputs }) => inputs[i]),
      );
    });
    for (const [i, node] of base.nodes.entries()) {
      const partners = others.map(({ nodes }) => nodes[i] as GraphNode | undefined);
      partners.forEach((other, which) => {
        if (!other || node.op !== other.op || textOf(node.attributes) !== textOf(other.attributes))
          throw this.depends(node, which, other?.op === node.op ? 'takes other attributes' : 'is another operator');
      });
      base.g.scope = node.scope;
      const inputs = node.inputs.map(
        (value, at) =>
          value &&
          this.input(
            node,
            at,
            value,
            partners.map((other) => other!.inputs[at]),
          ),
      );
      this.nodes.push({ ...node, inputs });
      if (node.op === LOOP_BEGIN) this.before.set(node.outputs[0].name, this.measured.length);
      if (node.op === 'Loop')
        for (const length of this.measured.slice(this.before.get(inputs[0]!.name))) length.isOver = true;
      node.outputs.forEach((value, at) => {
        this.pair(
          value,
          partners.map((other) => other!.outputs[at]),
        );
      });
    }
    return { nodes: this.nodes, inputs: base.inputs, outputs: base.outputs, dims: this.dims };
  }

  private pair(value: Value, others: readonly Value[]): void {
    this.partners.set(
      value.name,
      others.map(({ name }) => name),
    );
    const lengths = value.dims.map((length, axis) => {
      const then = others.map(({ dims }) => dims[axis]);
      const linear = this.linear(length, then);
      return this.textOf(
        typeof linear === 'number' ? this.measure({ value, axis }, [length, ...then], linear) : linear,
      );
    });
    this.dims.set(value.name, lengths);
  }

  /** Makes a length one that others may follow. @param program  whose length shows that it follows none */
  private measure(source: LengthSource, lengths: readonly number[], program: number): Linear {
    const axis = this.axisOf(program);
    const part = `${axis.name}_${Math.max(1, Math.round(axis.traced[0] / lengths[0]))}`;
    const same = this.measured.filter(({ name }) => name.startsWith(part)).length;
    const name = same === 0 ? part : `${part}_${same + 1}`;
    this.measured.push({ name, lengths });
    this.sources.push(source);
    return this.following(lengths[0], lengths.slice(1))!;
  }

  private input(node: GraphNode, at: number, value: Value, others: readonly (Value | undefined)[]): Value {
    const stored = this.base.g.initializers.get(value.name);
    const theirs = others.map((other, which) => other && this.others[which].g.initializers.get(other.name));
    const stray = others.findIndex((other, which) => !other || !stored !== !theirs[which]);
    if (stray >= 0) throw this.depends(node, stray, 'reads other values');
    if (!stored) {
      const known = this.partners.get(value.name) ?? [];
      const wrong = others.findIndex((other, which) => known[which] !== other!.name);
      if (wrong >= 0) throw this.depends(node, wrong, 'reads other values');
      return value;
    }
    const different = theirs.findIndex((other, which) => !isSame(value.name, stored, others[which]!.name, other!));
    if (different < 0) return value;
    const all = [stored, ...(theirs as Constant[])];
    const free = this.freeConstant(node, at, value, all);
    if (!free) throw this.depends(node, this.broken(all) ?? different, 'uses other numbers');
    return free;
  }

  /** The program whose numbers do not follow its lengths, of a few numbers. */
  private broken(all: readonly Constant[]): number | undefined {
    if (all.some(({ dims }) => String(dims) !== String(all[0].dims))) return undefined;
    const numbers = all.map(valuesOf);
    return numbers[0].length > FEW_NUMBERS
      ? undefined
      : this.each(numbers).find((length) => typeof length === 'number');
  }

  private freeConstant(node: GraphNode, at: number, value: Value, all: readonly Constant[]): Value | undefined {
    const [stored] = all;
    if (all.some(({ dims }) => dims.length !== stored.dims.length)) return undefined;
    const sameDims = all.every(({ dims }) => dims.every((length, axis) => length === stored.dims[axis]));
    if (stored.dtype === 'int64' && stored.dims.length === 1 && sameDims)
      return this.freeLengths(node, at, all.map(valuesOf));
    return (
      this.freeSequence(value, all) ??
      this.freeRows(value, all) ??
      (sameDims ? this.freeNumbers(value, all) : undefined)
    );
  }

  /** A few numbers, each of which follows the free lengths, e.g. how many boxes there are. */
  private freeNumbers(value: Value, all: readonly Constant[]): Value | undefined {
    const numbers = all.map(valuesOf);
    if (numbers[0].length > FEW_NUMBERS || value.dtype === 'bool') return undefined;
    const linear = this.linears(numbers);
    if (!linear) return undefined;
    const lengths = this.lengths(linear);
    return this.emit((g) => {
      const shaped = g.node('Reshape', [lengths, g.int64s(value.dims)], {}, value.dims);
      return value.dtype === 'int64' ? shaped : g.node('Cast', [shaped], { to: value.dtype }, value.dims, value.dtype);
    });
  }

  /** Positions that are counted up, each so many times: 0, 0, 1, 1, … in a vector as long as a free length says. */
  private freeSequence(value: Value, all: readonly Constant[]): Value | undefined {
    const [now, ...then] = all;
    if (now.dims.length !== 1 || now.dtype === 'bool') return undefined;
    const length = this.linear(
      now.dims[0],
      then.map(({ dims }) => dims[0]),
    );
    if (typeof length === 'number' || !isFree(length)) return undefined;
    const counted = all.map((constant) => countedUp(valuesOf(constant)));
    const [first] = counted;
    if (!first || counted.some((other) => String(other) !== String(first))) return undefined;
    const [start, step, times] = first;
    const scalar = (number: number) => this.base.g.scalar(number, 'int64');
    const lengths = this.lengths([length]);
    return this.emit(
      (g) => {
        const size = value.dims;
        const count = g.node('Reshape', [lengths, g.int64s([])], {}, [], 'int64');
        const positions = g.node('Range', [scalar(0), count, scalar(1)], {}, size, 'int64');
        const repeated = times === 1 ? positions : g.node('Div', [positions, scalar(times)], {}, size);
        const scaled = step === 1 ? repeated : g.node('Mul', [repeated, scalar(step)], {}, size);
        const moved = start === 0 ? scaled : g.node('Add', [scaled, scalar(start)], {}, size);
        return now.dtype === 'int64' ? moved : g.node('Cast', [moved], { to: now.dtype }, size, now.dtype);
      },
      [this.textOf(length)],
    );
  }

  /**
   * Lengths that follow the free ones. A `Reshape` infers one of them; elsewhere they are computed from the shapes.
   */
  private freeLengths(node: GraphNode, at: number, all: readonly ArrayLike<number>[]): Value | undefined {
    const known = this.each(all);
    const fixed = known.map((length) => (typeof length === 'number' || isFree(length) ? -1 : length.intercept));
    if (node.op === 'Reshape' && at === 1 && fixed.filter((length) => length === -1).length === 1)
      return this.base.g.int64s(fixed);
    const linear = this.linears(all);
    return linear && this.lengths(linear);
  }

  /** A vector of lengths computed from the free ones. */
  private lengths(linear: readonly Linear[]): Value {
    return this.emit((g) => {
      const count = [linear.length];
      const terms = this.sources.flatMap(({ value, axis }, which) => {
        const slopes = linear.map(({ slopes }) => slopes[which] ?? 0);
        if (slopes.every((slope) => slope === 0)) return [];
        const shape = g.node('Shape', [value], {}, [value.dims.length], 'int64');
        const length = g.node('Gather', [shape, g.int64s([axis])], { axis: 0 }, [1], 'int64');
        return [g.node('Mul', [length, g.int64s(slopes)], {}, count, 'int64')];
      });
      const intercepts = linear.map(({ intercept }) => intercept);
      if (intercepts.some((intercept) => intercept !== 0)) terms.push(g.int64s(intercepts));
      return terms.reduce((sum, term) => g.node('Add', [sum, term], {}, count, 'int64'));
    });
  }

  /**
   * A stored tensor with the same row for every image of the batch, e.g. a recurrent layer's initial state: one row,
   * expanded.
   */
  private freeRows(value: Value, all: readonly Constant[]): Value | undefined {
    const [now] = all;
    const free = this.linears(all.map(({ dims }) => dims));
    if (!free) return undefined;
    const along = free.flatMap((length, axis) => (isFree(length) ? [axis] : []));
    if (along.length !== 1) return undefined;
    const rows = all.map((constant) => onlyRow(constant, along[0]));
    if (!rows.every((row) => row?.every((number, i) => Object.is(number, rows[0]![i])))) return undefined;
    const dims = now.dims.map((length, axis) => (axis === along[0] ? 1 : length));
    const row = this.base.g.constant(now.dtype, dims, rows[0]!);
    const lengths = this.lengths(free);
    return this.emit(
      (g) => g.node('Expand', [row, lengths], {}, value.dims, now.dtype),
      free.map((length) => this.textOf(length)),
    );
  }

  /** Adds nodes in front of the current one. @param lengths  of those as large as the result; absent: none is free */
  private emit(make: (g: Graph) => Value, lengths?: (number | string)[]): Value {
    const { g } = this.base;
    const before = g.nodes.length;
    const value = make(g);
    for (const node of g.nodes.slice(before)) {
      this.nodes.push(node);
      for (const { name, dims } of node.outputs)
        this.dims.set(name, lengths && String(dims) === String(value.dims) ? lengths : [...dims]);
    }
    return value;
  }

  /** The length as a function of the free ones, or the number of the program that it does not fit. */
  private linear(now: number, then: readonly number[]): Linear | number {
    const slopes = this.axes.map(({ traced: [from, to] }, which) => (then[which] - now) / (to - from));
    const broken = slopes.findIndex((slope) => !Number.isInteger(slope));
    if (broken >= 0) return this.following(now, then) ?? broken;
    const at = (point: 0 | 2) => slopes.reduce((sum, slope, which) => sum + slope * this.axes[which].traced[point], 0);
    const intercept = now - at(0);
    if (at(2) + intercept === then[this.axes.length]) return { slopes, intercept };
    return this.following(now, then) ?? this.axes.length;
  }

  /** The length as a function of a measured one. */
  private following(now: number, then: readonly number[]): Linear | undefined {
    for (const [i, { lengths, isOver }] of this.measured.entries()) {
      if (isOver) continue;
      const [from, ...others] = lengths;
      const at = others.findIndex((other) => other !== from);
      const slope = (then[at] - now) / (others[at] - from);
      if (!Number.isInteger(slope) || !others.every((other, k) => now + slope * (other - from) === then[k])) continue;
      const slopes = new Array<number>(this.axes.length + i).fill(0);
      return { slopes: [...slopes, slope], intercept: now - slope * from };
    }
    return undefined;
  }

  /** Each of a row of lengths, given as every program has them: as `linear` gives it. */
  private each([now, ...then]: readonly ArrayLike<number>[]): (Linear | number)[] {
    return Array.from(now, (length, i) =>
      this.linear(
        length,
        then.map((other) => other[i]),
      ),
    );
  }

  /** Each of a row of lengths; undefined if one does not fit. */
  private linears(all: readonly ArrayLike<number>[]): Linear[] | undefined {
    const linear = this.each(all).filter((length) => typeof length !== 'number');
    return linear.length === all[0].length ? linear : undefined;
  }

  /** The axis that a program changed. The proof changed all of them, and the number of rows is rarely the one that fails. */
  private axisOf(program: number): FreeAxis {
    return this.axes[program] ?? this.axes.find(({ name }) => name !== BATCH) ?? this.axes[0];
  }

  private depends({ scope, op }: GraphNode, program: number, how: string): UserError {
    const { what, advice } = this.axisOf(program);
    return new UserError(
      `${scope || op}: the graph depends on ${what} (${op} ${how}), so that cannot be free; ${advice}`,
    );
  }

  /** `2*N+1` */
  private textOf({ slopes, intercept }: Linear): number | string {
    const products = slopes.flatMap((slope, which) => {
      const { name } = this.axes[which] ?? this.measured[which - this.axes.length];
      return slope === 0 ? [] : [slope === 1 ? name : `${slope}*${name}`];
    });
    if (products.length === 0) return intercept;
    const sum = products.join('+');
    return intercept === 0 ? sum : `${sum}${intercept < 0 ? '' : '+'}${intercept}`;
  }
}

const isFree = ({ slopes }: Linear) => slopes.some((slope) => slope !== 0);
