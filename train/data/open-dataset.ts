/**
 * Opens what `--data` names: a folder of images, the same as .tar or .tar.gz, a pack that `alexnet prepare` made,
 * `cifar10:DIR`, `idx:DIR`, `ilsvrc2012:DIR`, `webdataset:DIR`, or `emoji`, the embedded data set (a folder of that
 * name is `./emoji`). Packs and WebDataset's shards may lie behind URLs. All forms of a data set give the same, image
 * by image.
 */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { UserError } from '../../base/errors.js';
import { openArchive } from './archive/archive.js';
import type { Dataset, ImageSink, Member, OpenOptions, Source } from './dataset.js';
import { openEmoji } from './emoji/emoji.js';
import { openPack } from './pack/pack.js';
import { isPack } from './pack/pack-format.js';
import { isUrl } from './remote/url.js';
import { cifarMembers, idxMembers } from './sources/binary-images.js';
import { ilsvrc2012Members } from './sources/ilsvrc2012.js';
import { folderMembers } from './sources/image-folder.js';
import { webdataset } from './sources/webdataset.js';
import { checkListed, readImages, readListed } from './stream/image-dataset.js';

export const DATA_HELP =
  'folder DIR/<class>/… or DIR/{train,val|test}/<class>/…, the same as .tar or .tar.gz, a folder that "alexnet prepare" made or its URL, cifar10:DIR, idx:DIR, ilsvrc2012:DIR, webdataset:DIR, webdataset:URL{000..146}.tar, or emoji';

const EMOJI = 'emoji';

/** Sources by the word in front of the colon. */
const BY_SCHEME: Record<string, (folder: string, options: OpenOptions) => Source> = {
  cifar10: (folder) => ({ members: cifarMembers(folder) }),
  idx: (folder) => ({ members: idxMembers(folder) }),
  ilsvrc2012: (folder, options) => ({ members: ilsvrc2012Members(folder, options) }),
  webdataset,
};

/** A source in its parts: the word in front of a colon, and the path or URL. */
function partsOf(source: string): { scheme?: string; place: string } {
  const [, scheme = '', place = ''] = /^([a-z0-9]+):(.*)$/.exec(source) ?? [];
  return scheme in BY_SCHEME ? { scheme, place } : { place: source };
}

/** The same source from any folder: paths made absolute. */
export function absoluteSource(source: string): string {
  const { scheme, place } = partsOf(source);
  if (source === EMOJI || isUrl(place)) return source;
  return scheme === undefined ? resolve(place) : `${scheme}:${resolve(place)}`;
}

/** Whether something lies where a source says; what is far away is taken to. */
export function isThere(source: string): boolean {
  const { place } = partsOf(source);
  return source === EMOJI || isUrl(place) || existsSync(place);
}

/**
 * @param source  as given to `--data`
 * @param store   where the images go; default: memory
 * @throws {UserError} when there is no such path, it is not a tar or a damaged one, or its content does not make a data
 *   set: no images, one class only, an empty class folder, a class that is not in `train`, too many images
 *   unreadable
 */
export async function openDataset(source: string, options: OpenOptions, store?: ImageSink): Promise<Dataset> {
  if (source === EMOJI) return openEmoji(options);
  const { scheme, place } = partsOf(source);
  if (scheme) return readImages(source, BY_SCHEME[scheme](place, options), options, store);
  if (isUrl(source)) return openPack(source, options);
  const found = await stat(source).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'no such file or folder' : cause.message;
    throw new UserError(
      `${source}: ${reason}; --data takes a folder, a .tar, a .tar.gz, cifar10:DIR, idx:DIR, ilsvrc2012:DIR, webdataset:DIR or the word emoji`,
      { cause },
    );
  });
  if (!found.isDirectory()) return readListed(source, await openArchive(source), options, store);
  if (isPack(source)) return openPack(source, options);

  return readListed(source, { listed: await listFolder(source) }, options, store);
}

async function listFolder(source: string): Promise<Member[]> {
  const listed: Member[] = [];
  for await (const member of folderMembers(source)) listed.push(member);
  // An order that a second try to prepare the set finds again.
  return listed.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * Of a folder of images, before anything slow: that there are images, and classes of them. Other sources are checked
 * when they are opened.
 * @throws {UserError} see `checkListed`
 */
export async function checkFolder(source: string): Promise<void> {
  const found = partsOf(source).scheme ? undefined : await stat(source).catch(() => undefined);
  if (found?.isDirectory() && !isPack(source)) checkListed(source, await listFolder(source));
}
