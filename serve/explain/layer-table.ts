/** The layer table: sizes by (W − F + 2P) / S + 1 with the numbers filled in, parameters, multiply-adds, and what a unit sees of the picture. */
import { attribute, float, int, ints, type OnnxGraph } from '../../export/import/onnx-graph.js';
import { elementCount } from '../tensors.js';
import type { Layer } from './layers.js';

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

/** A value's shape without the batch axis; undefined where it is not known. */
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
    const weights = layer.nodes
      .flatMap((node) => node.input ?? [])
      .map((name) => [name, graph.storedDims(name)] as const);
    const stored = new Map(weights.filter(([, dims]) => dims !== undefined)) as Map<string, readonly number[]>;
    const isTrained =
      main && ['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'BatchNormalization'].includes(main.opType ?? '');
    const parameters = isTrained ? [...stored.values()].reduce((sum, dims) => sum + elementCount(dims), 0) : 0;
    const field = fieldAfter(fields.get(read), window, input.length === 3 && output.length === 3 && main !== undefined);
    if (field) fields.set(layer.value, field);
    return [
      {
        name: layer.name,
        op: main?.opType ?? [...new Set(layer.nodes.map(({ opType }) => opType))].join(', '),
        activation: layer.activation,
        input: main?.opType === 'Gemm' || main?.opType === 'MatMul' ? flat(input, stored) : input,
        output,
        window,
        formula: window && formulaOf(window, input, output),
        parameters,
        macs: main ? multiplyAdds(main, stored, output) : 0,
        lrn: main?.opType === 'LRN' ? lrnOf(main) : undefined,
        receptive_field: field,
      },
    ];
  });
}

/** The value a layer computes on: the first one read that is neither stored nor its own, behind what only moves numbers. */
export function inputOf(graph: OnnxGraph, { nodes }: Layer): string {
  const own = new Set(nodes.flatMap(({ output }) => output ?? []));
  const names = nodes.flatMap(({ input }) => input ?? []);
  const found = names.find((name) => name && !own.has(name) && !graph.storedDims(name)) ?? '';
  let name = found;
  for (;;) {
    const node = graph.producer(name);
    if (!node || !['QuantizeLinear', 'DequantizeLinear', 'Identity', 'Dropout', 'Cast'].includes(node.opType ?? ''))
      return name;
    name = node.input?.[0] ?? '';
  }
}

/** A fully connected layer reads what its kernel takes, whatever shape that had before. */
function flat(input: number[], stored: ReadonlyMap<string, readonly number[]>): number[] {
  const [kernel] = stored.values();
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

/** `(W − F + 2P) / S + 1 = (227 − 11 + 2·0) / 4 + 1 = 55`; the height's too where it differs. */
function formulaOf({ kernel, strides, pads, dilations }: Window, input: number[], output: number[]): string {
  const along = (axis: number) => {
    const [before, after] = [pads[axis], pads[axis + 2]];
    const extent = (kernel[axis] - 1) * dilations[axis] + 1;
    const pad = before === after ? `2·${before}` : `${before} + ${after}`;
    const exact = (input[axis + 1] - extent + before + after) / strides[axis] + 1;
    const result = output[axis + 1];
    // Rounded down, or up where the operator says so.
    const rounded = Number.isInteger(exact)
      ? ''
      : `${Math.round(exact * 100) / 100}, rounded ${result > exact ? 'up' : 'down'}: `;
    return `(${input[axis + 1]} − ${extent} + ${pad}) / ${strides[axis]} + 1 = ${rounded}${result}`;
  };
  const [height, width] = [along(0), along(1)];
  const both = height === width ? width : `${width} wide; ${height} high`;
  return `(W − F + 2P) / S + 1 = ${both}`;
}

function multiplyAdds(node: NodeProto, stored: ReadonlyMap<string, readonly number[]>, output: number[]): number {
  const kernel = stored.get(node.input?.[1] ?? '');
  if (!kernel) return 0;
  if (node.opType === 'Conv') return elementCount(output.slice(1)) * elementCount(kernel);
  return node.opType === 'Gemm' || node.opType === 'MatMul' ? elementCount(kernel) : 0;
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

/** @param keeps  whether positions of the output are those of the input where there is no window */
function fieldAfter(
  before: ReceptiveField | undefined,
  window: Window | undefined,
  keeps: boolean,
): ReceptiveField | undefined {
  if (!before || !keeps) return undefined;
  const { size, stride, start } = before;
  if (!window) return before;
  const [kernel, [step], [pad], [dilation]] = [window.kernel[0], window.strides, window.pads, window.dilations];
  const isSquare = window.kernel[1] === kernel && window.strides[1] === step && window.pads[1] === pad;
  if (!isSquare) return undefined;
  return { size: size + (kernel - 1) * dilation * stride, stride: stride * step, start: start - pad * stride };
}
