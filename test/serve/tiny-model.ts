/**
 * The smallest classifier that tells orientation and colour: four classes, one a quarter of the image. The logit of a
 * quarter is 4 × its mean brightness, 0.5 R + 0.3 G + 0.2 B in 0 … 1. One quarter white and three black give it e⁴ /
 * (e⁴ + 3) = 0.9479.
 */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type ModelMetadata, metadataToProps } from '../../onnx/file/metadata.js';
import { onnx } from '../../onnx/file/onnx-proto.js';

const { FLOAT, FLOAT16, UINT8, INT64 } = onnx.TensorProto.DataType;
const { INT } = onnx.AttributeProto.AttributeType;

export const IMAGE_PX = 8;
export const QUARTERS = ['top left', 'top right', 'bottom left', 'bottom right'];
export const CHANNEL_WEIGHTS = [0.5, 0.3, 0.2];

export const METADATA: ModelMetadata = {
  model: 'quarters',
  head: 'image',
  labels: QUARTERS,
  synsets: ['n01', 'n02', 'n03', 'n04'],
  imagePx: IMAGE_PX,
  inputPx: IMAGE_PX,
  crops: 1,
  meanRgb: [0, 0, 0],
  dataset: 'none',
  toolVersion: '0.0.0',
};

export interface TinyModel {
  /** Changes to METADATA; null leaves all of it out. */
  metadata?: Partial<ModelMetadata> | null;
  inputName?: string;
  /** Multiplies the logits. */
  gain?: number;
  /** Takes float32 in 0 … 1 in place of uint8. */
  float?: boolean;
  /** With `float`: takes and gives float16. */
  half?: boolean;
  layout?: 'NHWC' | 'NCHW';
  /** Length of the first axis; default: free. */
  batch?: number;
  /** Gives the logits, without softmax. */
  logits?: boolean;
}

/** Bytes of the file. */
export function tinyModel({
  metadata = {},
  inputName = 'image',
  gain = 4,
  float = false,
  half = false,
  layout = 'NHWC',
  batch,
  logits = false,
}: TinyModel = {}): Uint8Array {
  const pixels = IMAGE_PX * IMAGE_PX * 3;
  const attribute = (name: string, value: number) => ({ name, type: INT, i: value });
  const dims = (...lengths: (number | string)[]) => ({
    dim: lengths.map((length) => (typeof length === 'string' ? { dimParam: length } : { dimValue: length })),
  });
  const value = (name: string, elemType: number, shape: ReturnType<typeof dims>) => ({
    name,
    type: { tensorType: { elemType, shape } },
  });
  const output = logits ? 'logits' : 'probabilities';
  const whole = half ? `${output}-whole` : output;
  const sums = logits ? whole : 'logits';
  const shape = new Uint8Array(BigInt64Array.of(0n, BigInt(pixels)).buffer);
  return onnx.ModelProto.encode({
    irVersion: 7,
    opsetImport: [{ domain: '', version: 13 }],
    metadataProps: metadata ? metadataToProps({ ...METADATA, ...metadata }) : [],
    graph: {
      name: 'quarters',
      input: [
        value(
          inputName,
          half ? FLOAT16 : float ? FLOAT : UINT8,
          layout === 'NHWC' ? dims(batch ?? 'N', IMAGE_PX, IMAGE_PX, 3) : dims(batch ?? 'N', 3, IMAGE_PX, IMAGE_PX),
        ),
      ],
      output: [value(output, half ? FLOAT16 : FLOAT, dims(batch ?? 'N', QUARTERS.length))],
      initializer: [
        { name: 'shape', dims: [2], dataType: INT64, rawData: shape },
        {
          name: 'weights',
          dims: [pixels, QUARTERS.length],
          dataType: FLOAT,
          rawData: weights(float ? gain * 255 : gain, layout),
        },
      ],
      node: [
        { opType: 'Cast', input: [inputName], output: ['float'], attribute: [attribute('to', FLOAT)] },
        { opType: 'Reshape', input: ['float', 'shape'], output: ['flat'] },
        { opType: 'MatMul', input: ['flat', 'weights'], output: [sums] },
        ...(logits ? [] : [{ opType: 'Softmax', input: [sums], output: [whole], attribute: [attribute('axis', -1)] }]),
        ...(half ? [{ opType: 'Cast', input: [whole], output: [output], attribute: [attribute('to', FLOAT16)] }] : []),
      ],
    },
  }).finish();
}

/** [IMAGE_PX · IMAGE_PX · 3, 4] */
function weights(gain: number, layout: 'NHWC' | 'NCHW'): Uint8Array {
  const matrix = new Float32Array(IMAGE_PX * IMAGE_PX * 3 * QUARTERS.length);
  const half = IMAGE_PX / 2;
  for (let y = 0; y < IMAGE_PX; y++) {
    for (let x = 0; x < IMAGE_PX; x++) {
      const quarter = (y < half ? 0 : 2) + (x < half ? 0 : 1);
      for (let c = 0; c < 3; c++) {
        const row = layout === 'NHWC' ? (y * IMAGE_PX + x) * 3 + c : (c * IMAGE_PX + y) * IMAGE_PX + x;
        matrix[row * QUARTERS.length + quarter] = (gain * CHANNEL_WEIGHTS[c]) / (255 * half * half);
      }
    }
  }
  return new Uint8Array(matrix.buffer);
}

/** The same with its weights in `weights.bin` next to it. */
export function writeTinyPair(file: string, gain: number): string {
  const model = onnx.ModelProto.decode(tinyModel({ gain }));
  model.producerName = 'alexnet'; // so that it describes itself
  const stored = model.graph!.initializer!.find(({ name }) => name === 'weights')!;
  writeFileSync(join(dirname(file), 'weights.bin'), stored.rawData!);
  const { name, dims, dataType } = stored;
  const externalData = [{ key: 'location', value: 'weights.bin' }];
  Object.assign(stored, { name, dims, dataType, rawData: null, dataLocation: 1, externalData });
  writeFileSync(file, onnx.ModelProto.encode(model).finish());
  return file;
}

export function writeTinyModel(file: string, model?: TinyModel): string {
  writeFileSync(file, tinyModel(model));
  return file;
}
