/** Graphs to and from ONNX's protobuf. The only file that builds protobuf messages. */
import onnxProto from 'onnx-proto';
import type { Attribute, Constant, ElementType, GraphNode, Value } from './graph.js';

// onnx-proto is CommonJS: named imports fail under ESM.
const { onnx } = onnxProto;
type ModelProto = import('onnx-proto').onnx.IModelProto;

const { DataType } = onnx.TensorProto;
const { AttributeType } = onnx.AttributeProto;

const ELEMENT_TYPES: Record<ElementType, number> = {
  float32: DataType.FLOAT,
  float64: DataType.DOUBLE,
  int32: DataType.INT32,
  int64: DataType.INT64,
  uint8: DataType.UINT8,
  bool: DataType.BOOL,
};

/** Lowest IR version that allows an operator set (onnx/docs/Versioning.md); 7 loads from ONNX Runtime 1.8 on. */
export function irVersion(opset: number): number {
  if (opset <= 14) return 7;
  if (opset <= 18) return 8;
  return opset <= 20 ? 9 : 10;
}

/** Everything a model file holds. */
export interface ModelParts {
  graphName: string;
  opset: number;
  domains?: readonly string[];
  nodes: readonly GraphNode[];
  /** Default: that of the first output. */
  nodeName?: (node: GraphNode) => string;
  initializers: ReadonlyMap<string, Constant>;
  /** `batch` names the free first axis, if it is free. */
  inputs: readonly { value: Value; batch?: string }[];
  outputs: readonly { value: Value; batch?: string }[];
  doc?: string;
  metadata?: readonly { key: string; value: string }[];
  producerVersion?: string;
}

/** The bytes of a model file. Only initialisers that some node reads are written, in the order they are first read. */
export function encodeModel(parts: ModelParts): Uint8Array {
  const used = new Set(parts.nodes.flatMap((node) => node.inputs.map((value) => value?.name ?? '')));
  const message: ModelProto = {
    irVersion: irVersion(parts.opset),
    producerName: 'alexnet',
    producerVersion: parts.producerVersion ?? '',
    opsetImport: [
      { domain: '', version: parts.opset },
      ...(parts.domains ?? []).map((domain) => ({ domain, version: 1 })),
    ],
    metadataProps: [...(parts.metadata ?? [])],
    docString: parts.doc,
    graph: {
      name: parts.graphName,
      node: parts.nodes.map((node) => nodeProto(node, parts.nodeName?.(node) ?? node.outputs[0].name)),
      initializer: [...used]
        .filter((name) => parts.initializers.has(name))
        .map((name) => ({ name, ...tensorProto(parts.initializers.get(name)!) })),
      input: parts.inputs.map(({ value, batch }) => valueInfo(value, batch)),
      output: parts.outputs.map(({ value, batch }) => valueInfo(value, batch)),
    },
  };
  return onnx.ModelProto.encode(message).finish();
}

function nodeProto(node: GraphNode, name: string) {
  return {
    opType: node.op,
    name,
    domain: node.domain,
    input: node.inputs.map((value) => value?.name ?? ''),
    output: node.outputs.map((value) => value.name),
    attribute: Object.entries(node.attributes).map(([name, value]) => attributeProto(name, value)),
  };
}

function attributeProto(name: string, value: Attribute) {
  if (name === 'to') return { name, type: AttributeType.INT, i: ELEMENT_TYPES[value as ElementType] };
  if (typeof value === 'number') return { name, type: AttributeType.INT, i: value };
  if (typeof value === 'string') return { name, type: AttributeType.STRING, s: Buffer.from(value) };
  if ('float' in value) return { name, type: AttributeType.FLOAT, f: value.float };
  if ('dtype' in value) return { name, type: AttributeType.TENSOR, t: tensorProto(value) };
  return { name, type: AttributeType.INTS, ints: [...value] };
}

/** Always `raw_data`: `float_data` is many times slower to encode and to read. */
function tensorProto({ dtype, dims, data }: Constant) {
  return { dims: [...dims], dataType: ELEMENT_TYPES[dtype], rawData: rawBytes(dtype, data) };
}

function rawBytes(dtype: ElementType, data: Constant['data']): Uint8Array {
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
    default:
      return Uint8Array.from(data);
  }
}

function valueInfo(value: Value, batch: string | undefined) {
  const dim = value.dims.map((length, axis) => (axis === 0 && batch ? { dimParam: batch } : { dimValue: length }));
  return { name: value.name, type: { tensorType: { elemType: ELEMENT_TYPES[value.dtype], shape: { dim } } } };
}
