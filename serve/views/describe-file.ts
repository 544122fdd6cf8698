/**
 * What a model file says of itself, and its graph as data that can be drawn: nodes with their attributes, and the
 * values between them.
 */
import { sha256Of } from '../../base/sha256.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import { withoutPaths } from '../without-paths.js';
import type { CropNetwork } from './engine/crop-network.js';

type AttributeProto = onnx.IAttributeProto;
type ValueInfo = onnx.IValueInfoProto;

/** Lists longer than this are described by their length. */
const LONGEST_LIST = 64;

export function describeGraph({ file, layers, graph }: CropNetwork) {
  const { name, input, output, initializer, valueInfo } = file.proto.graph ?? {};
  const stored = new Set((initializer ?? []).map((tensor) => tensor.name));
  const shapes = new Map([...(valueInfo ?? []), ...(output ?? [])].map((info) => [info.name, typeOf(info).shape]));
  return {
    name: name ?? '',
    inputs: (input ?? []).filter((info) => !stored.has(info.name)).map(typeOf),
    outputs: (output ?? []).map(typeOf),
    nodes: graph.nodes.map(({ name, opType, domain, input, output, attribute }) => ({
      name: name ?? '',
      op: opType ?? '',
      domain: domain ?? '',
      inputs: input ?? [],
      outputs: output ?? [],
      attributes: Object.fromEntries((attribute ?? []).map((each) => [each.name ?? '', attributeValue(each)])),
      shape: shapes.get(output?.[0]),
    })),
    initializers: (initializer ?? []).map(({ name, dataType, dims }) => ({
      name: name ?? '',
      type: elementType(dataType),
      dims: (dims ?? []).map(Number),
    })),
    layers: Object.fromEntries(layers.map(({ name, nodes }) => [name, nodes.map(({ output }) => output?.[0] ?? '')])),
  };
}

function typeOf({ name, type }: ValueInfo) {
  const tensor = type?.tensorType;
  const shape = (tensor?.shape?.dim ?? []).map(({ dimParam, dimValue }) => dimParam || Number(dimValue ?? 0) || '?');
  return { name: name ?? '', type: elementType(tensor?.elemType), shape };
}

function elementType(type: number | null | undefined): string {
  return onnx.TensorProto.DataType[type ?? 0]?.toLowerCase() ?? `type ${type}`;
}

function attributeValue({ f, i, s, floats, ints, strings, t, g }: AttributeProto): unknown {
  if (ints?.length) return short(ints.map(Number));
  if (floats?.length) return short(floats);
  if (strings?.length) return short(strings.map((text) => Buffer.from(text).toString()));
  if (s?.length) return Buffer.from(s).toString();
  if (t) return `tensor [${(t.dims ?? []).join(', ')}]`;
  if (g) return `graph ${g.name ?? ''}`;
  return f || Number(i ?? 0);
}

function short(values: readonly unknown[]): unknown {
  return values.length > LONGEST_LIST ? `${values.length} values` : values;
}

export async function describeFile({ file, options }: CropNetwork) {
  const { irVersion, opsetImport, producerName, producerVersion, docString, metadataProps } = file.proto;
  const opset = opsetImport?.find(({ domain }) => !domain)?.version;
  return {
    bytes: file.size,
    sha256: await sha256Of(options.file),
    opset: Number(opset ?? 0),
    ir: Number(irVersion ?? 0),
    producer: [producerName, producerVersion].filter(Boolean).join(' '),
    doc: withoutPaths(docString ?? ''),
    metadata: Object.fromEntries((metadataProps ?? []).map(({ key, value }) => [key ?? '', parsed(value ?? '')])),
  };
}

/** Text may say where on some machine a file was. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return withoutPaths(text);
  }
}
