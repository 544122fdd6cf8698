/**
 * Caffe's messages, encoded by the numbers of caffe.proto as they stand there, not by the schema under test.
 */
import { bytesField, numberField } from '../../onnx/file/wire.js';
import { numbers } from '../onnx/on-both.js';

const text = (field: number, value: string) => bytesField(field, Buffer.from(value));

/** A field of wire type 5. */
export function floatField(field: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([tag(field, 5), bytes]);
}

function tag(field: number, wire: number): Uint8Array {
  const value = field * 8 + wire;
  return Uint8Array.from(value < 128 ? [value] : [(value % 128) | 128, value >> 7]);
}

/** BlobProto: shape = 7 { dim = 1 }, or num, channels, height, width = 1 … 4; data = 5, packed. */
export function blob(dims: readonly number[], data: Float32Array, isOld = false): Uint8Array {
  const lengths = isOld
    ? [1, 2, 3, 4].map((field) => numberField(field, [1, 1, 1, 1, ...dims].slice(-4)[field - 1]))
    : [bytesField(7, ...dims.map((length) => numberField(1, length)))];
  return Buffer.concat([...lengths, bytesField(5, new Uint8Array(data.buffer))]);
}

export interface CaffeLayer {
  name: string;
  type: 'Convolution' | 'InnerProduct' | 'LRN' | 'Pooling' | 'ReLU' | 'Data' | 'Scale';
  /** Of the layer's own parameter message. */
  parameters?: Uint8Array[];
  blobs?: { dims: number[]; data: Float32Array }[];
  /** TransformationParameter of a layer of the phase TRAIN: include = 8 { phase = 1 }. */
  transform?: Uint8Array[];
}

/** Of LayerParameter and of V1LayerParameter. */
const PARAMETERS: Record<string, [number, number]> = {
  Convolution: [106, 10],
  InnerProduct: [117, 17],
  LRN: [118, 18],
  Pooling: [121, 19],
};
const V1_TYPES: Record<string, number> = { Convolution: 4, Data: 5, InnerProduct: 14, LRN: 15, Pooling: 17, ReLU: 18 };

/** NetParameter: layer = 100, LayerParameter { name = 1, type = 2, blobs = 7, transform_param = 100 }. */
export function caffemodel(layers: readonly CaffeLayer[]): Uint8Array {
  const messages = layers.map(({ name, type, parameters, blobs = [], transform }) => [
    text(1, name),
    text(2, type),
    ...blobs.map(({ dims, data }) => bytesField(7, blob(dims, data))),
    ...(parameters ? [bytesField(PARAMETERS[type][0], ...parameters)] : []),
    ...(transform ? [bytesField(8, numberField(1, 0)), bytesField(100, ...transform)] : []),
  ]);
  return Buffer.concat([text(1, 'AlexNet'), ...messages.map((fields) => bytesField(100, ...fields))]);
}

/** NetParameter: layers = 2, V1LayerParameter { name = 4, type = 5, blobs = 6 }. */
export function oldCaffemodel(layers: readonly CaffeLayer[]): Uint8Array {
  const messages = layers.map(({ name, type, parameters, blobs = [] }) => [
    text(4, name),
    numberField(5, V1_TYPES[type]),
    ...blobs.map(({ dims, data }) => bytesField(6, blob(dims, data, true))),
    ...(parameters ? [bytesField(PARAMETERS[type][1], ...parameters)] : []),
  ]);
  return Buffer.concat([text(1, 'AlexNet'), ...messages.map((fields) => bytesField(2, ...fields))]);
}

/** ConvolutionParameter: pad = 3, kernel_size = 4, group = 5, stride = 6. */
export const convolution = (kernel: number, stride: number, pad: number, group: number): Uint8Array[] => [
  numberField(3, pad),
  numberField(4, kernel),
  numberField(5, group),
  numberField(6, stride),
];

/** LRNParameter: local_size = 1, alpha = 2, beta = 3; k = 5 is 1 where it is absent. */
export const lrn = (alpha = 1e-4): Uint8Array[] => [numberField(1, 5), floatField(2, alpha), floatField(3, 0.75)];

/** PoolingParameter: pool = 1, kernel_size = 2, stride = 3. */
export const pooling = (size = 3, stride = 2): Uint8Array[] => [
  numberField(1, 0),
  numberField(2, size),
  numberField(3, stride),
];

/** bvlc_alexnet, or bvlc_reference_caffenet, which pools before it normalises; channels and units times `width`. */
export function caffeNetwork(kind: 'alexnet' | 'caffenet', width: number, classes: number): CaffeLayer[] {
  let seed = 1;
  const weights = (...dims: number[]) => ({
    dims,
    data: numbers(
      dims.reduce((product, length) => product * length, 1),
      seed++,
    ),
  });
  const conv = (n: number, out: number, inputs: number, [kernel, stride, pad, group]: number[]): CaffeLayer[] => [
    {
      name: `conv${n}`,
      type: 'Convolution',
      parameters: convolution(kernel, stride, pad, group),
      blobs: [weights(out * width, inputs, kernel, kernel), weights(out * width)],
    },
    { name: `relu${n}`, type: 'ReLU' },
  ];
  const fc = (n: number, inputs: number, out: number): CaffeLayer => ({
    name: `fc${n}`,
    type: 'InnerProduct',
    blobs: [weights(out, inputs), weights(out)],
  });
  const between = (n: number): CaffeLayer[] => {
    const norm: CaffeLayer = { name: `norm${n}`, type: 'LRN', parameters: lrn() };
    const pool: CaffeLayer = { name: `pool${n}`, type: 'Pooling', parameters: pooling() };
    return kind === 'alexnet' ? [norm, pool] : [pool, norm];
  };
  const units = 4096 * width;
  return [
    ...conv(1, 96, 3, [11, 4, 0, 1]),
    ...between(1),
    ...conv(2, 256, 48 * width, [5, 1, 2, 2]),
    ...between(2),
    ...conv(3, 384, 256 * width, [3, 1, 1, 1]),
    ...conv(4, 384, 192 * width, [3, 1, 1, 2]),
    ...conv(5, 256, 192 * width, [3, 1, 1, 2]),
    { name: 'pool5', type: 'Pooling', parameters: pooling() },
    fc(6, 256 * 36 * width, units),
    fc(7, units, units),
    fc(8, units, classes),
  ];
}
