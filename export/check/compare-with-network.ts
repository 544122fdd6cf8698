/** Compares an exported file in onnxruntime with the tfjs model it came from, on images. */
import type * as tfl from '@tensorflow/tfjs-layers';
import { allFinite } from '../../base/all-finite.js';
import { type Crop, type CropGeometry, centreCrop, cutEach } from '../../base/crops.js';
import { UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import { selectBackend } from '../../onnx/backend/select-backend.js';
import { NCHW, permutation, transpose } from '../../onnx/layout.js';
import * as ort from '../../onnx/onnxruntime.js';
import { type Difference, largestDifference, type OutputPair } from './difference.js';
import { openStrict } from './open-strict.js';

/** How far the two are apart: probabilities, or logits of the tensor head. */
export interface Parity extends Difference {
  /** Images, or rows of numbers, compared. */
  images: number;
  /** What the file was compared with, and how long that took. */
  how?: string;
  seconds?: number;
  /** The difference that is allowed; default `TOLERANCE`. */
  allowed?: number;
}

/** Float32 sums of up to 9216 terms taken in two orders; measured 1e-6 to 1e-5 on trained networks. */
export const TOLERANCE = 1e-3;

/** Images at once: ten crops of each and their activations are in memory. */
const AT_ONCE = 1;

type Outputs = Record<'expected' | 'actual', Float32Array>;
type Geometry = CropGeometry & { crops?: readonly Crop[] };

/**
 * @param geometry  with the crops that the file averages; undefined for the tensor head
 * @param pixels  uint8 RGB [n, imagePx, imagePx, 3]
 * @throws {UserError} if an output is not finite
 */
export async function compareWithNetwork(
  file: string,
  model: tfl.LayersModel,
  geometry: Geometry,
  pixels: Uint8Array,
): Promise<Parity> {
  const session = await openStrict(file);
  const size = geometry.imagePx ** 2 * 3;
  const images = pixels.length / size;
  const [expected, actual]: number[][] = [[], []];
  try {
    const run = geometry.crops ? imageOutputs : tensorOutputs;
    for (let first = 0; first < images; first += AT_ONCE) {
      const part = pixels.subarray(first * size, (first + AT_ONCE) * size);
      const outputs = await run(session, model, geometry, part, part.length / size);
      expected.push(...outputs.expected);
      actual.push(...outputs.actual);
    }
    const name = geometry.crops ? 'probabilities' : 'logits';
    return { images, ...difference({ name, dims: [images, expected.length / images], expected, actual }) };
  } finally {
    await session.release();
  }
}

/**
 * The logits of one centre crop on the active backend and on tfjs's own cpu backend, which shares no code with the
 * exporter: shows that what the file is compared with is right itself. One crop, because that backend is slow.
 * @throws {UserError} if an output is not finite
 */
export async function checkOnCpu(
  model: tfl.LayersModel,
  geometry: CropGeometry,
  image: Uint8Array,
): Promise<Difference> {
  const input = cropTensor(geometry, image, 1, centreCrop(geometry.imagePx, geometry.inputPx));
  const logits = () =>
    tf.tidy(() => (model.apply(input, { training: false }) as tf.Tensor2D).dataSync() as Float32Array);
  const backend = tf.getBackend();
  const actual = logits();
  await selectBackend('cpu');
  const expected = logits();
  await tf.setBackend(backend);
  input.dispose();
  return difference({ name: 'logits', dims: [1, expected.length], expected, actual });
}

/** NaN in both is no agreement: a classifier has none. */
function difference(pair: OutputPair): Difference {
  if (allFinite(pair.expected)) return largestDifference([pair]);
  throw new UserError(`output ${pair.name} is not finite in tfjs: the weights hold NaN or are too large`);
}

/** Mean probabilities over the crops, both ways. */
async function imageOutputs(
  session: ort.InferenceSession,
  model: tfl.LayersModel,
  geometry: Geometry,
  pixels: Uint8Array,
  images: number,
): Promise<Outputs> {
  const { imagePx, crops = [] } = geometry;
  const expected = tf.tidy(() => {
    const single = crops.map((crop) =>
      tf.softmax(model.apply(cropTensor(geometry, pixels, images, crop), { training: false }) as tf.Tensor2D),
    );
    return tf.mean(tf.stack(single), 0).dataSync() as Float32Array;
  });
  const { probabilities } = await session.run({
    image: new ort.Tensor('uint8', pixels, [images, imagePx, imagePx, 3]),
  });
  return { expected, actual: probabilities.data as Float32Array };
}

/** Logits of the centre crop, both ways. */
async function tensorOutputs(
  session: ort.InferenceSession,
  model: tfl.LayersModel,
  geometry: CropGeometry,
  pixels: Uint8Array,
  images: number,
): Promise<Outputs> {
  const { imagePx, inputPx } = geometry;
  const input = cropTensor(geometry, pixels, images, centreCrop(imagePx, inputPx));
  const nhwc = input.dataSync() as Float32Array;
  const nchw = transpose(nhwc, input.shape, permutation([0, 1, 2, 3], NCHW));
  const expected = tf.tidy(() => (model.apply(input, { training: false }) as tf.Tensor2D).dataSync() as Float32Array);
  input.dispose();
  const { logits } = await session.run({ input: new ort.Tensor('float32', nchw, [images, 3, inputPx, inputPx]) });
  return { expected, actual: logits.data as Float32Array };
}

function cropTensor(geometry: CropGeometry, pixels: Uint8Array, images: number, crop: Crop): tf.Tensor4D {
  const { inputPx } = geometry;
  return tf.tensor4d(cutEach(pixels, geometry, crop), [images, inputPx, inputPx, 3]);
}
