/** A split of a data set as images to be indexed. */
import { UserError } from '../base/errors.js';
import { random } from '../base/random.js';
import type { Images } from '../serve/views/index/build-index.js';
import type { Dataset } from '../train/data/dataset.js';
import { loadImages } from '../train/data/stream/read-ahead.js';

/** @throws {UserError} if the set has no such split */
export function splitImages(
  { source, splits, splitNames = Object.keys(splits), labels }: Dataset,
  name: string,
): Images {
  const split = splits[name];
  if (!split)
    throw new UserError(
      `${source}: has no split "${name}"; there are: ${splitNames.join(', ')}; choose one with --split`,
    );
  return {
    data: source,
    split: name,
    length: split.length,
    name: (index) => split.name(index),
    label: (index) => labels[split.labels[index]],
    pixels: async (index) => {
      const images = await loadImages(split, Uint32Array.of(index));
      return images.pixels(index, random('index', index)); // drawn images: the same at every use
    },
  };
}
