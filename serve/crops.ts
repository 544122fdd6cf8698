/** The crops of a picture that a model averages, by the names people call them. */
import { type Crop, centreCrop, tenCrops } from '../model/crops.js';
import type { ServedModel } from './served-model.js';

export interface NamedCrop extends Crop {
  name: string;
  /** Side, pixels. */
  size: number;
}

const UPRIGHT = ['top left', 'top right', 'bottom left', 'bottom right', 'centre'];

/** In the order of the model's rows; undefined for a file whose number of crops is not that of any cutting known here. */
export function namedCrops({
  crops,
  imagePx,
  cropPx: size,
}: Pick<ServedModel, 'crops' | 'imagePx' | 'cropPx'>): NamedCrop[] | undefined {
  const whole = imagePx === size ? 'whole' : 'centre';
  if (crops === 1) return [{ name: whole, size, ...centreCrop(imagePx, size) }];
  const all = tenCrops(imagePx, size);
  if (all.length !== crops) return undefined;
  const names = all.length === 2 * UPRIGHT.length ? UPRIGHT : [whole];
  return all.map((crop, i) => {
    const name = names[i % names.length];
    return { name: crop.mirror ? `${name}, mirrored` : name, size, ...crop };
  });
}

/** Position of the upright crop in the middle. */
export function centreOf(crops: readonly NamedCrop[]): number {
  return crops.findIndex(({ name }) => name === 'centre' || name === 'whole');
}
