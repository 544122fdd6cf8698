/**
 * Makes a data set of the members of a folder or archive: decodes the images wanted, finds layout and classes.
 */
import { UserError } from '../../../base/errors.js';
import { isImage } from '../../../base/image-names.js';
import { Contents } from '../archive/contents.js';
import type { Dataset, ImageSink, Member, OpenOptions, Source } from '../dataset.js';
import { findLayout, type Layout, SPLITS_FIRST } from '../layout/find-layout.js';
import { describeDivision, divideMembers, isHeldOut, TRAINED_ON, unusedRequest } from '../layout/hold-out.js';
import { classLabels, classNotes, listClasses } from '../layout/image-classes.js';
import { makeSplits } from '../layout/image-splits.js';
import { byName, checkBad } from './bad-images.js';
import { ImageStore } from './image-store.js';

const isImageFile = ({ path, kind }: Member): boolean => kind === 'file' && isImage(path);

/** The split that a member is to be decoded for; undefined if it is not an image of one that was asked for. */
function wantedFor(member: Member, layout: Layout, { splits }: OpenOptions): string | undefined {
  const place = isImageFile(member) ? layout.placeOf(member.path) : undefined;
  if (place === undefined) return undefined;
  if (splits === undefined || place.split === undefined) return place.split ?? 'train';
  const isWanted = place.split === 'train' ? splits.includes('train') : splits.some((wanted) => wanted !== 'train');
  return isWanted ? place.split : undefined;
}

/**
 * Of a source whose members are known before any is decoded: what is wrong with them is found first.
 * @param listed   all of them
 * @param members  the same, to be read; default: those listed
 * @throws {UserError} see `openDataset`
 */
export async function readListed(
  source: string,
  { listed, members = listed }: { listed: Member[]; members?: Source['members'] },
  options: OpenOptions,
  store?: ImageSink,
): Promise<Dataset> {
  const { found, paths } = checkListed(source, listed);
  const { layout, division } = paths.some((path) => isHeldOut(found, path))
    ? { layout: found }
    : await divideMembers(found, options.holdOut?.fraction === 0 ? listed : members, isImageFile, options.holdOut);
  const total = listed.filter((member) => wantedFor(member, layout, options) !== undefined).length;
  const isStreamable = members === listed;
  return readImages(
    source,
    { members, layout, division },
    options,
    store ?? new ImageStore(options, isStreamable ? total : 0),
    total,
  );
}

/**
 * What the names of all files tell.
 * @throws {UserError} if there are no images, or no splits and classes as `findLayout` and `listClasses` want them
 */
export function checkListed(source: string, listed: readonly Member[]): { found: Layout; paths: string[] } {
  const contents = new Contents();
  for (const member of listed) contents.add(member);
  contents.check(source);
  const found = findLayout(source, contents.paths);
  contents.explain(() => listClasses(source, found, contents.paths, contents.folders));
  return { found, paths: contents.paths };
}

/**
 * @param source  for messages
 * @param store   where the images go; default: memory
 * @param total   number of images wanted, if it is known beforehand
 * @throws {UserError} see `openDataset`
 */
export async function readImages(
  source: string,
  { members, layout = SPLITS_FIRST, classes: order, division }: Source,
  options: OpenOptions,
  store: ImageSink = new ImageStore(options),
  total?: number,
): Promise<Dataset> {
  const contents = new Contents();
  for await (const member of members) {
    contents.add(member);
    const split = wantedFor(member, layout, options);
    if (split === undefined) continue;
    if (options.stream === 'always' && member.later === undefined) throw readOnce(source);
    await store.add({ ...member, split });
    options.onProgress?.(store.names.length, total);
  }
  await store.settle();
  contents.check(source);
  const { paths, folders } = contents;
  const classes = contents.explain(() => listClasses(source, layout, paths, folders, order));
  const notes = [...contents.notes, ...layout.notes, ...classNotes(classes, order), ...(division?.notes ?? [])];
  checkBad(source, store.skipped, paths.length, options.maxBad);
  const stray = paths.filter((path) => layout.placeOf(path) === undefined);
  if (stray.length > 0) notes.push(`outside train/, val/ and test/ and left out: ${stray.length}, such as ${stray[0]}`);
  const { splits, notes: ofSplits } = makeSplits(source, store, layout, classes);
  notes.push(...ofSplits);
  if (splits.train !== undefined && !paths.some((path) => isHeldOut(layout, path))) {
    notes.push(TRAINED_ON);
    splits.val = splits.train;
    splits.test = splits.train;
  }
  const isDivided = division !== undefined && division.images > 0;
  const unused = isDivided ? undefined : unusedRequest(options.holdOut);
  if (unused !== undefined) notes.push(unused);
  const { streamed } = store;
  return {
    source,
    imagePx: options.imagePx,
    ...classLabels(classes),
    splits,
    splitNames: [
      ...new Set([...paths.flatMap((path) => layout.placeOf(path)?.split ?? []), ...Object.keys(splits)]),
    ].sort(),
    skipped: store.skipped.toSorted(byName),
    notes,
    ...(isDivided && { holdOut: division.holdOut, divided: describeDivision(source, division) }),
    streamed: streamed?.why,
    ...(splits.train && streamed?.statistics()),
  };
}

function readOnce(source: string): UserError {
  return new UserError(
    `${source}: compressed, so its images cannot be decoded at every use (--stream); unpack it, or decode it once with "alexnet prepare"`,
  );
}
