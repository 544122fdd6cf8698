/**
 * Probabilities from an exported file with the image head: crops, mean and averaging are inside the file, so whole pictures
 * go in, through onnxruntime's ordinary interface.
 */
import * as ort from 'onnxruntime-node';
import { random } from '../model/random.js';
import type { Predict } from './evaluate.js';

/**
 * @param file  path of a `.onnx` file: `image` uint8 [N, imagePx, imagePx, 3] → `probabilities` float32 [N, classes]
 * @param seed  of the draws of generated pictures, as in `croppedBatch`
 */
export async function onnxPredictor(file: string, imagePx: number, seed: number): Promise<Predict> {
  const session = await ort.InferenceSession.create(file);
  const pictureSize = imagePx * imagePx * 3;
  return async (indices, pictures) => {
    const pixels = new Uint8Array(indices.length * pictureSize);
    indices.forEach((index, i) => {
      pixels.set(pictures.pixels(index, random(seed, 'evaluate', index)), i * pictureSize);
    });
    const image = new ort.Tensor('uint8', pixels, [indices.length, imagePx, imagePx, 3]);
    const { probabilities } = await session.run({ image });
    return probabilities.data as Float32Array;
  };
}
