/**
 * The numbers that test/fixtures/alexnet_golden.py makes, by the same formula: uniform, 24 bits each, scaled in float64
 * and rounded to float32, so equal to the last bit.
 */

/** Streams of a seed; 0 to 15 are the weights, in the order of the layers, kernel before bias. */
const SIGN_STREAM = 30;
const SAMPLE_STREAM = 31;
const IMAGE_STREAM = 32; // image p: IMAGE_STREAM + p

/** MurmurHash3's finaliser on 32 bits. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Element `index` of a stream, 0 to 2³² − 1. */
function bits(key: number, index: number): number {
  return mix(Math.imul(index, 0x9e3779b1) ^ key);
}

function streamKey(seed: number, stream: number): number {
  return mix(seed * 4096 + stream);
}

/** Numbers in −bound … bound. */
export function uniform(seed: number, stream: number, length: number, bound: number): Float32Array {
  const key = streamKey(seed, stream);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = ((bits(key, i) >>> 8) / 2 ** 23 - 1) * bound;
  return values;
}

/** Images one after the other, each in order c, h, w. */
export function imagesNchw(seed: number, numbers: number[], pixels: number, bound: number): Float32Array {
  const values = new Float32Array(numbers.length * pixels);
  numbers.forEach((image, n) => {
    values.set(uniform(seed, IMAGE_STREAM + image, pixels, bound), n * pixels);
  });
  return values;
}

/** Positions of the elements that the fixture holds of a tensor of `size` elements. */
export function samplePositions(seed: number, size: number, count: number): number[] {
  const key = streamKey(seed, SAMPLE_STREAM);
  return Array.from({ length: count }, (_, i) => bits(key, i) % size);
}

/** Σ ± values[i] with pseudo-random signs: unlike the plain sum, it changes when elements change places. */
export function signedSum(seed: number, values: Float32Array): number {
  const key = streamKey(seed, SIGN_STREAM);
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += bits(key, i) >>> 31 ? -values[i] : values[i];
  return sum;
}
