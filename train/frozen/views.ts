/**
 * The views of an image whose features are kept: crops that stand in for the random ones of training, so that frozen
 * layers need not compute them at every use.
 */
import { CROP_COUNTS, type Crop, type CropCount, type CropGeometry, centreCrop, cropsOf } from '../../base/crops.js';
import { random } from '../../base/random.js';
import { type BatchOptions, type Cut, drawCut, drawShift } from '../data/batches/augment.js';
import type { Split } from '../data/dataset.js';
import type { Settings } from '../settings/config.js';

type Augmentation = Pick<Settings, 'views' | 'randomCrop' | 'mirror'>;

/** 1, 2, 5 and 10 are the crops of evaluation, as far as the settings mirror and leave the centre; undefined: random. */
function fixedCrops(
  { views, randomCrop, mirror }: Augmentation,
  { imagePx, inputPx }: CropGeometry,
): Crop[] | undefined {
  if (!CROP_COUNTS.includes(views as CropCount)) return undefined;
  const crops = cropsOf(views as CropCount, imagePx, inputPx);
  const centre = centreCrop(imagePx, inputPx);
  return crops.filter(
    (crop) => (mirror || !crop.mirror) && (randomCrop || (crop.top === centre.top && crop.left === centre.left)),
  );
}

/** How many views an image has: at most as many as there are crops. */
export function countViews(settings: Augmentation, geometry: CropGeometry): number {
  return fixedCrops(settings, geometry)?.length ?? settings.views;
}

/** A view of an image. Its draws depend on seed, view and the image's index alone. */
export function viewOf(
  split: Split,
  index: number,
  view: number,
  geometry: CropGeometry,
  options: Augmentation & Omit<BatchOptions, 'epoch'>,
): Cut {
  const stream = random(options.seed, 'view', view, index);
  const pixels = split.pixels(index, stream);
  const crop = fixedCrops(options, geometry)?.[view];
  if (!crop) return { pixels, ...drawCut(stream, geometry, { ...options, epoch: 0 }) };
  return { pixels, crop, shift: drawShift(stream, options) };
}
