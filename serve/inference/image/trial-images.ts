/**
 * Images that a model is tried on before it answers anybody: unlike each other, none of one colour, the same on every
 * machine.
 */
import { random } from '../../../base/random.js';
import type { ImageRecipe } from './image-tensor.js';

/** Frequency of the waves across the image, strength of the noise on them, and brightness, by number. */
const KINDS = [
  { waves: 1, noise: 40, level: 128 },
  { waves: 0, noise: 255, level: 128 },
  { waves: 3, noise: 10, level: 90 },
  { waves: 8, noise: 25, level: 170 },
  { waves: 2, noise: 60, level: 60 },
  { waves: 0.5, noise: 5, level: 200 },
];

/**
 * Pixels of the pattern that is drawn, along a side: a random number for every pixel of a large image would delay the
 * start.
 */
const PATTERN_PX = 64;

/** @returns as `decodeImage` gives an image */
export function trialImage(number: number, { decoding }: Pick<ImageRecipe, 'decoding'>): Uint8Array {
  const { width, height, channels } = decoding;
  const [across, down] = [Math.min(width, PATTERN_PX), Math.min(height, PATTERN_PX)];
  const pattern = drawPattern(number, across, down, channels);
  const image = new Uint8Array(width * height * channels);
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor((y * down) / height);
    if (y > 0 && row === Math.floor(((y - 1) * down) / height)) {
      image.copyWithin(at, at - width * channels, at);
      at += width * channels;
      continue;
    }
    for (let x = 0; x < width; x++) {
      const from = (row * across + Math.floor((x * across) / width)) * channels;
      for (let c = 0; c < channels; c++) image[at++] = pattern[from + c];
    }
  }
  return image;
}

function drawPattern(number: number, width: number, height: number, channels: number): Uint8ClampedArray {
  const { waves, noise, level } = KINDS[number % KINDS.length];
  const stream = random('trial image', number);
  const phases = Array.from({ length: channels }, () => 2 * Math.PI * stream.uniform());
  const [across, down] = [stream.uniform(), stream.uniform()];
  const pattern = new Uint8ClampedArray(width * height * channels);
  for (let i = 0; i < pattern.length; i++) {
    const c = i % channels;
    const [y, x] = [Math.floor(i / channels / width) / height, (Math.floor(i / channels) % width) / width];
    const wave = waves * Math.sin(2 * Math.PI * waves * (across * x + down * y) + phases[c]);
    pattern[i] = level + (waves > 0 ? (80 / waves) * wave : 0) + noise * (stream.uniform() - 0.5);
  }
  return pattern;
}
