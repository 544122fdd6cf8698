/** Builds the splits of a data set of the images that were read. */
import { UserError } from '../../../base/errors.js';
import { nameSome } from '../../../base/name-some.js';
import type { ImageSink, Split, Streamed } from '../dataset.js';
import { loadedPart } from '../stream/read-ahead.js';
import type { Layout } from './find-layout.js';

/**
 * The splits in the order of paths, `val` and `test` standing in for one another.
 * @param source   for messages
 * @param classes  names in index order
 * @returns `notes`: what a person should know of them
 * @throws {UserError} when nothing of a class could be read to train on
 */
export function makeSplits(
  source: string,
  store: ImageSink,
  layout: Layout,
  classes: string[],
): { splits: Record<string, Split>; notes: string[] } {
  const slots = new Map<string, number[]>();
  const order = store.names.map((_, slot) => slot).sort((a, b) => (store.names[a] < store.names[b] ? -1 : 1));
  for (const slot of order) {
    const place = layout.placeOf(store.names[slot]);
    if (place === undefined || !store.has(slot)) continue;
    const split = place.split ?? 'train';
    if (!slots.has(split)) slots.set(split, []);
    slots.get(split)!.push(slot);
  }
  const indexOf = new Map(classes.map((name, index) => [name, index]));
  const splits: Record<string, Split> = {};
  for (const [name, members] of slots) {
    const labels = Uint16Array.from(members, (slot) => indexOf.get(layout.placeOf(store.names[slot])!.className)!);
    const split: Split = {
      length: members.length,
      labels,
      places: Uint32Array.from(members),
      name: (index) => store.names[members[index]],
      pixels: (index) => store.pixels(members[index]),
    };
    splits[name] = store.streamed ? streamedSplit(split, store.streamed) : split;
  }
  const notes = Object.entries(splits).flatMap(([name, split]) => notesOnMissing(source, name, split, classes));
  if (splits.val === undefined && splits.test !== undefined) splits.val = splits.test;
  if (splits.test === undefined && splits.val !== undefined) splits.test = splits.val;
  return { splits, notes };
}

/** @throws {UserError} if nothing of a class is there to train on */
function notesOnMissing(source: string, split: string, { labels }: Split, classes: string[]): string[] {
  const read = new Set(labels);
  const missing = classes.filter((_, label) => !read.has(label));
  if (missing.length === 0) return [];
  if (split === 'train')
    throw new UserError(
      `${source}: no image of ${nameSome(missing)} among ${split} can be read; remove or repair them`,
    );
  return [
    `no ${split} image of ${nameSome(missing)}, so errors say nothing about ${missing.length > 1 ? 'these classes' : 'this class'}`,
  ];
}

function streamedSplit(split: Split, streamed: Streamed): Split {
  return {
    ...split,
    shards: streamed.shards(Array.from(split.places!)),
    pixels: (index) => {
      throw new Error(`${split.name(index)} is streamed and was not loaded`);
    },
    load: async (indices) => {
      const slots = Array.from(indices, (index) => split.places![index]);
      return loadedPart(split, indices, await streamed.load(slots));
    },
  };
}
