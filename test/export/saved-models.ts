/** TensorFlow.js models on disk, written as the converter writes them. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type * as tfl from '@tensorflow/tfjs-layers';
import { tf } from '../../base/tfjs/core.js';

interface StoredWeight {
  spec: tf.io.WeightsManifestEntry;
  bytes: Uint8Array;
}

async function write(folder: string, json: object, weights: StoredWeight[]): Promise<string> {
  await mkdir(folder, { recursive: true });
  const data = Buffer.concat(weights.map(({ bytes }) => bytes));
  const half = data.length >> 1; // two shards, as of a large model
  await writeFile(join(folder, 'group1-shard1of2.bin'), data.subarray(0, half));
  await writeFile(join(folder, 'group1-shard2of2.bin'), data.subarray(half));
  const paths = ['group1-shard1of2.bin', 'group1-shard2of2.bin'];
  const weightsManifest = [{ paths, weights: weights.map(({ spec }) => spec) }];
  const file = join(folder, 'model.json');
  await writeFile(file, JSON.stringify({ ...json, weightsManifest }));
  return file;
}

/**
 * Saves a layers model; with `quantization`, kernels in that type as `tensorflowjs_converter --quantize_…` stores them.
 */
export async function saveLayersModel(
  folder: string,
  model: tfl.LayersModel,
  quantization?: 'uint8' | 'uint16' | 'float16',
): Promise<string> {
  const artifacts: tf.io.ModelArtifacts[] = [];
  await model.save(
    tf.io.withSaveHandler(async (saved) => {
      artifacts.push(saved);
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
  );
  const [{ modelTopology, weightSpecs }] = artifacts;
  const values = await Promise.all(model.weights.map((weight) => weight.read().data() as Promise<Float32Array>));
  const weights = weightSpecs!.map((spec, i) => stored(spec, values[i], quantization));
  return write(folder, { format: 'layers-model', generatedBy: 'test', convertedBy: null, modelTopology }, weights);
}

function stored(
  spec: tf.io.WeightsManifestEntry,
  values: Float32Array,
  type?: 'uint8' | 'uint16' | 'float16',
): StoredWeight {
  if (!type || spec.shape.length < 2) return { spec, bytes: new Uint8Array(values.slice().buffer) };
  if (type === 'float16') {
    const bits = Uint16Array.from(values, toHalf);
    return {
      spec: { ...spec, quantization: { dtype: type, original_dtype: 'float32' } as never },
      bytes: new Uint8Array(bits.buffer),
    };
  }
  const [min, max] = [Math.min(...values), Math.max(...values)];
  const scale = (max - min) / (type === 'uint8' ? 255 : 65535);
  const levels = values.map((value) => Math.round((value - min) / scale));
  const codes = type === 'uint8' ? Uint8Array.from(levels) : Uint16Array.from(levels);
  const quantization = { dtype: type, scale, min, original_dtype: 'float32' };
  return { spec: { ...spec, quantization: quantization as never }, bytes: new Uint8Array(codes.buffer) };
}

/** Bits of a float16, cut off: any code will do. */
function toHalf(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0];
  const exponent = ((bits >>> 23) & 255) - 112;
  return exponent <= 0 ? 0 : ((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 1023);
}

type Attr = Record<string, object>;
const text = (value: string) => ({ s: Buffer.from(value).toString('base64') });
const ints = (...values: number[]) => ({ list: { i: values.map(String) } });
const type = { type: 'DT_FLOAT' };

/** A node of a TensorFlow graph. */
const node = (name: string, op: string, input: string[], attr: Attr = {}) => ({ name, op, input, attr });

/**
 * A graph model as a frozen TensorFlow graph: image [?, 11, 9, 3] → convolution with bias, normalised, rectified,
 * pooled, its flat shape computed from the batch as Keras does → `probabilities` [?, 4].
 * @param values  draws a weight
 */
export async function saveGraphModel(
  folder: string,
  values: (length: number, seed: number) => Float32Array,
  activation = 'Relu',
): Promise<string> {
  const constants: Record<string, { shape: number[]; dtype: 'float32' | 'int32'; values: Float32Array | Int32Array }> =
    {
      'conv/kernel': { shape: [3, 2, 3, 5], dtype: 'float32', values: values(90, 1) },
      'conv/bias': { shape: [5], dtype: 'float32', values: values(5, 2) },
      'norm/scale': { shape: [5], dtype: 'float32', values: values(5, 3) },
      'norm/offset': { shape: [5], dtype: 'float32', values: values(5, 4) },
      'norm/mean': { shape: [5], dtype: 'float32', values: values(5, 5) },
      'norm/variance': { shape: [5], dtype: 'float32', values: values(5, 6).map((value) => 1 + value * value) },
      'flat/begin': { shape: [1], dtype: 'int32', values: Int32Array.of(0) },
      'flat/end': { shape: [1], dtype: 'int32', values: Int32Array.of(1) },
      'flat/stride': { shape: [1], dtype: 'int32', values: Int32Array.of(1) },
      'flat/features': { shape: [], dtype: 'int32', values: Int32Array.of(5 * 4 * 5) },
      'dense/kernel': { shape: [100, 4], dtype: 'float32', values: values(400, 7) },
    };
  const nodes = [
    node('picture', 'Placeholder', [], {
      dtype: type,
      shape: { shape: { dim: ['-1', '11', '9', '3'].map((size) => ({ size })) } },
    }),
    ...Object.entries(constants).map(([name, { dtype }]) =>
      node(name, 'Const', [], { dtype: { type: dtype === 'int32' ? 'DT_INT32' : 'DT_FLOAT' } }),
    ),
    node('conv', 'Conv2D', ['picture', 'conv/kernel'], {
      T: type,
      strides: ints(1, 1, 1, 1),
      padding: text('SAME'),
      data_format: text('NHWC'),
      dilations: ints(1, 1, 1, 1),
    }),
    node('biased', 'BiasAdd', ['conv', 'conv/bias'], { T: type, data_format: text('NHWC') }),
    node('norm', 'FusedBatchNormV3', ['biased', 'norm/scale', 'norm/offset', 'norm/mean', 'norm/variance'], {
      T: type,
      epsilon: { f: 0.001 },
      is_training: { b: false },
      data_format: text('NHWC'),
    }),
    node('active', activation, ['norm'], { T: type }),
    node('pool', 'MaxPool', ['active'], {
      T: type,
      ksize: ints(1, 2, 2, 1),
      strides: ints(1, 2, 2, 1),
      padding: text('VALID'),
      data_format: text('NHWC'),
    }),
    node('shape', 'Shape', ['pool'], { T: type, out_type: { type: 'DT_INT32' } }),
    node('batch', 'StridedSlice', ['shape', 'flat/begin', 'flat/end', 'flat/stride'], {
      shrink_axis_mask: { i: '1' },
      begin_mask: { i: '0' },
      end_mask: { i: '0' },
      ellipsis_mask: { i: '0' },
      new_axis_mask: { i: '0' },
    }),
    node('target', 'Pack', ['batch', 'flat/features'], { N: { i: '2' }, axis: { i: '0' }, T: { type: 'DT_INT32' } }),
    node('flat', 'Reshape', ['pool', 'target'], { T: type }),
    node('logits', 'MatMul', ['flat', 'dense/kernel'], {
      T: type,
      transpose_a: { b: false },
      transpose_b: { b: false },
    }),
    node('probabilities', 'Softmax', ['logits'], { T: type }),
  ];
  const weights = Object.entries(constants).map(([name, { shape, dtype, values: data }]) => ({
    spec: { name, shape, dtype },
    bytes: new Uint8Array(data.slice().buffer),
  }));
  const modelTopology = { node: nodes, versions: { producer: 1 }, library: {} };
  return write(folder, { format: 'graph-model', generatedBy: '2', convertedBy: 'test', modelTopology }, weights);
}
