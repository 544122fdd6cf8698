/**
 * The part of Caffe's messages (BVLC/caffe, src/caffe/proto/caffe.proto) that tells a network's layers, their weights
 * and what is done to pixels. Names and numbers are Caffe's; `V1LayerParameter` is how files before 2014 have layers.
 */
import protobuf from 'protobufjs/light.js';

type Field = [number: number, type: string, rule?: 'repeated', initial?: number | boolean];

/** Numbers of blobs are declared as bytes, which packed floats are on the wire: they stay where they are. */
const MESSAGES: Record<string, Record<string, Field>> = {
  BlobShape: { dim: [1, 'int64', 'repeated'] },
  BlobProto: {
    num: [1, 'int32'],
    channels: [2, 'int32'],
    height: [3, 'int32'],
    width: [4, 'int32'],
    data: [5, 'bytes', 'repeated'],
    shape: [7, 'BlobShape'],
    double_data: [8, 'bytes', 'repeated'],
  },
  NetParameter: {
    name: [1, 'string'],
    layers: [2, 'V1LayerParameter', 'repeated'],
    input_dim: [4, 'int32', 'repeated'],
    input_shape: [8, 'BlobShape', 'repeated'],
    layer: [100, 'LayerParameter', 'repeated'],
  },
  NetStateRule: { phase: [1, 'Phase'] },
  LayerParameter: {
    name: [1, 'string'],
    type: [2, 'string'],
    blobs: [7, 'BlobProto', 'repeated'],
    include: [8, 'NetStateRule', 'repeated'],
    transform_param: [100, 'TransformationParameter'],
    convolution_param: [106, 'ConvolutionParameter'],
    inner_product_param: [117, 'InnerProductParameter'],
    lrn_param: [118, 'LRNParameter'],
    pooling_param: [121, 'PoolingParameter'],
    input_param: [143, 'InputParameter'],
  },
  V1LayerParameter: {
    layer: [1, 'bytes'], // V0LayerParameter, of 2013
    name: [4, 'string'],
    type: [5, 'LayerType'],
    blobs: [6, 'BlobProto', 'repeated'],
    convolution_param: [10, 'ConvolutionParameter'],
    inner_product_param: [17, 'InnerProductParameter'],
    lrn_param: [18, 'LRNParameter'],
    pooling_param: [19, 'PoolingParameter'],
    include: [32, 'NetStateRule', 'repeated'],
    transform_param: [36, 'TransformationParameter'],
  },
  TransformationParameter: {
    scale: [1, 'float', undefined, 1],
    crop_size: [3, 'uint32'],
    mean_file: [4, 'string'],
    mean_value: [5, 'float', 'repeated'],
  },
  ConvolutionParameter: {
    num_output: [1, 'uint32'],
    pad: [3, 'uint32', 'repeated'],
    kernel_size: [4, 'uint32', 'repeated'],
    group: [5, 'uint32', undefined, 1],
    stride: [6, 'uint32', 'repeated'],
    pad_h: [9, 'uint32'],
    pad_w: [10, 'uint32'],
    stride_h: [13, 'uint32'],
    stride_w: [14, 'uint32'],
    dilation: [18, 'uint32', 'repeated'],
  },
  InnerProductParameter: { num_output: [1, 'uint32'], transpose: [6, 'bool'] },
  InputParameter: { shape: [1, 'BlobShape', 'repeated'] },
  LRNParameter: {
    local_size: [1, 'uint32', undefined, 5],
    alpha: [2, 'float', undefined, 1],
    beta: [3, 'float', undefined, 0.75],
    norm_region: [4, 'NormRegion'],
    k: [5, 'float', undefined, 1],
  },
  PoolingParameter: {
    pool: [1, 'PoolMethod'],
    kernel_size: [2, 'uint32'],
    stride: [3, 'uint32', undefined, 1],
    pad: [4, 'uint32'],
    kernel_h: [5, 'uint32'],
    stride_h: [7, 'uint32'],
    pad_h: [9, 'uint32'],
    global_pooling: [12, 'bool'],
  },
};

const ENUMS: Record<string, Record<string, number>> = {
  Phase: { TRAIN: 0, TEST: 1 },
  NormRegion: { ACROSS_CHANNELS: 0, WITHIN_CHANNEL: 1 },
  PoolMethod: { MAX: 0, AVE: 1, STOCHASTIC: 2 },
  LayerType: {
    ...{ NONE: 0, ACCURACY: 1, CONCAT: 3, CONVOLUTION: 4, DATA: 5, DROPOUT: 6, FLATTEN: 8, IMAGE_DATA: 12 },
    ...{ INNER_PRODUCT: 14, LRN: 15, POOLING: 17, RELU: 18, SOFTMAX: 20, SOFTMAX_LOSS: 21, SPLIT: 22 },
  },
};

const root = protobuf.Root.fromJSON({
  nested: {
    ...Object.fromEntries(Object.entries(ENUMS).map(([name, values]) => [name, { values }])),
    ...Object.fromEntries(
      Object.entries(MESSAGES).map(([name, fields]) => [
        name,
        { fields: Object.fromEntries(Object.entries(fields).map(([field, given]) => [field, fieldOf(given)])) },
      ]),
    ),
  },
});

function fieldOf([id, type, rule, initial]: Field): protobuf.IField {
  const options = initial === undefined ? {} : { options: { default: initial } };
  return rule ? { id, type, rule, ...options } : { id, type, ...options };
}

export const NET = root.lookupType('NetParameter');
export const BLOB = root.lookupType('BlobProto');
/** A message's type by name. */
export const typeOf = (name: string): protobuf.Type => root.lookupType(name);

/** A number of 64 bits. */
type Long = number | { toNumber(): number };

export interface BlobMessage {
  num: number;
  channels: number;
  height: number;
  width: number;
  data: Uint8Array[];
  shape?: { dim: Long[] } | null;
  double_data: Uint8Array[];
}

export interface LayerMessage {
  name: string;
  /** Of `LayerParameter`: text; of `V1LayerParameter`: a number. */
  type: string | number;
  blobs: BlobMessage[];
  include: { phase: number }[];
  /** Bytes of a `V0LayerParameter`. */
  layer?: Uint8Array;
  transform_param?: { scale: number; crop_size: number; mean_file: string; mean_value: number[] } | null;
  convolution_param?: ConvolutionMessage | null;
  inner_product_param?: { transpose: boolean } | null;
  lrn_param?: { local_size: number; alpha: number; beta: number; norm_region: number; k: number } | null;
  pooling_param?: PoolingMessage | null;
  input_param?: { shape: { dim: Long[] }[] } | null;
}

export interface ConvolutionMessage {
  pad: number[];
  stride: number[];
  dilation: number[];
  group: number;
  pad_h: number;
  pad_w: number;
  stride_h: number;
  stride_w: number;
}

export interface PoolingMessage {
  pool: number;
  kernel_size: number;
  kernel_h: number;
  stride: number;
  stride_h: number;
  pad: number;
  pad_h: number;
  global_pooling: boolean;
}

export interface NetMessage {
  name: string;
  layers: LayerMessage[];
  layer: LayerMessage[];
  input_dim: number[];
  input_shape: { dim: Long[] }[];
}
