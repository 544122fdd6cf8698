/**
 * Makes a data set of the members of a folder or archive: decodes the pictures wanted, finds layout and classes, builds splits.
 */
import { extname } from 'node:path';
import { UserError } from '../../model/errors.js';
import type { Dataset, Member, OpenOptions, PictureSink, Source, Split, Streamed } from './dataset.js';
import { classLabels, listClasses, nameSome } from './picture-classes.js';
import { findLayout, isPicture, type Layout, splitOf } from './picture-places.js';
import { PictureStore } from './picture-store.js';
import { loadedPart } from './read-ahead.js';

/** Above this share of unreadable pictures the data set is taken to be broken. */
const MAX_UNREADABLE = 0.01;
/** Files that come with data sets and need no mention when passed over. */
const ANNOTATION = /\.(txt|csv|json|md|xml|ya?ml|html?)$/i;

/** Whether a member is a picture of a split that was asked for. */
export function isWanted({ path, kind }: Member, { splits }: OpenOptions): boolean {
  if (kind !== 'file' || !isPicture(path)) return false;
  const split = splitOf(path)?.split;
  if (splits === undefined || split === undefined) return true;
  return split === 'train' ? splits.includes('train') : splits.some((wanted) => wanted !== 'train');
}

/**
 * @param source  for messages
 * @param total   number of pictures wanted, where it is known beforehand
 * @param store   where the pictures go; default: memory
 * @throws {UserError} see `openDataset`
 */
export async function readPictures(
  source: string,
  { members, classes: order }: Source,
  options: OpenOptions,
  total?: number,
  store: PictureSink = new PictureStore(options, total),
): Promise<Dataset> {
  const paths: string[] = []; // of every picture, decoded or not: they decide about layout and classes
  const folders: string[] = [];
  const leftOut = new Map<string, number>();
  for await (const member of members) {
    if (member.kind === 'folder') folders.push(member.path);
    else if (member.kind === 'file' && isPicture(member.path)) paths.push(member.path);
    else if (!ANNOTATION.test(member.path)) countLeftOut(leftOut, member);
    if (!isWanted(member, options)) continue;
    if (options.stream === 'always' && member.later === undefined) throw readOnce(source);
    await store.add(member);
    options.onProgress?.(store.names.length, total);
  }
  await store.settle();
  const notes = leftOut.size === 0 ? [] : [`left out, being no pictures: ${describeLeftOut(leftOut)}`];
  if (paths.length === 0) {
    throw new UserError(
      `${source}: no pictures found (.jpg, .jpeg, .png, .webp, .gif)${notes.map((note) => `; ${note}`).join('')}`,
    );
  }
  const layout = findLayout(source, paths);
  const classes = listClasses(source, layout, paths, folders, order);
  const unseen = order?.filter((name) => !classes.includes(name)) ?? [];
  if (unseen.length > 0) notes.push(`classes without a picture, left out: ${nameSome(unseen)}`);
  checkUnreadable(source, store);
  const stray = paths.filter((path) => layout.placeOf(path) === undefined);
  if (stray.length > 0) notes.push(`outside train/, val/ and test/ and left out: ${stray.length}, such as ${stray[0]}`);
  const skipped = store.skipped.toSorted(byName);
  const splits = makeSplits(store, layout, classes);
  if (splits.train !== undefined && !paths.some((path) => isHeldOut(layout, path))) {
    notes.push(
      'no val/ or test/ folder: the pictures trained on also serve as val and test, so errors are training errors',
    );
    splits.val = splits.train;
    splits.test = splits.train;
  }
  const { streamed } = store;
  const statistics = splits.train && streamed?.statistics();
  return {
    source,
    imagePx: options.imagePx,
    ...classLabels(classes),
    splits,
    skipped,
    notes,
    streamed: streamed?.why,
    ...statistics,
  };
}

function readOnce(source: string): UserError {
  return new UserError(
    `${source}: compressed, so its pictures cannot be decoded anew at every use (--stream); unpack it, or decode it once with "alexnet prepare"`,
  );
}

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);

function isHeldOut(layout: Layout, path: string): boolean {
  const split = layout.placeOf(path)?.split;
  return split === 'val' || split === 'test';
}

function countLeftOut(counts: Map<string, number>, { path, kind }: Member): void {
  const ending = kind === 'file' ? extname(path).toLowerCase() || 'without ending' : 'links';
  counts.set(ending, (counts.get(ending) ?? 0) + 1);
}

function describeLeftOut(counts: Map<string, number>): string {
  return [...counts].map(([ending, count]) => `${count} ${ending}`).join(', ');
}

function checkUnreadable(source: string, store: PictureSink): void {
  const { skipped, names } = store;
  if (skipped.length <= MAX_UNREADABLE * names.length) return;
  const first = skipped.toSorted(byName).slice(0, 3);
  throw new UserError(
    `${source}: ${skipped.length} of ${names.length} pictures are unreadable, at most 1 % may be: ` +
      `${first.map(({ name, reason }) => `${name} (${reason})`).join('; ')}${skipped.length > 3 ? '; …' : ''}. Remove or mend them`,
  );
}

/** The splits in the order of paths, `val` and `test` standing in for one another. */
function makeSplits(store: PictureSink, layout: Layout, classes: string[]): Record<string, Split> {
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
  if (splits.val === undefined && splits.test !== undefined) splits.val = splits.test;
  if (splits.test === undefined && splits.val !== undefined) splits.test = splits.val;
  return splits;
}

function streamedSplit(split: Split, streamed: Streamed): Split {
  return {
    ...split,
    pixels: (index) => {
      throw new Error(`${split.name(index)} is streamed and was not loaded`);
    },
    load: async (indices) => {
      const slots = Array.from(indices, (index) => split.places![index]);
      return loadedPart(split, indices, await streamed.load(slots));
    },
  };
}
