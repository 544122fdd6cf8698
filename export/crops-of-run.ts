/** How many crops a run's exported file averages unless a person says otherwise. */
import type { CropCount } from '../base/crops.js';
import type { Run } from '../train/run/run-folder.js';

export interface ChosenCrops {
  crops: CropCount;
  /** For people. */
  reason: string;
}

/**
 * Those that the network was trained to answer alike: corners where it saw windows at random places, mirror images
 * where it saw them. A network that never saw a mirror image answers it worse, and the mean with it. A file of this
 * program that was imported keeps its own number.
 */
export function cropsOfRun({ config, imagePx, inputPx, imported }: Run): ChosenCrops {
  if (imported?.crops !== undefined) return { crops: imported.crops as CropCount, reason: `as in ${imported.file}` };
  const { randomCrop, views } = config;
  // The crops of one view are the centre, of two its mirror image besides, of five the corners.
  const mirror = config.mirror && views !== 1 && views !== 5;
  const corners = randomCrop && inputPx < imagePx && views !== 1 && views !== 2;
  const random = views > 0 ? `${views} random crops of each image` : 'random crops';
  const central = inputPx < imagePx ? 'centre crops' : 'whole images';
  const trained = imported ? `the recipe of ${config.model} trains` : 'trained';
  return {
    crops: corners ? (mirror ? 10 : 5) : mirror ? 2 : 1,
    reason: `${trained} on ${corners ? random : central}, ${mirror ? 'mirrored or not' : 'never mirrored'}`,
  };
}
