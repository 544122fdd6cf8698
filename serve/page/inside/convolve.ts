/** Convolution as a network computes it: a window of the image times a kernel, summed. */

export interface Kernel {
  name: string;
  /** [3, height, width], red first. */
  values: Float32Array;
  height: number;
  width: number;
  strides: [y: number, x: number];
  /** Pixels of zeros at the top and left. */
  pads: [top: number, left: number];
}

/** Levels 0 to 255, as a canvas has them. */
export interface Pixels {
  data: Uint8ClampedArray;
  width: number;
  height: number;
}

/** Of every colour alike, as in programs for photographs. */
const CLASSIC: Record<string, number[]> = {
  blur: [1, 1, 1, 1, 1, 1, 1, 1, 1].map((one) => one / 9),
  edge: [-1, -1, -1, -1, 8, -1, -1, -1, -1],
  sharpen: [0, -1, 0, -1, 5, -1, 0, -1, 0],
};

export const CLASSICS: Kernel[] = Object.entries(CLASSIC).map(([name, values]) => ({
  name,
  values: Float32Array.from([...values, ...values, ...values], (value) => value / 3),
  height: 3,
  width: 3,
  strides: [1, 1],
  pads: [1, 1],
}));

/** Products of one window, colours added, row by row; outside the image they are 0. */
export function productsAt(pixels: Pixels, kernel: Kernel, row: number, column: number): Float32Array {
  const { height, width, values } = kernel;
  const [top, left] = placeOf(kernel, row, column);
  const products = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (top + y < 0 || left + x < 0 || top + y >= pixels.height || left + x >= pixels.width) continue;
      const at = 4 * ((top + y) * pixels.width + left + x);
      for (let c = 0; c < 3; c++) products[y * width + x] += pixels.data[at + c] * values[(c * height + y) * width + x];
    }
  }
  return products;
}

/** First pixel of the window that an output is computed from. */
export function placeOf({ strides, pads }: Kernel, row: number, column: number): [top: number, left: number] {
  return [row * strides[0] - pads[0], column * strides[1] - pads[1]];
}

/** All outputs, [rows, columns]. */
export function convolve(pixels: Pixels, kernel: Kernel, [rows, columns]: readonly number[]): Float32Array {
  return Float32Array.from({ length: rows * columns }, (_, i) =>
    sum(productsAt(pixels, kernel, Math.floor(i / columns), i % columns)),
  );
}

export function sum(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0);
}
