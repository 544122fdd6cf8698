/** Graphs as ONNX's protobuf. Bytes come in pieces, so that a large file is never in memory as a whole. */
import {
  type Attribute,
  type Constant,
  type ElementType,
  type GraphNode,
  type Numbers,
  type Value,
  valuesOf,
} from '../graph.js';
import { type NestedGraph, type NestedNode, nestLoops } from './nest-loops.js';
import { onnx } from './onnx-proto.js';
import { bytesHead, GRAPH_INITIALIZER, MODEL_GRAPH, TENSOR_RAW_DATA } from './wire.js';

type ModelProto = onnx.IModelProto;
type GraphProto = onnx.IGraphProto;
type TensorProto = onnx.ITensorProto;
type NodeProto = onnx.INodeProto;

const { DataType } = onnx.TensorProto;
const { AttributeType } = onnx.AttributeProto;

const ELEMENT_TYPES: Record<ElementType, { onnx: number; bytes: number }> = {
  float32: { onnx: DataType.FLOAT, bytes: 4 },
  float64: { onnx: DataType.DOUBLE, bytes: 8 },
  float16: { onnx: DataType.FLOAT16, bytes: 2 },
  int8: { onnx: DataType.INT8, bytes: 1 },
  int32: { onnx: DataType.INT32, bytes: 4 },
  int64: { onnx: DataType.INT64, bytes: 8 },
  uint8: { onnx: DataType.UINT8, bytes: 1 },
  bool: { onnx: DataType.BOOL, bytes: 1 },
};

/** Lowest IR version that allows an operator set (onnx/docs/Versioning.md); 7 loads from ONNX Runtime 1.8 on. */
export function irVersion(opset: number): number {
  if (opset <= 14) return 7;
  if (opset <= 18) return 8;
  return opset <= 20 ? 9 : 10;
}

/** A value as a file states it: lengths, or names of lengths that are free. */
export interface ValueInfo {
  name: string;
  dtype: ElementType;
  dims: readonly (number | string)[];
}

/** Everything a model file holds. */
export interface ModelParts {
  graphName: string;
  opset: number;
  domains?: readonly string[];
  nodes: readonly GraphNode[];
  /** Default: that of the first output. */
  nodeName?: (node: GraphNode) => string;
  /** For people who read the graph. */
  nodeDoc?: (node: GraphNode) => string;
  initializers: ReadonlyMap<string, Constant>;
  inputs: readonly ValueInfo[];
  outputs: readonly ValueInfo[];
  /** What lies between inputs and outputs. */
  valueInfo?: readonly ValueInfo[];
  doc?: string;
  metadata?: readonly { key: string; value: string }[];
  producerVersion?: string;
}

/** Where tensors lie that are kept outside the model file: name of that file, next to it, and offset of each. */
export interface ExternalData {
  location: string;
  offsets: ReadonlyMap<string, number>;
}

/** The bytes of a model file that has a few megabytes. */
export function encodeModel(parts: ModelParts): Uint8Array {
  return Buffer.concat([...encodeChunks(parts)]);
}

/** What a model says of itself, without its graph. */
function headOf(parts: ModelParts): ModelProto {
  return {
    irVersion: irVersion(parts.opset),
    producerName: 'alexnet',
    producerVersion: parts.producerVersion ?? '',
    opsetImport: [
      { domain: '', version: parts.opset },
      ...(parts.domains ?? []).map((domain) => ({ domain, version: 1 })),
    ],
    metadataProps: [...(parts.metadata ?? [])],
    docString: parts.doc,
  };
}

/** What graphs of one file are written from. */
interface Writing {
  parts: ModelParts;
  /** What is stated of values, by name. */
  stated: ReadonlyMap<string, ValueInfo>;
}

/** A graph without its stored tensors. */
function graphOf(parts: ModelParts): GraphProto {
  const { inputs, outputs, valueInfo: between = [] } = parts;
  const stated = new Map([...inputs, ...outputs, ...between].map((info) => [info.name, info]));
  return graphProto({ parts, stated }, parts.graphName, { nodes: nestLoops(parts.nodes), inputs, outputs });
}

/** @param graph  of its inputs and outputs, what is to be stated */
function graphProto(
  writing: Writing,
  name: string,
  { nodes, inputs, outputs }: Pick<NestedGraph, 'nodes'> & Record<'inputs' | 'outputs', readonly ValueInfo[]>,
): GraphProto {
  const isOutput = new Set(outputs.map((value) => value.name));
  const between = nodes.flatMap((node) => node.outputs).filter((value) => !isOutput.has(value.name));
  return {
    name,
    node: nodes.map((node) => nodeProto(writing, node)),
    input: inputs.map(valueInfo),
    output: outputs.map(valueInfo),
    valueInfo: between.flatMap((value) => writing.stated.get(value.name) ?? []).map(valueInfo),
  };
}

/** What a loop does in each round. */
function bodyProto(writing: Writing, name: string, { nodes, inputs, outputs, results }: NestedGraph): GraphProto {
  const stated = (value: Value): ValueInfo => writing.stated.get(value.name) ?? value;
  return graphProto(writing, name, {
    nodes,
    inputs: inputs.map(stated),
    outputs: outputs.map((value, i) => ({ ...stated(results[i]), name: value.name })),
  });
}

/** A model as a message whose tensors have lengths and no values: what a check of its structure needs. */
export function structureOf(parts: ModelParts): ModelProto {
  const initializer = storedTensors(parts).map(([name, constant]) =>
    tensorMessage(name, constant, { location: 'nowhere', offset: 0 }),
  );
  return { ...headOf(parts), graph: { ...graphOf(parts), initializer } };
}

/**
 * The bytes of a model file, the graph at its end: what a file says of itself can be read without it. Only initialisers
 * that some node reads are written, in the order they are first read.
 */
export function* encodeChunks(parts: ModelParts, external?: ExternalData): Generator<Uint8Array> {
  yield onnx.ModelProto.encode(headOf(parts)).finish();
  const graph = onnx.GraphProto.encode(graphOf(parts)).finish();
  const tensors = storedTensors(parts).map(([name, constant]) => {
    const offset = external?.offsets.get(name);
    const stored = offset === undefined ? undefined : { location: external!.location, offset };
    return { constant, stored, ...tensorHead(name, constant, stored) };
  });
  const length = tensors.reduce((sum, { head, length }) => sum + head.length + length, graph.length);
  yield bytesHead(MODEL_GRAPH, length);
  yield graph;
  for (const { constant, stored, head } of tensors) {
    yield head;
    if (!stored) yield rawBytes(constant.dtype, valuesOf(constant));
  }
}

/** The initialisers that nodes read, in the order they are first read. */
export function storedTensors({ nodes, initializers }: ModelParts): [string, Constant][] {
  const used = new Set(nodes.flatMap((node) => node.inputs.map((value) => value?.name ?? '')));
  return [...used].filter((name) => initializers.has(name)).map((name) => [name, initializers.get(name)!]);
}

/** Bytes of a stored tensor's values. */
export function byteLength({ dtype, dims }: Pick<Constant, 'dtype' | 'dims'>): number {
  return dims.reduce((product, length) => product * length, ELEMENT_TYPES[dtype].bytes);
}

interface ExternalPlace {
  location: string;
  offset: number;
}

/** A tensor's fields without its values. */
function tensorMessage(name: string, constant: Constant, stored: ExternalPlace | undefined): TensorProto {
  const { dtype, dims } = constant;
  const message: TensorProto = { name, dims: [...dims], dataType: ELEMENT_TYPES[dtype].onnx };
  if (!stored) return message;
  const entries = Object.entries({ ...stored, length: byteLength(constant) });
  message.dataLocation = onnx.TensorProto.DataLocation.EXTERNAL;
  message.externalData = entries.map(([key, value]) => ({ key, value: String(value) }));
  return message;
}

/** A tensor's fields up to its values, and how long the values are that follow. */
function tensorHead(
  name: string,
  constant: Constant,
  stored: ExternalPlace | undefined,
): { head: Uint8Array; length: number } {
  const fields = onnx.TensorProto.encode(tensorMessage(name, constant, stored)).finish();
  if (stored) return { head: Buffer.concat([bytesHead(GRAPH_INITIALIZER, fields.length), fields]), length: 0 };
  const length = byteLength(constant);
  const raw = bytesHead(TENSOR_RAW_DATA, length);
  const head = Buffer.concat([bytesHead(GRAPH_INITIALIZER, fields.length + raw.length + length), fields, raw]);
  return { head, length };
}

function nodeProto(writing: Writing, node: NestedNode): NodeProto {
  const { nodeName, nodeDoc } = writing.parts;
  const name = nodeName?.(node) ?? node.outputs[0].name;
  const attributes = Object.entries(node.attributes).map(([name, value]) => attributeProto(name, value));
  const body = node.body && { type: AttributeType.GRAPH, g: bodyProto(writing, `${name} body`, node.body) };
  return {
    opType: node.op,
    name,
    domain: node.domain,
    docString: nodeDoc?.(node),
    input: node.inputs.map((value) => value?.name ?? ''),
    output: node.outputs.map((value) => value.name),
    attribute: body ? [...attributes, { name: 'body', ...body }] : attributes,
  };
}

function attributeProto(name: string, value: Attribute) {
  if (name === 'to') return { name, type: AttributeType.INT, i: ELEMENT_TYPES[value as ElementType].onnx };
  if (typeof value === 'number') return { name, type: AttributeType.INT, i: value };
  if (typeof value === 'string') return { name, type: AttributeType.STRING, s: Buffer.from(value) };
  if ('float' in value) return { name, type: AttributeType.FLOAT, f: value.float };
  if ('dtype' in value) return { name, type: AttributeType.TENSOR, t: tensorProto(value) };
  return { name, type: AttributeType.INTS, ints: [...value] };
}

/** Always `raw_data`: `float_data` is many times slower to encode and to read. */
function tensorProto(constant: Constant) {
  const { dtype, dims } = constant;
  return { dims: [...dims], dataType: ELEMENT_TYPES[dtype].onnx, rawData: rawBytes(dtype, valuesOf(constant)) };
}

/** Values as they lie in a file, little-endian. */
export function rawBytes(dtype: ElementType, data: Numbers): Uint8Array {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  switch (dtype) {
    case 'float32':
      return new Uint8Array(Float32Array.from(data).buffer);
    case 'float64':
      return new Uint8Array(Float64Array.from(data).buffer);
    case 'int32':
      return new Uint8Array(Int32Array.from(data).buffer);
    case 'int64':
      return new Uint8Array(BigInt64Array.from(data, BigInt).buffer);
    case 'float16':
      return new Uint8Array(Uint16Array.from(data).buffer);
    default:
      return Uint8Array.from(data);
  }
}

function valueInfo({ name, dtype, dims }: ValueInfo) {
  const dim = dims.map((length) => (typeof length === 'string' ? { dimParam: length } : { dimValue: length }));
  return { name, type: { tensorType: { elemType: ELEMENT_TYPES[dtype].onnx, shape: { dim } } } };
}
