/**
 * The views of an image whose features are kept: crops that stand in for the random ones of training, so that frozen
 * layers need not compute them at every use.
 */
import { CROP_COUNTS, type Crop, type CropCount, type CropGeometry, centreCrop, cropsOf } from '../../base/crops.js';
import { counted } from '../../base/format.js';
import { random } from '../../base/random.js';
import { type BatchOptions, type Cut, drawCut, drawShift } from '../data/batches/augment.js';
import type { Split } from '../data/dataset.js';
import type { Settings } from '../settings/config.js';

type Augmentation = Pick<Settings, 'views' | 'randomCrop' | 'mirror'>;
type Sides = Pick<CropGeometry, 'imagePx' | 'inputPx'>;

/** 1, 2, 5 and 10 are the crops of evaluation, as far as the settings mirror and leave the centre; undefined: random. */
function fixedCrops({ views, randomCrop, mirror }: Augmentation, { imagePx, inputPx }: Sides): Crop[] | undefined {
  if (!CROP_COUNTS.includes(views as CropCount)) return undefined;
  const crops = cropsOf(views as CropCount, imagePx, inputPx);
  const centre = centreCrop(imagePx, inputPx);
  return crops.filter(
    (crop) => (mirror || !crop.mirror) && (randomCrop || (crop.top === centre.top && crop.left === centre.left)),
  );
}

/** How many views an image has: at most as many as there are crops. */
export function countViews(settings: Augmentation, geometry: Sides): number {
  return fixedCrops(settings, geometry)?.length ?? settings.views;
}

/**
 * Why an image has fewer different views than asked for, for people; undefined if it has as many.
 * @param split  of the images to train on
 */
export function whyFewerViews(
  settings: Augmentation & Pick<Settings, 'colourNoise'>,
  { imagePx, inputPx }: Sides,
  { places, load }: Pick<Split, 'places' | 'load'>,
): string | undefined {
  const { views, randomCrop, mirror, colourNoise } = settings;
  const isMade = places === undefined && load === undefined; // a new image at every draw
  const windows = randomCrop ? (imagePx - inputPx + 1) ** 2 : 1;
  const drawn = isMade || colourNoise > 0 ? views : windows * (mirror ? 2 : 1);
  const different = fixedCrops(settings, { imagePx, inputPx })?.length ?? drawn;
  if (different >= views) return undefined;
  const cut = inputPx === imagePx ? 'whole images' : randomCrop ? 'crops' : 'centre crops';
  const mirrored = mirror ? 'mirrored or not' : 'never mirrored';
  return `an image has only ${counted(different, 'distinct view')}, because the network trains on ${cut}, ${mirrored}`;
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
