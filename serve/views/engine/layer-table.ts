/**
 * The layer table: sizes by (W − F + 2P) / S + 1 with the numbers filled in, parameters, multiply-adds, and what a unit
 * sees of the image.
 */
import { attribute, float, int, ints, type OnnxGraph } from '../../../onnx/file/onnx-graph.js';
import { elementCount } from '../../tensors.js';
import { isActivation, type Layer } from './layers.js';

type NodeProto = import('onnx-proto').onnx.INodeProto;

/** Lengths by axis: height, width. Pads are top, left, bottom, right. */
export interface Window {
  kernel: number[];
  strides: number[];
  pads: number[];
  dilations: number[];
  groups: number;
}

/** y = x / (bias + alpha / size · Σ x²)^beta over `size` neighbouring channels. */
export interface LrnConstants {
  size: number;
  alpha: number;
  beta: number;
  bias: number;
}

/** Unit (y, x) sees the input's pixels from start + stride · y to that + size − 1, clipped; the same along x. */
export interface ReceptiveField {
  size: number;
  stride: number;
  start: number;
}

/** Shapes are of one crop: [channels, height, width] or [units]. */
export interface LayerRow {
  name: string;
  /** Operator, or operators, of ONNX. */
  op: string;
  activation?: string;
  input: number[];
  output: number[];
  window?: Window;
  formula?: string;
  parameters: number;
  /** Multiply-adds. */
  macs: number;
  lrn?: LrnConstants;
  receptive_field?: ReceptiveField;
}

/** Operators whose stored inputs are trained. */
const WEIGHTED = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'BatchNormalization']);

/** A value's shape without the batch axis; undefined if it is not known. */
export type ShapeOf = (value: string) => number[] | undefined;

/** @param from  value that the network begins with */
export function layerTable(graph: OnnxGraph, layers: readonly Layer[], from: string, shapeOf: ShapeOf): LayerRow[] {
  const fields = new Map<string, ReceptiveField>([[from, { size: 1, stride: 1, start: 0 }]]);
  return layers.flatMap((layer): LayerRow[] => {
    const output = shapeOf(layer.value);
    if (!output) return [];
    const read = inputOf(graph, layer);
    const input = shapeOf(read) ?? output;
    const { main } = layer;
    const window = main && windowOf(main, graph, input, output);
    const weights = main && WEIGHTED.has(main.opType ?? '') ? weightsOf(graph, layer) : [];
    const kernel = main && graph.storedDims(main.input?.[1]);
    const field = fieldAfter(fields.get(sourceOf(graph, read)), window, layer);
    if (field) fields.set(layer.value, field);
    return [
      {
        name: layer.name,
        op: main?.opType ?? [...new Set(layer.nodes.map(({ opType }) => opType))].join(', '),
        activation: layer.activation,
        input: main?.opType === 'Gemm' || main?.opType === 'MatMul' ? flat(input, kernel) : input,
        output,
        window,
        formula: window && formulaOf(window, input, output),
        parameters: weights.reduce((sum, dims) => sum + elementCount(dims), 0),
        macs: main && kernel ? multiplyAdds(main, kernel, output) : 0,
        lrn: main?.opType === 'LRN' ? lrnOf(main) : undefined,
        receptive_field: field,
      },
    ];
  });
}

/** The value a layer reads: the first that is neither stored nor its own. */
export function inputOf(graph: OnnxGraph, { nodes }: Layer): string {
  const own = new Set(nodes.flatMap(({ output }) => output ?? []));
  const names = nodes.flatMap(({ input }) => input ?? []);
  return names.find((name) => name && !own.has(name) && !graph.storedDims(name)) ?? '';
}

/** The value whose numbers another holds, in another shape, order or type. */
export function sourceOf(graph: OnnxGraph, value: string): string {
  const node = graph.producer(value);
  return node && MOVES.has(node.opType ?? '') ? sourceOf(graph, node.input?.[0] ?? '') : value;
}

const MOVES = new Set(['Identity', 'Dropout', 'Cast', 'QuantizeLinear', 'DequantizeLinear']);
for (const op of ['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose']) MOVES.add(op);

/** Shapes of what was trained: kernel and bias, the latter perhaps added by a node of its own. */
function weightsOf(graph: OnnxGraph, { main, nodes }: Layer): (readonly number[])[] {
  const bias = nodes.filter(({ opType }) => opType === 'Add');
  const names = [main, ...bias].flatMap((node) => node?.input ?? []);
  return names.map((name) => graph.storedDims(name)).filter((dims) => dims !== undefined);
}

/** A fully connected layer reads what its kernel takes, whatever shape that had before. */
function flat(input: number[], kernel: readonly number[] | undefined): number[] {
  const length = elementCount(input);
  return kernel?.length === 2 && kernel.includes(length) ? [length] : input;
}

function windowOf(node: NodeProto, graph: OnnxGraph, input: number[], output: number[]): Window | undefined {
  if (input.length !== 3 || output.length !== 3) return undefined;
  const isConv = node.opType === 'Conv';
  if (!isConv && node.opType !== 'MaxPool' && node.opType !== 'AveragePool') return undefined;
  const kernel = ints(node, 'kernel_shape') ?? graph.storedDims(node.input?.[1])?.slice(2);
  if (kernel?.length !== 2) return undefined;
  const strides = ints(node, 'strides') ?? [1, 1];
  const dilations = ints(node, 'dilations') ?? [1, 1];
  const pads = padsOf(node, { kernel, strides, dilations }, input, output);
  return { kernel, strides, pads, dilations, groups: isConv ? int(node, 'group', 1) : 1 };
}

/** Pads as stated; of `auto_pad`, those that give the output's size. */
function padsOf(
  node: NodeProto,
  { kernel, strides, dilations }: Omit<Window, 'pads' | 'groups'>,
  input: number[],
  output: number[],
): number[] {
  const auto = Buffer.from(attribute(node, 'auto_pad')?.s ?? []).toString();
  if (!auto.startsWith('SAME')) return ints(node, 'pads') ?? [0, 0, 0, 0];
  const both = [0, 1].map((axis) => {
    const covered = (output[axis + 1] - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1;
    const total = Math.max(0, covered - input[axis + 1]);
    const less = Math.floor(total / 2);
    return auto === 'SAME_LOWER' ? [total - less, less] : [less, total - less];
  });
  return [both[0][0], both[1][0], both[0][1], both[1][1]];
}

/** `(W − F + 2P) / S + 1 = (227 − 11 + 2·0) / 4 + 1 = 55`; the height's too if it differs. */
function formulaOf({ kernel, strides, pads, dilations }: Window, input: number[], output: number[]): string {
  const along = (axis: number) => {
    const [before, after] = [pads[axis], pads[axis + 2]];
    const extent = (kernel[axis] - 1) * dilations[axis] + 1;
    const pad = before === after ? `2·${before}` : `${before} + ${after}`;
    const exact = (input[axis + 1] - extent + before + after) / strides[axis] + 1;
    const result = output[axis + 1];
    // Rounded down, or up if the operator says so.
    const rounded = Number.isInteger(exact)
      ? ''
      : `${Math.round(exact * 100) / 100}, rounded ${result > exact ? 'up' : 'down'}: `;
    return `(${input[axis + 1]} − ${extent} + ${pad}) / ${strides[axis]} + 1 = ${rounded}${result}`;
  };
  const [height, width] = [along(0), along(1)];
  const both = height === width ? width : `${width} wide; ${height} high`;
  return `(W − F + 2P) / S + 1 = ${both}`;
}

function multiplyAdds({ opType }: NodeProto, kernel: readonly number[], output: number[]): number {
  if (opType === 'Conv') return elementCount(output.slice(1)) * elementCount(kernel);
  return opType === 'Gemm' || opType === 'MatMul' ? elementCount(kernel) : 0;
}

export function lrnOf(node: NodeProto): LrnConstants {
  return {
    size: int(node, 'size', 0),
    alpha: rounded(float(node, 'alpha', 1e-4)),
    beta: rounded(float(node, 'beta', 0.75)),
    bias: rounded(float(node, 'bias', 1)),
  };
}

/** float32 attributes as they were written: 0.0001, not 0.00009999999747378752. */
function rounded(value: number): number {
  return Number(value.toPrecision(7));
}

/** undefined if it cannot be told. */
function fieldAfter(
  before: ReceptiveField | undefined,
  window: Window | undefined,
  { main }: Layer,
): ReceptiveField | undefined {
  if (!before || !main) return undefined;
  const { size, stride, start } = before;
  if (!window)
    return ['LRN', 'BatchNormalization'].includes(main.opType ?? '') || isActivation(main) ? before : undefined;
  const [kernel, [step], [pad], [dilation]] = [window.kernel[0], window.strides, window.pads, window.dilations];
  const isSquare = window.kernel[1] === kernel && window.strides[1] === step && window.pads[1] === pad;
  if (!isSquare) return undefined;
  return { size: size + (kernel - 1) * dilation * stride, stride: stride * step, start: start - pad * stride };
}
