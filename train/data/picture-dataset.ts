/**
 * Makes a data set of the members of a folder or archive: decodes the pictures wanted, finds layout and classes.
 */
import { extname } from 'node:path';
import { UserError } from '../../model/errors.js';
import type { Dataset, Member, OpenOptions, PictureSink, Source } from './dataset.js';
import { classLabels, classNotes, listClasses } from './picture-classes.js';
import { findLayout, isPicture, type Layout, splitOf } from './picture-places.js';
import { makeSplits } from './picture-splits.js';
import { PictureStore } from './picture-store.js';

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
  const { paths, folders, notes } = await readInto(store, source, members, options, total);
  const layout = findLayout(source, paths);
  const classes = listClasses(source, layout, paths, folders, order);
  notes.push(...classNotes(classes, order));
  checkUnreadable(source, store);
  const stray = paths.filter((path) => layout.placeOf(path) === undefined);
  if (stray.length > 0) notes.push(`outside train/, val/ and test/ and left out: ${stray.length}, such as ${stray[0]}`);
  const splits = makeSplits(source, store, layout, classes);
  if (splits.train !== undefined && !paths.some((path) => isHeldOut(layout, path))) {
    notes.push(
      'no val/ or test/ folder: the pictures trained on also serve as val and test, so errors are training errors',
    );
    splits.val = splits.train;
    splits.test = splits.train;
  }
  const { streamed } = store;
  return {
    source,
    imagePx: options.imagePx,
    ...classLabels(classes),
    splits,
    skipped: store.skipped.toSorted(byName),
    notes,
    streamed: streamed?.why,
    ...(splits.train && streamed?.statistics()),
  };
}

/** What a source holds. */
interface Contents {
  /** Of every picture, decoded or not: they decide about layout and classes. */
  paths: string[];
  folders: string[];
  notes: string[];
}

/** Puts the pictures wanted into the store. */
async function readInto(
  store: PictureSink,
  source: string,
  members: Source['members'],
  options: OpenOptions,
  total?: number,
): Promise<Contents> {
  const [paths, folders]: string[][] = [[], []];
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
  if (paths.length > 0) return { paths, folders, notes };
  throw new UserError(
    `${source}: no pictures found (.jpg, .jpeg, .png, .webp, .gif)${notes.map((note) => `; ${note}`).join('')}`,
  );
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
