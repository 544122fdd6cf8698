/**
 * The mean image of a training set. Source: Krizhevsky et al. 2012, §2: "subtracting the mean activity over the
 * training set from each pixel".
 */
import { random } from '../../../base/random.js';
import type { Split } from '../dataset.js';

/**
 * Mean of every pixel and channel over the split, in the range 0 … 255, layout of the images ([imagePx, imagePx, 3]).
 * Images that are made at each use count once per position, in draws named by `seed`.
 * Summed in float64: a float32 sum stops at 16.7 million, some 65,000 white images.
 */
export function meanImage(split: Split, seed: number): Float32Array {
  const sum = new MeanSum();
  for (let index = 0; index < split.length; index++) sum.add(split.pixels(index, random(seed, 'mean', index)));
  return sum.mean();
}

/** The same of images that come one by one, in any order: sums of whole numbers are exact. */
export class MeanSum {
  private sums?: Float64Array;
  private images = 0;

  add(pixels: Uint8Array): void {
    this.sums ??= new Float64Array(pixels.length);
    const { sums } = this;
    for (let i = 0; i < pixels.length; i++) sums[i] += pixels[i];
    this.images += 1;
  }

  mean(): Float32Array {
    return Float32Array.from(this.sums!, (sum) => sum / this.images);
  }
}

/**
 * Mean colour of a mean image: R, G, B in 0 … 255.
 * @param mean  RGB interleaved, any size
 */
export function meanColour(mean: Float32Array): [number, number, number] {
  const sums: [number, number, number] = [0, 0, 0];
  for (let i = 0; i < mean.length; i++) sums[i % 3] += mean[i];
  const pixels = mean.length / 3;
  return [sums[0] / pixels, sums[1] / pixels, sums[2] / pixels];
}
