/**
 * A network of AlexNet's kind that tfjs's cpu backend computes in milliseconds: the oracle for what the server shows of
 * the exported file. Its layers have AlexNet's names, groups and response normalisation; its weights are large enough
 * that the classes differ.
 */
import '../../base/tfjs/backend-cpu.js';
import sharp from 'sharp';
import { type Crop, type CropCount, tenCrops } from '../../base/crops.js';
import { random } from '../../base/random.js';
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import { exportClassifier } from '../../export/classifier.js';
import { ALEXNET } from '../../model/alexnet.js';
import { buildNetwork, type NetworkSpec } from '../../model/network.js';
import { type OnnxModel, saveModel } from '../../onnx/file/onnx-model.js';

export const IMAGE_PX = 23;
export const INPUT_PX = 19;
export const LABELS = ['ant', 'bee', 'cat', 'dog', 'elk'];

const drawn = { relu: true, bias: 0.3 };
export const SPEC: NetworkSpec = {
  ...ALEXNET,
  inputPx: INPUT_PX,
  imagePx: IMAGE_PX,
  classes: LABELS.length,
  rows: [
    { type: 'conv', name: 'conv1', channels: 8, kernel: 5, stride: 2, pad: 0, stddev: 0.01, ...drawn },
    { type: 'lrn', name: 'norm1', depthRadius: 2, bias: 2, alpha: 0.01, beta: 0.75 },
    { type: 'maxpool', name: 'pool1', size: 3, stride: 2, pad: 'valid' },
    { type: 'conv', name: 'conv2', channels: 12, kernel: 3, pad: 1, groups: 2, stddev: 0.3, ...drawn },
    { type: 'lrn', name: 'norm2', depthRadius: 2, bias: 2, alpha: 0.01, beta: 0.75 },
    { type: 'fc', name: 'fc6', units: 10, stddev: 0.3, ...drawn },
    { type: 'dropout', name: 'drop6', rate: 0.5 },
    { type: 'fc', name: 'fc7', units: 7, stddev: 0.5, ...drawn },
    { type: 'fc', name: 'fc8', units: 'classes', stddev: 0.7, relu: false, bias: 0 },
  ],
};
/** Layers that end with numbers of their own. */
export const LAYERS = ['conv1', 'norm1', 'pool1', 'conv2', 'norm2', 'fc6', 'fc7', 'fc8'];

/** Per-pixel mean of the images, different at every place. */
export const MEAN = Float32Array.from({ length: IMAGE_PX * IMAGE_PX * 3 }, (_, i) => 100 + ((i * 37) % 41));

/** What the tensor head has in its place. */
export const MEAN_RGB: [number, number, number] = [120, 118, 123];

const MODEL = buildNetwork(SPEC, { classes: LABELS.length, seed: 5 });

/** @param convert  to another precision */
export async function writeSmallNetwork(
  file: string,
  head: 'image' | 'tensor' = 'image',
  convert: (model: OnnxModel) => OnnxModel | Promise<OnnxModel> = (model) => model,
  crops?: CropCount,
): Promise<string> {
  await import('../../onnx/backend/index.js');
  await tf.setBackend('onnxruntime');
  const metadata = {
    model: 'small',
    labels: LABELS,
    meanRgb: MEAN_RGB,
    dataset: 'none',
    toolVersion: '0.0.0',
  };
  const sizes = { opset: 13, imagePx: IMAGE_PX, inputPx: INPUT_PX, mean: MEAN };
  const { model } = await exportClassifier(MODEL, { head, crops, ...sizes, metadata });
  await saveModel(await convert(model), file);
  await tf.setBackend('cpu');
  return file;
}

/** Noise with a bright square, uint8 [IMAGE_PX, IMAGE_PX, 3]. */
export function pixelsOf(name: number): Uint8Array {
  const stream = random('small image', name);
  const [top, left] = [stream.integer(15), stream.integer(15)];
  return Uint8Array.from({ length: IMAGE_PX * IMAGE_PX * 3 }, (_, i) => {
    const [y, x] = [Math.floor(i / 3 / IMAGE_PX), Math.floor(i / 3) % IMAGE_PX];
    const inside = y >= top && y < top + 8 && x >= left && x < left + 8;
    return stream.integer(90) + (inside ? 150 : 40);
  });
}

export async function pngOf(pixels: Uint8Array): Promise<Buffer> {
  return sharp(pixels, { raw: { width: IMAGE_PX, height: IMAGE_PX, channels: 3 } })
    .png()
    .toBuffer();
}

/** A crop as the network takes it, by a loop of its own: float32 [INPUT_PX, INPUT_PX, 3], the mean subtracted. */
export function cropOf(
  pixels: Uint8Array,
  crop: Crop = { top: 2, left: 2, mirror: false },
  mean: (at: number) => number = (at) => MEAN[at],
): Float32Array {
  return Float32Array.from({ length: INPUT_PX * INPUT_PX * 3 }, (_, i) => {
    const [y, x, c] = [Math.floor(i / 3 / INPUT_PX), Math.floor(i / 3) % INPUT_PX, i % 3];
    const column = crop.left + (crop.mirror ? INPUT_PX - 1 - x : x);
    const at = ((crop.top + y) * IMAGE_PX + column) * 3 + c;
    return pixels[at] - mean(at);
  });
}

export const CROPS = tenCrops(IMAGE_PX, INPUT_PX);

/** A layer's values for crops, computed by tfjs's cpu backend: maps as [count, channels, height, width]. */
export function valuesOf(crops: readonly Float32Array[], layer: string): { shape: number[]; data: Float32Array } {
  return tf.tidy(() => {
    const part = tfl.model({ inputs: MODEL.inputs, outputs: MODEL.getLayer(layer).output as tfl.SymbolicTensor });
    const input = tf.stack(crops.map((crop) => tf.tensor3d(crop, [INPUT_PX, INPUT_PX, 3])));
    const output = part.predict(input) as tf.Tensor;
    const turned = output.rank === 4 ? tf.transpose(output, [0, 3, 1, 2]) : output;
    return { shape: turned.shape, data: turned.dataSync() as Float32Array };
  });
}

/** Probabilities of each crop. */
export function probabilitiesOf(crops: readonly Float32Array[]): Float32Array[] {
  const { data } = valuesOf(crops, 'fc8');
  return crops.map((_, row) => {
    const logits = data.subarray(row * LABELS.length, (row + 1) * LABELS.length);
    return tf.tidy(() => tf.softmax(tf.tensor1d(logits)).dataSync() as Float32Array);
  });
}

/** Of a layer of ours: HWIO of a convolution, [inputs, units] of a fully connected one. */
export function kernelOf(layer: string): { shape: number[]; data: Float32Array } {
  const [kernel] = MODEL.getLayer(layer).getWeights();
  return { shape: kernel.shape, data: kernel.dataSync() as Float32Array };
}
