/**
 * The first layer's kernels as an image, after Figure 3 of Krizhevsky et al. 2012. Each is scaled so that its largest
 * weight is black or white at most; a weight of 0 is the grey in the middle.
 */
import { sharp } from '../../base/image/sharp.js';
import { kernelColours } from '../../base/kernel-colours.js';

/** Kernels of a convolution over RGB images: HWIO [size, size, 3, channels]. */
export interface Kernels {
  values: Float32Array;
  size: number;
  channels: number;
}

export interface KernelImage {
  png: Buffer;
  width: number;
  height: number;
}

/** A row of the paper's figure. */
const COLUMNS = 16;
/** About this side for each kernel, whatever its number of weights. */
const SIDE_PX = 55;
const GAP_PX = 4;

/** Kernels `first` … `first + count − 1`, sixteen in a row; what lies between them is transparent. */
export async function kernelImage(kernels: Kernels, first: number, count: number): Promise<KernelImage> {
  const scale = Math.max(1, Math.round(SIDE_PX / kernels.size));
  const pitch = kernels.size * scale + GAP_PX;
  const width = Math.min(COLUMNS, count) * pitch - GAP_PX;
  const height = Math.ceil(count / COLUMNS) * pitch - GAP_PX;
  const pixels = new Uint8Array(width * height * 4);
  for (let n = 0; n < count; n++) {
    const colours = coloursOf(kernels, first + n);
    const [top, left] = [Math.floor(n / COLUMNS) * pitch, (n % COLUMNS) * pitch];
    for (let y = 0; y < kernels.size * scale; y++) {
      for (let x = 0; x < kernels.size * scale; x++) {
        const from = (Math.floor(y / scale) * kernels.size + Math.floor(x / scale)) * 3;
        pixels.set([...colours.subarray(from, from + 3), 255], ((top + y) * width + left + x) * 4);
      }
    }
  }
  const png = await sharp(pixels, { raw: { width, height, channels: 4 } })
    .png()
    .toBuffer();
  return { png, width, height };
}

/** One kernel as RGB [size, size, 3], 0 … 255. */
export function coloursOf({ values, size, channels }: Kernels, kernel: number): Uint8Array {
  return kernelColours(Float32Array.from({ length: size * size * 3 }, (_, i) => values[i * channels + kernel]));
}
