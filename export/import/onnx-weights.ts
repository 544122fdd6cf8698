/**
 * The layers of an ONNX graph with their weights, found by structure and not by name: convolutions, fully connected
 * layers (`Gemm`, or `MatMul` and `Add`) and locally connected ones (`MatMul` with a kernel a place) in the order of
 * the nodes.
 */
import { UserError } from '../../base/errors.js';
import { propsToMetadata } from '../../onnx/file/metadata.js';
import { attribute, describeNode, float, int, ints, type OnnxGraph, openOnnx } from '../../onnx/file/onnx-graph.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import type { StoredTensor } from '../../onnx/file/stored-tensor.js';
import { findLrns } from './onnx-lrn.js';
import type { FedValue, LayerKind, OwnRecord, Source, SourceLayer } from './source.js';

type NodeProto = onnx.INodeProto;

/** @throws {UserError} when the file is damaged or a layer's weights are not stored in it */
export async function openOnnxSource(path: string): Promise<Source> {
  const graph = await openOnnx(path);
  const found = await findLrns(graph);
  const partsOfLrns = new Set([...found.values()].flatMap(({ parts }) => [...parts]));
  const layers: SourceLayer[] = [];
  const order: LayerKind[] = [];
  for (const node of graph.nodes) {
    if (partsOfLrns.has(node)) continue;
    const layer = layerOf(graph, node);
    if (layer) layers.push(layer);
    const kind = layer?.kind ?? (found.has(node) ? 'lrn' : kindOf(node));
    if (kind) order.push(kind);
  }
  const producer = graph.model.producerName ?? '';
  const lrns = [...found.values()].map(({ constants }) => constants);
  const known = { producer, order, inputPx: inputPx(graph), fed: fedValue(graph) };
  return { file: path, layers, unused: [], lrns, graph: known, own: own(graph) };
}

function layerOf(graph: OnnxGraph, node: NodeProto): SourceLayer | undefined {
  switch (node.opType) {
    case 'Conv':
      return conv(graph, node);
    case 'Gemm':
      return gemm(graph, node);
    case 'MatMul':
      return matMul(graph, node);
    default:
      return undefined;
  }
}

function kindOf(node: NodeProto): LayerKind | undefined {
  // torchvision's adaptive pooling exports as 1×1
  const moves = (ints(node, 'kernel_shape') ?? []).some((side) => side > 1);
  if (node.opType === 'MaxPool' && moves) return 'maxpool';
  return node.opType === 'AveragePool' && moves ? 'avgpool' : undefined;
}

function conv(graph: OnnxGraph, node: NodeProto): SourceLayer {
  const kernel = weight(graph, node, 4);
  const autoPad = attribute(node, 'auto_pad')?.s;
  const named = autoPad?.length ? Buffer.from(autoPad).toString() : 'NOTSET';
  const none = [0, 0, 0, 0];
  const pads = named === 'NOTSET' ? (ints(node, 'pads') ?? none) : named === 'VALID' ? none : undefined;
  const geometry = { strides: ints(node, 'strides') ?? [1, 1], pads, groups: int(node, 'group', 1) };
  const bias = graph.constant(node.input?.[2]);
  return { kind: 'conv', kernel, ...(bias ? { bias, value: node.output?.[0] } : addedAfter(graph, node)), geometry };
}

function gemm(graph: OnnxGraph, node: NodeProto): SourceLayer {
  if (int(node, 'transA', 0) !== 0)
    throw new UserError(`${graph.path}: ${describeNode(node)}: expected transA 0, got 1`);
  const kernel = scaled(weight(graph, node, 2), float(node, 'alpha', 1));
  const bias = graph.constant(node.input?.[2]);
  return {
    kind: 'fc',
    kernel,
    ...(bias ? { bias: scaled(bias, float(node, 'beta', 1)), value: node.output?.[0] } : addedAfter(graph, node)),
    transposed: int(node, 'transB', 0) !== 0,
    flattened: flattening(graph, node.input?.[0]),
  };
}

/** A `MatMul` of two computed values is not a layer. */
function matMul(graph: OnnxGraph, node: NodeProto): SourceLayer | undefined {
  const kernel = graph.constant(node.input?.[1]);
  if (kernel?.dims.length === 3) return { kind: 'local', kernel, ...addedAfter(graph, node) };
  if (kernel?.dims.length !== 2) return undefined;
  return { kind: 'fc', kernel, ...addedAfter(graph, node), flattened: flattening(graph, node.input?.[0]) };
}

function weight(graph: OnnxGraph, node: NodeProto, rank: number): StoredTensor {
  const where = `${graph.path}: ${describeNode(node)}`;
  const name = node.input?.[1] ?? '';
  const kernel = graph.constant(name);
  if (!kernel) throw new UserError(`${where}: expected weights stored in the file, got the computed value "${name}"`);
  if (kernel.dims.length === rank) return kernel;
  throw new UserError(`${where}: expected weights with ${rank} axes, got ${kernel.name} [${kernel.dims.join(', ')}]`);
}

function scaled(tensor: StoredTensor, factor: number): StoredTensor {
  return factor === 1 ? tensor : { ...tensor, read: async () => (await tensor.read()).map((value) => value * factor) };
}

/**
 * The constant that the next node adds, if that is all it does with the layer's result, and what the layer gives then.
 */
function addedAfter(graph: OnnxGraph, node: NodeProto): Pick<SourceLayer, 'bias' | 'value'> {
  const output = node.output?.[0];
  const next = graph.onlyConsumer(output);
  const bias = next?.opType === 'Add' ? graph.constant(next.input?.find((input) => input !== output)) : undefined;
  return bias ? { bias, value: next?.output?.[0] } : { value: output };
}

/** Operators between the last layer with maps and the first fully connected one that keep the order of values. */
const KEEPS_ORDER = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Relu', 'Dropout', 'Identity', 'Cast']);

/** ONNX's maps are c, h, w; h, w, c where a `Transpose` moved the channels last. */
function flattening(graph: OnnxGraph, value: string | undefined): 'chw' | 'hwc' {
  let node = graph.producer(value);
  while (node && KEEPS_ORDER.has(node.opType ?? '')) node = graph.producer(node.input?.[0]);
  if (node?.opType !== 'Transpose') return 'chw';
  return String(ints(node, 'perm')) === '0,3,1,2' ? 'chw' : 'hwc';
}

/** Side of a square input [N, 3, side, side]. */
function inputPx(graph: OnnxGraph): number | undefined {
  const dims = graph.fedInputs[0]?.type?.tensorType?.shape?.dim?.map(({ dimValue }) => Number(dimValue ?? 0)) ?? [];
  return dims.length === 4 && dims[1] === 3 && dims[2] === dims[3] && dims[2] > 0 ? dims[2] : undefined;
}

const { FLOAT, FLOAT16 } = onnx.TensorProto.DataType;

/** What the first convolution reads, before casts to other floats. */
function fedValue(graph: OnnxGraph): FedValue | undefined {
  let name = graph.nodes.find((node) => node.opType === 'Conv')?.input?.[0];
  if (name === undefined) return undefined;
  const typeOf = (value: string) => graph.fedInputs.find((input) => input.name === value)?.type?.tensorType;
  for (const _ of graph.nodes) {
    const node = graph.producer(name);
    const before = node?.opType === 'Cast' || node?.opType === 'Identity' ? node.input?.[0] : undefined;
    if (before === undefined || ![undefined, FLOAT, FLOAT16].includes(typeOf(before)?.elemType ?? undefined)) break;
    name = before;
  }
  const rows = Number(graph.fedInputs[0]?.type?.tensorType?.shape?.dim?.[0]?.dimValue ?? 0) || undefined;
  const type = typeOf(name)?.elemType === FLOAT16 ? 'float16' : 'float32';
  return { name, type, rows, preparedBy: operatorsBefore(graph, name) };
}

function operatorsBefore(graph: OnnxGraph, value: string): string[] {
  const operators: string[] = [];
  let node = graph.producer(value);
  for (const _ of graph.nodes) {
    if (!node) break;
    operators.unshift(node.opType ?? '');
    node = graph.producer(node.input?.[0]);
  }
  return operators;
}

/** Keys that only files of `alexnet export` have together. */
const OWN_KEYS = ['model', 'head', 'labels', 'image_px', 'input_px'];

function own(graph: OnnxGraph): OwnRecord | undefined {
  const props = graph.model.metadataProps ?? [];
  if (!OWN_KEYS.every((key) => props.some((prop) => prop.key === key))) return undefined;
  const { head, crops, ...record } = propsToMetadata(props, graph.path);
  return head === 'image' ? { ...record, crops, mean: graph.constant('mean') } : record;
}
