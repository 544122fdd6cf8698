/**
 * The shards of a WebDataset and their splits: those of a folder, or those that a pattern of URLs names. See
 * `webdataset.ts`.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expand } from 'brace-expansion';
import { UserError } from '../../../base/errors.js';
import { isHidden } from '../../../base/image-names.js';
import { byCodePoint } from '../layout/image-classes.js';
import { splitName } from '../layout/split-names.js';
import { fileIn, folderOf, isUrl } from '../remote/url.js';

export interface Shard {
  /** Path or URL. */
  file: string;
  /** Its name without `.tar`. */
  name: string;
  split: string;
}

/**
 * @param place  a folder that holds shards, or folders `train`, `val`, `test` of them; or URLs with braces, `::`
 *   between them:
 *               https://host/pets/train-{000..146}.tar::https://host/pets/val-0.tar
 * @throws {UserError} when there are none
 */
export async function listShards(place: string): Promise<Shard[]> {
  if (isUrl(place)) return place.split('::').flatMap((pattern) => expand(pattern).map(shardAt));
  const shards = (await tarsIn(place)).map((name): Shard => ({ ...shardIn(place, name), split: splitInName(name) }));
  for (const [split, folder] of await splitFolders(place)) {
    const inside = join(place, folder);
    const tars = await tarsIn(inside);
    if (tars.length === 0) throw new UserError(`${inside}: no .tar shards here; add some or remove it`);
    shards.push(...tars.map((name) => ({ ...shardIn(inside, name), split })));
  }
  if (shards.length > 0) return shards;
  throw new UserError(`${place}: no .tar shards here, nor folders train/, val/ or test/ of them`);
}

const shardIn = (folder: string, file: string) => ({ file: join(folder, file), name: basename(file, '.tar') });

async function tarsIn(folder: string): Promise<string[]> {
  const files = await entriesOf(folder);
  const tars = files.filter((name) => name.endsWith('.tar') && !isHidden(name));
  return tars.sort(byCodePoint);
}

async function entriesOf(folder: string): Promise<string[]> {
  return readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    throw new UserError(`${folder}: cannot be read (${cause.code}); webdataset:DIR takes a folder of .tar shards`, {
      cause,
    });
  });
}

/** Folders named as splits, by split. */
async function splitFolders(place: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const name of (await entriesOf(place)).sort(byCodePoint)) {
    const split = splitName(name)?.split;
    if (split === undefined || !(await stat(join(place, name))).isDirectory()) continue;
    const other = found.get(split);
    if (other !== undefined)
      throw new UserError(
        `${place}: ${other}/ and ${name}/ name the same split, ${split}; expected one folder per split: merge them, or remove one`,
      );
    found.set(split, name);
  }
  return found;
}

/** Where the names of classes may be. */
export function classesPlaces(place: string, [first]: Shard[]): string[] {
  if (!isUrl(place)) return [join(place, 'classes.txt')];
  const folder = folderOf(first.file);
  const folders = splitName(basename(new URL(folder).pathname)) ? [folder, folderOf(folder)] : [folder];
  return folders.map((folder) => fileIn(folder, 'classes.txt'));
}

function shardAt(url: string): Shard {
  const pathname = isUrl(url) && URL.canParse(url) ? decodeURI(new URL(url).pathname) : '';
  if (!pathname.endsWith('.tar'))
    throw new UserError(`webdataset: expected URLs of .tar shards with "::" between them, got "${url}"`);
  const name = basename(pathname, '.tar');
  return { file: url, name, split: splitName(name)?.split ?? splitInName(pathname.split('/').at(-2)!) };
}

const splitInName = (name: string): string => splitName(name)?.split ?? 'train';
