/**
 * Probabilities from an exported file, through onnxruntime's ordinary interface. With the image head, crops, mean and
 * averaging are inside the file, so whole images go in. With the tensor head, the centre crop does, minus the mean
 * colour that the file states: all that somebody who has just the file can do, and what `alexnet serve` does.
 */

import { centreCrop } from '../../base/crops.js';
import { usableCores } from '../../base/process/usable-cores.js';
import { activeProvider } from '../../onnx/backend/choose-provider.js';
import type { ModelMetadata } from '../../onnx/file/metadata.js';
import { openEdited } from '../../onnx/file/open-edited.js';
import { NCHW, permutation, transpose } from '../../onnx/layout.js';
import * as ort from '../../onnx/onnxruntime.js';
import { rewriteFor } from '../../onnx/rewrite/for-provider.js';
import { croppedBatch, evaluationPixels } from '../data/batches/augment.js';
import type { Split } from '../data/dataset.js';
import type { Predict } from './evaluate.js';

/** Images at once: ten crops of each are in memory together. */
export const ONNX_BATCH = 16;

type Geometry = Pick<ModelMetadata, 'head' | 'imagePx' | 'inputPx'> & Partial<Pick<ModelMetadata, 'meanRgb'>>;

/**
 * Computes on the provider of this process.
 * @param file      path of a `.onnx` file with one of the two heads
 * @param geometry  as its metadata says
 */
export async function onnxPredictor(
  file: string,
  geometry: Geometry,
): Promise<{ predict: Predict; release(): Promise<void> }> {
  const session = await open(file);
  const inputOf = geometry.head === 'image' ? wholeImages : centreCrops;
  return {
    predict: async (indices, split) => {
      const { probabilities } = await session.run(inputOf(indices, split, geometry));
      return probabilities.data as Float32Array;
    },
    release: () => session.release(),
  };
}

/** On the CPU just as the file is. */
function open(file: string): Promise<ort.InferenceSession> {
  const provider = activeProvider();
  const options = { logSeverityLevel: 3 } as const;
  if (provider === 'cpu') return ort.InferenceSession.create(file, { ...options, intraOpNumThreads: usableCores() });
  const edited = { ...options, executionProviders: [provider, 'cpu'] };
  return openEdited(file, (model) => rewriteFor(provider, model), edited);
}

/** Names the draws of generated images. */
const SEED = 0;

function wholeImages(indices: Uint32Array, split: Split, { imagePx }: Geometry): Record<string, ort.Tensor> {
  const size = imagePx * imagePx * 3;
  const pixels = new Uint8Array(indices.length * size);
  indices.forEach((index, i) => {
    pixels.set(evaluationPixels(split, index, SEED), i * size);
  });
  return { image: new ort.Tensor('uint8', pixels, [indices.length, imagePx, imagePx, 3]) };
}

function centreCrops(
  indices: Uint32Array,
  split: Split,
  { imagePx, inputPx, meanRgb = [0, 0, 0] }: Geometry,
): Record<string, ort.Tensor> {
  const mean = Float32Array.from({ length: imagePx ** 2 * 3 }, (_, i) => meanRgb[i % 3]);
  const crop = centreCrop(imagePx, inputPx);
  const { images } = croppedBatch(split, { imagePx, inputPx, mean }, indices, crop, SEED);
  const nchw = transpose(images, [indices.length, inputPx, inputPx, 3], permutation([0, 1, 2, 3], NCHW));
  return { input: new ort.Tensor('float32', nchw, [indices.length, 3, inputPx, inputPx]) };
}
