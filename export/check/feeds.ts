/** Images of a data set as inputs of a model. */
import { type CropGeometry, centreCrop, cutEach } from '../../base/crops.js';
import { random } from '../../base/random.js';
import { NCHW, permutation, transpose } from '../../onnx/layout.js';
import * as ort from '../../onnx/onnxruntime.js';
import type { Split } from '../../train/data/dataset.js';
import { loadImages } from '../../train/data/stream/read-ahead.js';
import { spreadOver } from '../../train/evaluate/evaluate.js';
import type { Feeds } from '../precision/calibrate.js';

async function pixelsOf(split: Split, indices: Uint32Array, imagePx: number): Promise<Uint8Array> {
  const images = await loadImages(split, indices);
  const size = imagePx ** 2 * 3;
  const pixels = new Uint8Array(indices.length * size);
  indices.forEach((index, i) => {
    pixels.set(images.pixels(index, random(0, 'evaluate', index)), i * size);
  });
  return pixels;
}

/** For a classifier's file with one of the two heads. */
export function classifierFeeds(split: Split, count: number, head: 'image' | 'tensor', geometry: CropGeometry): Feeds {
  const indices = spreadOver(split, count);
  const { imagePx, inputPx } = geometry;
  return {
    count: indices.length,
    at: async (first, rows): Promise<Record<string, ort.Tensor>> => {
      const pixels = await pixelsOf(split, indices.subarray(first, first + rows), imagePx);
      if (head === 'image') return { image: new ort.Tensor('uint8', pixels, [rows, imagePx, imagePx, 3]) };
      const cropped = cutEach(pixels, geometry, centreCrop(imagePx, inputPx));
      const nchw = transpose(cropped, [rows, inputPx, inputPx, 3], permutation([0, 1, 2, 3], NCHW));
      return { input: new ort.Tensor('float32', nchw, [rows, 3, inputPx, inputPx]) };
    },
  };
}

/**
 * For a model with one float32 image as its input.
 * @param range  what 0 and 255 become
 * @param nchw   the file's input is [N, 3, px, px], else [N, px, px, 3]
 */
export function imageFeeds(
  split: Split,
  count: number,
  input: { name: string; px: number; nchw: boolean },
  [low, high]: readonly [number, number],
): Feeds {
  const indices = spreadOver(split, count);
  const { name, px, nchw } = input;
  return {
    count: indices.length,
    at: async (first, rows): Promise<Record<string, ort.Tensor>> => {
      const pixels = await pixelsOf(split, indices.subarray(first, first + rows), px);
      const values = Float32Array.from(pixels, (pixel) => low + (pixel * (high - low)) / 255);
      const dims = [rows, px, px, 3];
      if (!nchw) return { [name]: new ort.Tensor('float32', values, dims) };
      const moved = transpose(values, dims, permutation([0, 1, 2, 3], NCHW));
      return { [name]: new ort.Tensor('float32', moved, [rows, 3, px, px]) };
    },
  };
}
