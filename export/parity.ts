/** Compares an exported file in onnxruntime with the tfjs model it came from, on pictures. */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import * as ort from 'onnxruntime-node';
import { centreCrop, cutOut, tenCrops } from '../model/crops.js';
import { UserError } from '../model/errors.js';
import type { ImageHead } from './heads.js';
import { NCHW, permutation, transpose } from './layout.js';

/** How far the two are apart. */
export interface Parity {
  /** Pictures compared. */
  images: number;
  /** Largest absolute difference between the outputs compared: probabilities, or logits of the tensor head. */
  maxAbs: number;
  /** The same as a share of the largest output. */
  maxRel: number;
}

/** Float32 sums of up to 9216 terms taken in two orders; measured 1e-6 to 1e-5 on trained networks. */
const TOLERANCE = 1e-3;

/**
 * @param pictures  uint8 RGB [n, imagePx, imagePx, 3]
 * @throws {UserError} where an output is not finite or the difference is above tolerance
 */
export async function checkParity(
  file: string,
  model: tfl.LayersModel,
  head: 'image' | 'tensor',
  geometry: ImageHead,
  pictures: Uint8Array,
): Promise<Parity> {
  const session = await ort.InferenceSession.create(file);
  const images = pictures.length / (geometry.imagePx ** 2 * 3);
  try {
    const run = head === 'image' ? imageOutputs : tensorOutputs;
    const { expected, actual } = await run(session, model, geometry, pictures, images);
    return compare(file, expected, actual, images);
  } finally {
    await session.release();
  }
}

interface Outputs {
  expected: Float32Array;
  actual: Float32Array;
}

/** Mean probabilities over the crops, both ways. */
async function imageOutputs(
  session: ort.InferenceSession,
  model: tfl.LayersModel,
  geometry: ImageHead,
  pictures: Uint8Array,
  images: number,
): Promise<Outputs> {
  const { imagePx, inputPx } = geometry;
  const crops = tenCrops(imagePx, inputPx);
  const expected = tf.tidy(() => {
    const single = crops.map((crop) =>
      tf.softmax(model.apply(cropTensor(geometry, pictures, images, crop), { training: false }) as tf.Tensor2D),
    );
    return tf.mean(tf.stack(single), 0).dataSync() as Float32Array;
  });
  const { probabilities } = await session.run({
    image: new ort.Tensor('uint8', pictures, [images, imagePx, imagePx, 3]),
  });
  return { expected, actual: probabilities.data as Float32Array };
}

/** Logits of the centre crop, both ways. */
async function tensorOutputs(
  session: ort.InferenceSession,
  model: tfl.LayersModel,
  geometry: ImageHead,
  pictures: Uint8Array,
  images: number,
): Promise<Outputs> {
  const { imagePx, inputPx } = geometry;
  const input = cropTensor(geometry, pictures, images, centreCrop(imagePx, inputPx));
  const nhwc = input.dataSync() as Float32Array;
  const nchw = transpose(nhwc, input.shape, permutation([0, 1, 2, 3], NCHW));
  const expected = tf.tidy(() => (model.apply(input, { training: false }) as tf.Tensor2D).dataSync() as Float32Array);
  input.dispose();
  const { logits } = await session.run({ input: new ort.Tensor('float32', nchw, [images, 3, inputPx, inputPx]) });
  return { expected, actual: logits.data as Float32Array };
}

function cropTensor(
  { imagePx, inputPx, mean }: ImageHead,
  pictures: Uint8Array,
  images: number,
  crop: ReturnType<typeof centreCrop>,
): tf.Tensor4D {
  const size = inputPx ** 2 * 3;
  const cropped = new Float32Array(images * size);
  for (let i = 0; i < images; i++) {
    const picture = pictures.subarray(i * imagePx ** 2 * 3, (i + 1) * imagePx ** 2 * 3);
    cutOut(picture, mean, imagePx, crop, inputPx, cropped, i * size);
  }
  return tf.tensor4d(cropped, [images, inputPx, inputPx, 3]);
}

function compare(file: string, expected: Float32Array, actual: Float32Array, images: number): Parity {
  let [worst, largest] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    if (!Number.isFinite(actual[i]) || !Number.isFinite(expected[i])) {
      throw new UserError(
        `${file}: output ${i} is ${actual[i]} in onnxruntime and ${expected[i]} in tfjs: the weights hold NaN or are too large`,
      );
    }
    if (Math.abs(actual[i] - expected[i]) > Math.abs(actual[worst] - expected[worst])) worst = i;
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  const maxAbs = Math.abs(actual[worst] - expected[worst]);
  const maxRel = largest > 0 ? maxAbs / largest : maxAbs;
  if (maxRel > TOLERANCE) {
    throw new UserError(
      `${file}: differs from the tfjs model by ${maxRel.toExponential(1)} of the largest output (allowed ${TOLERANCE}); ` +
        `worst at output ${worst}: expected ${expected[worst]}, got ${actual[worst]}`,
    );
  }
  return { images, maxAbs, maxRel };
}
