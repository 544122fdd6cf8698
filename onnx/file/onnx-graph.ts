/**
 * An ONNX file opened for reading: nodes in order, who makes and who reads a value, and constants wherever the graph
 * keeps them.
 */

import type { Roots } from '../../base/links.js';
import { type TensorData, transpose } from '../layout.js';
import { readBy } from './cut-graph.js';
import { storedTensor } from './onnx-tensor.js';
import { readModel } from './read-model.js';
import type { StoredTensor } from './stored-tensor.js';

type NodeProto = import('onnx-proto').onnx.INodeProto;
type AttributeProto = import('onnx-proto').onnx.IAttributeProto;
type ModelProto = import('onnx-proto').onnx.IModelProto;

export class OnnxGraph {
  readonly nodes: readonly NodeProto[];
  private readonly initializers: Map<string, StoredTensor>;
  private readonly producers = new Map<string, NodeProto>();
  private readonly consumers = new Map<string, NodeProto[]>();

  /** @param path  of the file, for errors and for data files next to it */
  constructor(
    readonly path: string,
    readonly model: ModelProto,
    /** Folders in which data next to it may lie; undefined for its own. */
    private readonly roots?: Roots,
  ) {
    const { node = [], initializer = [] } = model.graph ?? {};
    this.nodes = node!;
    this.initializers = new Map(initializer!.map((tensor) => [tensor.name ?? '', storedTensor(path, tensor, roots)]));
    for (const node of this.nodes) {
      for (const output of node.output ?? []) this.producers.set(output, node);
      for (const input of readBy(node)) this.consumers.set(input, [...(this.consumers.get(input) ?? []), node]);
    }
  }

  producer(value: string | undefined): NodeProto | undefined {
    return value === undefined ? undefined : this.producers.get(value);
  }

  /** The only node that reads a value, if there is just one. */
  onlyConsumer(value: string | undefined): NodeProto | undefined {
    const readers = this.consumers.get(value ?? '') ?? [];
    return readers.length === 1 ? readers[0] : undefined;
  }

  /**
   * The tensor behind a value that does not depend on inputs: stored, or a stored one cast or transposed by the graph.
   */
  constant(value: string | undefined): StoredTensor | undefined {
    if (!value) return undefined;
    const stored = this.initializers.get(value);
    if (stored) return stored;
    const node = this.producers.get(value);
    switch (node?.opType) {
      case 'Constant': {
        const tensor = attribute(node, 'value')?.t;
        return tensor ? { ...storedTensor(this.path, tensor, this.roots), name: value } : undefined;
      }
      case 'Identity':
      case 'Cast':
        return this.constant(node.input?.[0]);
      case 'Transpose':
        return transposed(this.constant(node.input?.[0]), ints(node, 'perm'));
      default:
        return undefined;
    }
  }

  /**
   * Shape of a value that does not depend on inputs, also of one that is decoded from codes; undefined for every other.
   */
  storedDims(value: string | undefined): readonly number[] | undefined {
    const node = this.producer(value);
    const isDecoded = node?.opType === 'DequantizeLinear' || node?.opType === 'Cast';
    return isDecoded ? this.storedDims(node.input?.[0]) : this.constant(value)?.dims;
  }

  /** Inputs that have to be fed: old files list stored tensors among them. */
  get fedInputs() {
    return (this.model.graph?.input ?? []).filter(({ name }) => !this.initializers.has(name ?? ''));
  }
}

function transposed(tensor: StoredTensor | undefined, wanted: number[] | undefined): StoredTensor | undefined {
  if (!tensor) return undefined;
  const { name, dims, read } = tensor;
  const perm = wanted ?? dims.map((_, axis) => dims.length - 1 - axis);
  return {
    name,
    dims: perm.map((axis) => dims[axis]),
    read: async () => transpose<TensorData>(await read(), dims, perm) as Float32Array,
  };
}

/** @throws {UserError} see `readModel` */
export async function openOnnx(path: string): Promise<OnnxGraph> {
  return new OnnxGraph(path, await readModel(path));
}

export function attribute(node: NodeProto, name: string): AttributeProto | undefined {
  return node.attribute?.find((attribute) => attribute.name === name);
}

export function ints(node: NodeProto, name: string): number[] | undefined {
  return attribute(node, name)?.ints?.map(Number);
}

export function int(node: NodeProto, name: string, absent: number): number {
  const found = attribute(node, name);
  return found ? Number(found.i ?? 0) : absent;
}

export function float(node: NodeProto, name: string, absent: number): number {
  const found = attribute(node, name);
  return found ? (found.f ?? 0) : absent;
}

/** For errors: operator and the value it makes. */
export function describeNode(node: NodeProto): string {
  return `${node.opType} "${node.name || node.output?.[0] || ''}"`;
}
