/**
 * How the colours of the training images vary: principal components of RGB over all their pixels. Source: Krizhevsky et
 * al. 2012, §4.1, which shifts the colour of every training image along them.
 */
import { type Random, random } from '../../../base/random.js';
import type { ColourStatistics, Rgb, Split } from '../dataset.js';

/**
 * @param seed  names the draws of images that are made at each use
 */
export function colourStatistics(split: Split, seed: number): ColourStatistics {
  const sums = new ColourSums();
  for (let index = 0; index < split.length; index++) sums.add(split.pixels(index, random(seed, 'mean', index)));
  return sums.components();
}

/**
 * The same of images that come one by one, in any order: the sums are whole numbers, exact below 2^53, some 2 million
 * images of 256 pixels.
 */
export class ColourSums {
  private readonly sums = new Float64Array(3);
  private readonly products = new Float64Array(6); // RR, RG, RB, GG, GB, BB
  private count = 0;

  add(pixels: Uint8Array): void {
    let [r1, g1, b1, rr, rg, rb, gg, gb, bb] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (let i = 0; i < pixels.length; i += 3) {
      const [r, g, b] = [pixels[i], pixels[i + 1], pixels[i + 2]];
      r1 += r;
      g1 += g;
      b1 += b;
      rr += r * r;
      rg += r * g;
      rb += r * b;
      gg += g * g;
      gb += g * b;
      bb += b * b;
    }
    [r1, g1, b1].forEach((sum, c) => {
      this.sums[c] += sum;
    });
    [rr, rg, rb, gg, gb, bb].forEach((product, i) => {
      this.products[i] += product;
    });
    this.count += pixels.length / 3;
  }

  components(): ColourStatistics {
    const [r, g, b] = this.sums.map((sum) => sum / this.count);
    const [rr, rg, rb, gg, gb, bb] = this.products.map((product) => product / this.count);
    return principalComponents([
      [rr - r * r, rg - r * g, rb - r * b],
      [rg - r * g, gg - g * g, gb - g * b],
      [rb - r * b, gb - g * b, bb - b * b],
    ]);
  }
}

/** Eigenvalues and eigenvectors of a symmetric matrix by Jacobi's rotations. */
export function principalComponents(matrix: readonly (readonly number[])[]): ColourStatistics {
  const a = matrix.map((row) => [...row]);
  const v = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ];
  for (let sweep = 0; sweep < 20; sweep++) {
    for (const [p, q] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ]) {
      if (a[p][q] === 0) continue;
      const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
      const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
      const c = 1 / Math.hypot(t, 1);
      const s = t * c;
      for (let k = 0; k < 3; k++) [a[k][p], a[k][q]] = [c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q]];
      for (let k = 0; k < 3; k++) [a[p][k], a[q][k]] = [c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]];
      for (let k = 0; k < 3; k++) [v[k][p], v[k][q]] = [c * v[k][p] - s * v[k][q], s * v[k][p] + c * v[k][q]];
    }
  }
  const order = [0, 1, 2].sort((i, j) => a[j][j] - a[i][i]);
  // The sign of a component means nothing: the largest part is made positive, so that it is the same everywhere.
  const component = (i: number): Rgb => {
    const parts: Rgb = [v[0][i], v[1][i], v[2][i]];
    const largest = parts.reduce((x, y) => (Math.abs(y) > Math.abs(x) ? y : x));
    return largest < 0 ? (parts.map((part) => -part) as Rgb) : parts;
  };
  return {
    eigenvalues: order.map((i) => Math.max(0, a[i][i])) as [number, number, number],
    eigenvectors: order.map(component) as [Rgb, Rgb, Rgb],
  };
}

/**
 * One image's shift: Σ α_i · √λ_i · p_i with α_i drawn from N(0, deviation). The paper prints λ_i; variances of RGB in
 * 0 … 255 would shift colours beyond all bounds, and the authors' code takes the standard deviation.
 */
export function colourShift({ eigenvalues, eigenvectors }: ColourStatistics, deviation: number, stream: Random): Rgb {
  const shift: Rgb = [0, 0, 0];
  for (let i = 0; i < 3; i++) {
    const size = stream.normal() * deviation * Math.sqrt(eigenvalues[i]);
    for (let c = 0; c < 3; c++) shift[c] += size * eigenvectors[i][c];
  }
  return shift;
}
