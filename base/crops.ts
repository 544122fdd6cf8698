/**
 * Where the network's inputs are cut from the square image. Krizhevsky et al. 2012, §4.1, at test time: five patches,
 * "the four corner patches and the center patch", and "their horizontal reflections (hence ten patches in all)". The
 * paper says nothing else about their order; within it, that and the rounding of the centre are those of Caffe's
 * `caffe.io.oversample`. The mean over the ten does not depend on it. Plain numbers only.
 */
import { ShapeError } from './errors.js';
import { counted } from './format.js';

/** How the network's inputs are made from images. */
export interface CropGeometry {
  /** Side of the square images, pixels. */
  imagePx: number;
  /** Side of the network's input, pixels; at most `imagePx`. */
  inputPx: number;
  /** Subtracted: the per-pixel mean of the training images, [imagePx, imagePx, 3], 0 … 255. */
  mean: Float32Array;
}

/** A window of `inputPx` whose first pixel is at (top, left); `mirror`: read from right to left after cutting. */
export interface Crop {
  top: number;
  left: number;
  mirror: boolean;
}

/** The window in the middle; an odd margin leaves its extra pixel at the bottom and right. */
export function centreCrop(imagePx: number, inputPx: number): Crop {
  const margin = Math.floor(checkedMargin(imagePx, inputPx) / 2);
  return { top: margin, left: margin, mirror: false };
}

/**
 * Top left, top right, bottom left, bottom right, centre, then the same five mirrored, as the paper names them and
 * Caffe has them. If the input is the whole image the five are one: the image and its mirror image, whose mean is the
 * same as that of the ten.
 */
export function tenCrops(imagePx: number, inputPx: number): Crop[] {
  const margin = checkedMargin(imagePx, inputPx);
  const corners = [0, margin].flatMap((top) => [0, margin].map((left) => ({ top, left, mirror: false })));
  const upright = margin === 0 ? [centreCrop(imagePx, inputPx)] : [...corners, centreCrop(imagePx, inputPx)];
  return [...upright, ...upright.map((crop) => ({ ...crop, mirror: true }))];
}

/** How many crops a prediction can be the mean of. */
export const CROP_COUNTS = [1, 2, 5, 10] as const;
export type CropCount = (typeof CROP_COUNTS)[number];

/**
 * 1: the centre; 2: the centre and its mirror image; 5: corners and centre; 10: as `tenCrops`. If the input is the
 * whole image, 5 gives one crop and 10 gives two.
 */
export function cropsOf(count: CropCount, imagePx: number, inputPx: number): Crop[] {
  const centre = centreCrop(imagePx, inputPx);
  if (count <= 2) return [centre, { ...centre, mirror: true }].slice(0, count);
  const ten = tenCrops(imagePx, inputPx);
  return count === 5 ? ten.filter(({ mirror }) => !mirror) : ten;
}

/** Why fewer crops than asked for are averaged, for people; undefined if they are not. */
export function whyFewerCrops(asked: CropCount, imagePx: number, inputPx: number): string | undefined {
  const { length } = cropsOf(asked, imagePx, inputPx);
  if (length === asked) return undefined;
  return `${length === 1 ? 'the image' : 'the image and its mirror image'} only, because the network takes whole images`;
}

/** `10 crops`; with the reason if they are fewer than asked for. */
export function describeCrops(asked: CropCount, imagePx: number, inputPx: number): string {
  const why = whyFewerCrops(asked, imagePx, inputPx);
  return `${counted(cropsOf(asked, imagePx, inputPx).length, 'crop')}${why ? ` (${why})` : ''}`;
}

function checkedMargin(imagePx: number, inputPx: number): number {
  if (inputPx <= imagePx) return imagePx - inputPx;
  throw new ShapeError(`crops: expected an image of at least the network's ${inputPx} pixels, got ${imagePx}`);
}

/**
 * Writes one crop of an image, mean subtracted. Plain loops: this runs during training.
 *
 * @param pixels  uint8 RGB [imagePx, imagePx, 3]
 * @param out     [inputPx, inputPx, 3]
 * @param shift   added to every pixel's red, green and blue
 */
export function cutOut(
  pixels: Uint8Array,
  { imagePx, inputPx, mean }: CropGeometry,
  { top, left, mirror }: Crop,
  out: Float32Array,
  [red, green, blue]: readonly [number, number, number] = [0, 0, 0],
): void {
  const next = mirror ? -3 : 3;
  let to = 0;
  for (let y = 0; y < inputPx; y++) {
    let from = ((top + y) * imagePx + left + (mirror ? inputPx - 1 : 0)) * 3;
    for (const end = to + inputPx * 3; to < end; to += 3, from += next) {
      out[to] = pixels[from] - mean[from] + red;
      out[to + 1] = pixels[from + 1] - mean[from + 1] + green;
      out[to + 2] = pixels[from + 2] - mean[from + 2] + blue;
    }
  }
}

/** The same crop of images that lie one after another in `pixels`, [images, inputPx, inputPx, 3]. */
export function cutEach(pixels: Uint8Array, geometry: CropGeometry, crop: Crop): Float32Array {
  const [from, to] = [geometry.imagePx ** 2 * 3, geometry.inputPx ** 2 * 3];
  const images = pixels.length / from;
  const cropped = new Float32Array(images * to);
  for (let i = 0; i < images; i++)
    cutOut(pixels.subarray(i * from, (i + 1) * from), geometry, crop, cropped.subarray(i * to, (i + 1) * to));
  return cropped;
}
