/**
 * LRN between 8-bit operators on the CPU provider: a quarter of the time of what `lrn.ts` puts in its place, and the
 * operators around it stay in the layout of integers, channels last.
 *   x² as codes · band matrix as codes → s = bias + alpha/size · Σ_j x_j² as float32 → x / s^β
 * The codes of x² reach up to the square of the largest x that has a code, and a weight of the band is exact. Where they
 * would be too coarse, x² and the band stay float32.
 */
import { bandMatrix } from '../band-matrix.js';
import { onnx } from '../file/onnx-proto.js';
import { transpose } from '../layout.js';
import { freshNames, hasOnnxOperators, isOnnx, Replacement } from './editing.js';
import { channelsOf, type LrnConstants, lrnOf, powerOf } from './lrn.js';

const { FLOAT, INT8, UINT8 } = onnx.TensorProto.DataType;
const { INTS } = onnx.AttributeProto.AttributeType;
type ModelProto = onnx.IModelProto;
type GraphProto = onnx.IGraphProto;
type NodeProto = onnx.INodeProto;

/** First with `DequantizeLinear`. */
const LOWEST_OPSET = 10;
/** Of a weight: without VNNI, x86 adds pairs of products in 16 bits, which larger ones overflow. */
const LARGEST_CODE = 63;
/** Largest alpha/size · x² / bias with codes: s is then right to 1 % (one standard deviation), 4 % at most. */
const LARGEST_SHARE = 4;

/** Numbers of an LRN's input as they are stored. */
interface Coded {
  codes: string;
  /** Names of scale and zero point. */
  parameters: string[];
  /** Largest absolute value that has a code. */
  largest: number;
}

/** The model with every LRN rewritten that reads codes; `model` itself is not changed, see `rewriteLrn`. */
export function rewriteCodedLrn(model: ModelProto): ModelProto {
  const graph = model.graph ?? {};
  if (!hasOnnxOperators(model, LOWEST_OPSET)) return model;
  const initializer = [...(graph.initializer ?? [])];
  const fresh = freshNames(graph);
  const unread = new Set<NodeProto>();
  const node = (graph.node ?? []).flatMap((lrn) => {
    const constants = lrnOf(lrn);
    const x = lrn.input?.[0] ?? '';
    const decoding = constants && graph.node?.find(({ output }) => output?.[0] === x);
    const coded = decoding && codedBy(decoding, graph);
    const channels = coded && channelsOf(x, graph);
    if (!channels) return [lrn];
    if (readersOf(x, graph) === 1) unread.add(decoding);
    return normalize(coded, { ...constants, channels }, new Replacement(lrn.output![0], initializer, fresh));
  });
  return { ...model, graph: { ...graph, node: node.filter((one) => !unread.has(one)), initializer } };
}

/** undefined unless the node decodes uint8 with one scale for all. */
function codedBy(node: NodeProto, graph: GraphProto): Coded | undefined {
  const [codes, ...parameters] = node.input ?? [];
  const [scale, zeroPoint] = parameters.map((name) => graph.initializer?.find((tensor) => tensor.name === name));
  if (!isOnnx(node) || node.opType !== 'DequantizeLinear' || !scale?.rawData?.length) return undefined;
  if (scale.dataType !== FLOAT || scale.dims?.length || zeroPoint?.dataType !== UINT8 || !zeroPoint.rawData?.length)
    return undefined;
  const [step] = new Float32Array(Uint8Array.from(scale.rawData).buffer);
  const [zero] = zeroPoint.rawData;
  return { codes, parameters, largest: step * Math.max(zero, 255 - zero) };
}

function readersOf(value: string, { node, output }: GraphProto): number {
  const reads = (node ?? []).filter(({ input }) => input?.includes(value)).length;
  return reads + (output ?? []).filter(({ name }) => name === value).length;
}

function normalize(
  { codes, parameters, largest }: Coded,
  { alpha, beta, bias, size, channels }: LrnConstants & { channels: number },
  into: Replacement,
): NodeProto[] {
  const perm = (ints: number[]) => [{ name: 'perm', type: INTS, ints }];
  const x = into.node('x', 'DequantizeLinear', [
    into.node('codes', 'Transpose', [codes], perm([0, 2, 3, 1])),
    ...parameters,
  ]);
  const square = into.node('square', 'Mul', [x, x]);
  const share = (alpha / size) * largest ** 2;
  const isFine = share > 0 && share <= LARGEST_SHARE * bias;
  const sum = isFine
    ? sumOfCodes(square, { channels, size, weight: alpha / size, largest: largest ** 2 }, into)
    : into.node('sum', 'MatMul', [
        square,
        into.constant(
          'band',
          FLOAT,
          [channels, channels],
          transpose(bandMatrix(channels, size, alpha / size), [channels, channels], [1, 0]),
        ),
      ]);
  const s = into.node('s', 'Add', [sum, into.constant('bias', FLOAT, [], Float32Array.of(bias))]);
  const y = into.node('channels_last', 'Div', [x, powerOf(s, beta, into)]);
  return into.end('Transpose', [y], perm([0, 3, 1, 2]));
}

interface Sum {
  channels: number;
  size: number;
  /** What every summand counts. */
  weight: number;
  /** Largest summand. */
  largest: number;
}

/** Both factors as codes, in the form that onnxruntime makes one product of integers. */
function sumOfCodes(summands: string, { channels, size, weight, largest }: Sum, into: Replacement): string {
  const coding = [
    into.constant('square_scale', FLOAT, [], Float32Array.of(largest / 255)),
    into.constant('square_zero_point', UINT8, [], Uint8Array.of(0)),
  ];
  const band = Int8Array.from(transpose(bandMatrix(channels, size, LARGEST_CODE), [channels, channels], [1, 0]));
  const factors = [
    into.node('square_decoded', 'DequantizeLinear', [
      into.node('square_codes', 'QuantizeLinear', [summands, ...coding]),
      ...coding,
    ]),
    into.node('band_decoded', 'DequantizeLinear', [
      into.constant('band', INT8, [channels, channels], band),
      into.constant('band_scale', FLOAT, [], Float32Array.of(weight / LARGEST_CODE)),
      into.constant('band_zero_point', INT8, [], Int8Array.of(0)),
    ]),
  ];
  return into.node('sum', 'MatMul', factors);
}
