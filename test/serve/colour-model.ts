/**
 * A classifier of colours whose end is given: the mean of each channel in 0 … 1, times 4, less 1, is `logits` [N,
 * channels]. On a red image they are 3, −1, −1. What makes them the output is a list of nodes.
 */
import { writeFileSync } from 'node:fs';
import { onnx } from '../../onnx/file/onnx-proto.js';

const { FLOAT, INT64, UINT8 } = onnx.TensorProto.DataType;
const { AttributeType } = onnx.AttributeProto;
type NodeProto = onnx.INodeProto;
type TensorProto = onnx.ITensorProto;
type ValueInfo = onnx.IValueInfoProto;
type ModelProto = onnx.IModelProto;

export const PX = 8;

type Attributes = Record<string, number | number[]>;

/** `opType(inputs) → outputs`; attributes are whole numbers, `axis` 1 if nothing else is said. */
export function node(
  opType: string,
  input: string | string[],
  output: string | string[],
  attributes: Attributes = {},
): NodeProto {
  return {
    opType,
    input: [input].flat(),
    output: [output].flat(),
    attribute: Object.entries(attributes).map(([name, value]) =>
      Array.isArray(value)
        ? { name, type: AttributeType.INTS, ints: value }
        : { name, type: AttributeType.INT, i: value },
    ),
  };
}

export function floats(name: string, values: number[], dims = [values.length]): TensorProto {
  return { name, dims, dataType: FLOAT, rawData: new Uint8Array(Float32Array.from(values).buffer) };
}

export function whole(name: string, values: number[], dims = [values.length]): TensorProto {
  return { name, dims, dataType: INT64, rawData: new Uint8Array(BigInt64Array.from(values, BigInt).buffer) };
}

export function byte(name: string, value: number): TensorProto {
  return bytes(name, [value], []);
}

export function bytes(name: string, values: number[], dims: number[]): TensorProto {
  return { name, dims, dataType: UINT8, rawData: Uint8Array.from(values) };
}

export function value(name: string, shape: (number | string)[], elemType: number = FLOAT): ValueInfo {
  const dim = shape.map((length) => (typeof length === 'string' ? { dimParam: length } : { dimValue: length }));
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}

export interface ColourModel {
  /** From `logits` to `y`; none where `y` is to be the logits. */
  nodes?: NodeProto[];
  /** Constants of theirs. */
  stored?: TensorProto[];
  /** Length of the rows of `y`; as many as channels by default. */
  width?: number;
  /** Of `y`; by default rows of that length. */
  shape?: (number | string)[];
  channels?: number;
  size?: { height: number; width: number };
  layout?: 'NCHW' | 'NHWC';
  /** Names of the input's axes, all free; a 1 × 1 convolution reads it, in the layout. */
  freeAxes?: string[];
  /** Besides `y`. */
  outputs?: ValueInfo[];
  /** Producer and metadata. */
  model?: Pick<ModelProto, 'producerName' | 'metadataProps'>;
}

export function writeColourModel(file: string, options: ColourModel = {}): string {
  const {
    nodes = [node('Identity', 'logits', 'y')],
    stored = [],
    channels = 3,
    width = channels,
    shape = ['N', width],
    outputs = [],
  } = options;
  const { size = { height: PX, width: PX }, layout = 'NCHW', model, freeAxes } = options;
  const sides = [size.height, size.width];
  const eye = Array.from({ length: channels ** 2 }, (_, i) => (i % (channels + 1) === 0 ? 4 : 0));
  const axes = layout === 'NCHW' ? [2, 3] : [1, 2];
  const graph = {
    name: 'colours',
    input: [value('x', freeAxes ?? (layout === 'NCHW' ? ['N', channels, ...sides] : ['N', ...sides, channels]))],
    output: [value('y', shape), ...outputs],
    initializer: [floats('weights', eye, [channels, channels]), floats('bias', Array(channels).fill(-1)), ...stored],
    node: [
      node('ReduceMean', 'x', 'means', { axes, keepdims: 0 }),
      node('Gemm', ['means', 'weights', 'bias'], 'logits'),
      ...nodes,
    ],
  };
  const opsetImport = [
    { domain: '', version: 13 },
    { domain: 'ai.onnx.ml', version: 2 },
  ];
  writeFileSync(file, onnx.ModelProto.encode({ irVersion: 7, opsetImport, graph, ...model }).finish());
  return file;
}
