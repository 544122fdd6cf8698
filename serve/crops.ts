/** The crops of an image that a model averages, by the names people call them. */
import { CROP_COUNTS, type Crop, centreCrop, cropsOf } from '../base/crops.js';
import type { ServedModel } from './served-model.js';

export interface NamedCrop extends Crop {
  name: string;
  /** Side, pixels; the width if there is a height. */
  size: number;
  /** If it is not square. */
  height?: number;
}

const CORNERS = ['top left', 'top right', 'bottom left', 'bottom right'];

/**
 * In the order of the model's rows; undefined for a file whose number of crops is not that of any cutting known here.
 */
export function namedCrops({
  crops,
  imagePx,
  imageHeight,
  cropPx: size,
  cropHeight: height,
}: Pick<ServedModel, 'crops' | 'imagePx' | 'imageHeight' | 'cropPx' | 'cropHeight'>): NamedCrop[] | undefined {
  if (imageHeight !== undefined && height !== undefined) {
    const { top } = centreCrop(imageHeight, height);
    const isWhole = imagePx === size && imageHeight === height;
    return [{ name: isWhole ? 'whole' : 'centre', size, height, ...centreCrop(imagePx, size), top }];
  }
  const count = CROP_COUNTS.find((known) => known === crops);
  const all = count && cropsOf(count, imagePx, size);
  if (all?.length !== crops) return undefined;
  const names = [...(crops >= 5 ? CORNERS : []), imagePx === size ? 'whole' : 'centre'];
  return all.map((crop, i) => {
    const name = names[i % names.length];
    return { name: crop.mirror ? `${name}, mirrored` : name, size, ...crop };
  });
}

/** Position of the upright crop in the middle. */
export function centreOf(crops: readonly NamedCrop[]): number {
  return crops.findIndex(({ name }) => name === 'centre' || name === 'whole');
}
