/** Tells patterns from noise by their frequencies: edges, gratings and spots have few, noise has all. */
import { mapsOf } from './statistics.js';

/** Of the frequencies, the strongest; they hold nearly all energy of a pattern, and some 40 % of that of noise. */
const FEW = 0.2;
const PATTERN = 0.55;

/** @param kernel  [channels, height, width], at least 5 × 5: fewer numbers do not tell */
export function looksLikeNoise(kernel: Float32Array, [height, width]: readonly number[]): boolean {
  const size = height * width;
  const energies = new Float64Array(size);
  for (const plane of mapsOf({ shape: [kernel.length / size], values: kernel })) {
    const { re, im } = transform(transform({ re: plane, im: new Float32Array(size) }, width), height);
    for (let i = 0; i < size; i++) energies[i] += re[i] ** 2 + im[i] ** 2;
  }
  const total = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0);
  const strongest = energies.sort().subarray(-Math.round(FEW * size));
  return total(strongest) < PATTERN * total(energies);
}

interface Complex {
  re: ArrayLike<number>;
  im: ArrayLike<number>;
}

/** Fourier's, of each row, and rows become columns: twice is that of a plane. */
function transform({ re, im }: Complex, width: number): Complex {
  const height = re.length / width;
  const turns = Array.from({ length: width }, (_, i) => (-2 * Math.PI * i) / width);
  const [cos, sin] = [turns.map(Math.cos), turns.map(Math.sin)];
  const [outRe, outIm] = [new Float64Array(re.length), new Float64Array(re.length)];
  for (let y = 0; y < height; y++) {
    for (let k = 0; k < width; k++) {
      for (let x = 0; x < width; x++) {
        const [at, turn] = [y * width + x, (k * x) % width];
        outRe[k * height + y] += re[at] * cos[turn] - im[at] * sin[turn];
        outIm[k * height + y] += re[at] * sin[turn] + im[at] * cos[turn];
      }
    }
  }
  return { re: outRe, im: outIm };
}
