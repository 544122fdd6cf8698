/**
 * The ONNX graph under construction. Nodes are pure: asking twice for the same operator on the same inputs gives the
 * same value, so rules may recompute what another rule needed (the pooling gradient asks for `MaxPool` again) and pay
 * nothing.
 */
import { textOf } from './kernel-call.js';
import {
  identity,
  inverse,
  type Layout,
  movesNothing,
  permutation,
  sameNumbers,
  type TensorData,
  toMemory,
  transpose,
} from './layout.js';

/** ONNX element types in use. */
export type ElementType = 'float32' | 'float64' | 'float16' | 'int8' | 'int32' | 'int64' | 'uint8' | 'bool';

/** A float attribute; plain numbers are integers. */
export interface FloatAttribute {
  float: number;
}
export type Attribute = number | readonly number[] | string | FloatAttribute | Constant;
export type Attributes = Record<string, Attribute>;

/** Values in memory order; int64 are kept as plain numbers, float16 as the bits of each. */
export type Numbers = TensorData | Uint16Array | Int8Array | readonly number[];

/** A tensor stored in the file. */
export interface Constant {
  /** Name of the stored tensor whose place it takes, if it is made from that one. */
  readonly origin?: string;
  /** What it was stored for, the same object for every program that stores it: spares comparing its values. */
  readonly weight?: object;
  readonly dtype: ElementType;
  readonly dims: readonly number[];
  /**
   * A function where the values are made from others: called when they are needed, so that large ones are never held
   * twice.
   */
  readonly data: Numbers | (() => Numbers);
}

/** A named tensor to be stored. `data` lies in memory order `layout`. */
interface StoredTensor extends Pick<Constant, 'dtype' | 'data' | 'weight'> {
  /** tfjs's. */
  shape: readonly number[];
  layout?: Layout;
}

/** A stored tensor's values. */
export function valuesOf({ data }: Constant): Numbers {
  return typeof data === 'function' ? data() : data;
}

/** One tensor in the graph: ONNX sees `dims`; rules see `shape`, tfjs's order of axes. */
export interface Value {
  name: string;
  readonly dtype: ElementType;
  readonly dims: readonly number[];
  readonly layout: Layout;
  readonly shape: readonly number[];
  /** How many later kernel calls and outputs read the tensor; set by the driver on results of kernel calls. */
  uses?: number;
  /** What the value was reshaped from, same elements in the same order. */
  readonly reshapedFrom?: Value;
}

/** Where a length is found when a file runs: an axis of a value. */
export interface LengthSource {
  value: Value;
  axis: number;
}

export interface GraphNode {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: Value[];
  readonly attributes: Attributes;
  /** Label the node was made under: the layer's name in exported files. */
  readonly scope: string;
}

/**
 * Forms of operators that not every runtime has a kernel for, or a right one. Rules ask for them by name and know
 * another form.
 */
export type OperatorForm =
  | 'Cast of int64'
  | 'Conv of 6, 9, 15 … channels'
  | 'Conv of an image as large as its kernel, padded at its end'
  | 'Conv with groups'
  | 'ConvTranspose with groups'
  | 'IsInf'
  | 'IsNaN'
  | 'LogSoftmax'
  | 'MatMul of few rows and a long sum'
  | 'MaxPool with positions'
  | 'Slice backwards from within';

/** What rules may ask about the graph's destination. */
export interface Target {
  /** ONNX operator set of the default domain, 13 to 22. */
  readonly opset: number;
  /** `op`: the LRN operator. `conv`: band convolution, faster on onnxruntime's CPU provider. */
  readonly lrn: 'op' | 'conv';
  /** Channels that lie together where convolutions run in onnxruntime's blocked layout; 0 or absent if they do not. */
  readonly block?: number;
  /** Numbers are finite: nodes that only treat NaN and infinities as tfjs does are left out. */
  readonly finite?: boolean;
  /** Images may have any height and width. */
  readonly freeLengths?: boolean;
  /** Forms that are right to the last digits for training, where an operator of this name is only close: `Sigmoid`. */
  readonly accurate?: boolean;
  /** What the runtime has no kernel for. */
  readonly lacks?: ReadonlySet<OperatorForm>;
}

export class Graph {
  readonly inputs: Value[] = [];
  /** Stored tensors by name. */
  readonly initializers = new Map<string, Constant>();
  readonly nodes: GraphNode[] = [];
  /** Where lengths are found that the data decide, by their number: see `lowerings/selection.ts` and `loop.ts`. */
  readonly selected = new Map<number, LengthSource>();
  /** Label for nodes made from now on. */
  scope = '';
  private readonly known = new Map<string, GraphNode>();
  private readonly constants = new Map<string, Value>();
  private readonly producers = new Map<string, GraphNode>();
  private readonly originals = new Map<string, Value>();
  private count = 0;

  constructor(readonly target: Target) {}

  /** True if the runtime has a kernel for this. */
  has(form: OperatorForm): boolean {
    return !this.target.lacks?.has(form);
  }

  /** A graph input. `shape` is tfjs's; the tensor is fed in memory order `layout`. */
  input(name: string, dtype: ElementType, shape: readonly number[], layout: Layout = identity(shape.length)): Value {
    const value = this.value(dtype, toMemory(shape, layout), layout, name);
    this.inputs.push(value);
    return value;
  }

  /** A tensor stored in the file. */
  initializer(name: string, { dtype, shape, data, layout = identity(shape.length), weight }: StoredTensor): Value {
    const dims = toMemory(shape, layout);
    this.initializers.set(name, { dtype, dims, data, weight });
    return this.value(dtype, dims, layout, name);
  }

  /**
   * A tensor made from a stored one and stored in its place, e.g. in another shape or order.
   * @param how     tells it from others made from `value`
   * @param origin  name that it takes in the file
   */
  derived(
    value: Value,
    dims: readonly number[],
    how: string,
    make: (values: Numbers) => Numbers,
    origin = this.initializers.get(value.name)!.origin ?? value.name,
  ): Value {
    const name = `${value.name}.${how}`;
    const known = this.originals.get(name);
    if (known) return known;
    const source = this.initializers.get(value.name)!;
    const result = this.value(value.dtype, dims, identity(dims.length), name);
    const data = () => make(valuesOf(source));
    this.initializers.set(name, { dtype: value.dtype, dims, data, origin, weight: source.weight });
    return result;
  }

  /** True for a tensor stored in the file. */
  isStored(value: Value): boolean {
    return this.initializers.has(value.name);
  }

  /** A small constant; equal ones are stored once. */
  constant(dtype: ElementType, shape: readonly number[], data: TensorData | readonly number[]): Value {
    const key = `${dtype}[${shape}]${Array.from(data, String).join()}`;
    let value = this.constants.get(key);
    if (!value) {
      value = this.initializer(`const${this.constants.size}`, { dtype, shape, data });
      this.constants.set(key, value);
    }
    return value;
  }

  scalar(data: number, dtype: ElementType = 'float32'): Value {
    return this.constant(dtype, [], [data]);
  }

  int64s(data: readonly number[]): Value {
    return this.constant('int64', [data.length], data);
  }

  /** One node with one output. `dims` is the output's shape in ONNX's order; dtype defaults to the first input's. */
  node(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes,
    dims: readonly number[],
    dtype?: ElementType,
  ): Value {
    return this.multi(op, inputs, attributes, [{ dims, dtype: dtype ?? inputs[0]!.dtype }])[0];
  }

  /** One node with several outputs, or of another domain. Asked again with more outputs, the node gains them. */
  multi(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes,
    outputs: readonly { dims: readonly number[]; dtype: ElementType }[],
    domain = '',
  ): Value[] {
    const key = `${domain}:${op}(${inputs.map((value) => value?.name ?? '').join()})${textOf(attributes)}`;
    let node = this.known.get(key);
    if (!node) {
      node = { op, domain, inputs, outputs: [], attributes, scope: this.scope };
      this.known.set(key, node);
      this.nodes.push(node);
    }
    for (let i = node.outputs.length; i < outputs.length; i++) {
      const value = this.value(outputs[i].dtype, outputs[i].dims, identity(outputs[i].dims.length));
      node.outputs.push(value);
      this.producers.set(value.name, node);
    }
    return node.outputs;
  }

  /** A value of its own with the same contents: an output must not be an input, a constant or another output. */
  copy(value: Value): Value {
    const copied = this.value(value.dtype, value.dims, identity(value.dims.length));
    this.nodes.push({
      op: 'Identity',
      domain: '',
      inputs: [this.memory(value)],
      outputs: [copied],
      attributes: {},
      scope: this.scope,
    });
    return copied;
  }

  /** The node that computes a value; undefined for inputs and constants. */
  producer(value: Value): GraphNode | undefined {
    return this.producers.get(value.name);
  }

  /** A node made earlier, or undefined. */
  find(op: string, inputs: readonly Value[], attributes: Attributes = {}): Value | undefined {
    return this.known.get(`:${op}(${inputs.map((value) => value.name).join()})${textOf(attributes)}`)?.outputs[0];
  }

  /** The same tensor laid out as asked: a `Transpose`, a `Reshape` where only axes of length 1 move, or nothing. */
  as(value: Value, layout: Layout): Value {
    if (sameNumbers(value.layout, layout)) return value;
    const perm = permutation(value.layout, layout);
    const dims = perm.map((axis) => value.dims[axis]);
    const stored = this.initializers.get(value.name);
    let result: Value;
    if (stored && !Array.isArray(stored.data)) {
      result = this.derived(value, dims, perm.join(''), (data) => transpose(data as TensorData, value.dims, perm));
    } else if (movesNothing(value.dims, perm)) {
      result = this.reshaped(this.memory(value), dims);
    } else {
      result = this.node('Transpose', [this.memory(value)], { perm }, dims);
    }
    return this.view(result, layout);
  }

  /** ONNX's view of a value in the layout asked for: shape is the shape in memory. */
  in(layout: Layout, value: Value): Value {
    return this.memory(this.as(value, layout));
  }

  /** The value in tfjs's own order. */
  plain(value: Value): Value {
    return this.as(value, identity(value.dims.length));
  }

  /** tfjs's view of a value that ONNX computed in `layout`. */
  view(value: Value, layout: Layout): Value {
    if (sameNumbers(value.layout, layout)) return value;
    return {
      ...this.memory(value),
      layout,
      shape: inverse(layout).map((index) => value.dims[index]),
      reshapedFrom: undefined,
    };
  }

  /** ONNX's view of a value: its axes as they lie in memory. */
  memory(value: Value): Value {
    return this.originals.get(value.name) ?? value;
  }

  /**
   * Same elements, tfjs order, other shape. Chains collapse; a leading axis that stays is written 0 and remains free.
   */
  reshape(value: Value, shape: readonly number[]): Value {
    const base = value.reshapedFrom ?? value;
    if (base.shape.length === shape.length && base.shape.every((length, axis) => length === shape[axis])) return base;
    const plain = this.plain(base);
    const stored = this.initializers.get(plain.name);
    if (stored) return { ...this.derived(plain, shape, `[${shape}]`, (data) => data), reshapedFrom: base };
    return { ...this.reshaped(plain, shape), reshapedFrom: base };
  }

  /** ONNX's view of the same elements in tfjs's order under another shape. */
  flat(value: Value, shape: readonly number[]): Value {
    return this.memory(this.plain(this.reshape(value, shape)));
  }

  /**
   * Same elements in the same order in memory, from where they had another shape last. A leading length that stays is
   * written 0.
   */
  private reshaped(value: Value, dims: readonly number[]): Value {
    const before = this.producer(value);
    const source = before?.op === 'Reshape' ? before.inputs[0]! : value;
    const target = dims.map((length, axis) => (axis === 0 && length === source.dims[0] && length > 0 ? 0 : length));
    return this.node('Reshape', [source, this.int64s(target)], {}, dims);
  }

  private value(dtype: ElementType, dims: readonly number[], layout: Layout, name = `v${this.count++}`): Value {
    const memory: Value = { name, dtype, dims, layout: identity(dims.length), shape: dims };
    this.originals.set(name, memory);
    return this.view(memory, layout);
  }
}
