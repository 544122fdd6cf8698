/** The shards of a WebDataset and their splits: those of a folder, or those that a pattern of URLs names. See `webdataset.ts`. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expand } from 'brace-expansion';
import { UserError } from '../../model/errors.js';
import { byCodePoint } from './picture-classes.js';
import { isHidden, SPLITS } from './picture-places.js';
import { fileIn, folderOf, isUrl } from './remote/url.js';

export interface Shard {
  /** Path or URL. */
  file: string;
  /** Its name without `.tar`. */
  name: string;
  split: string;
}

/**
 * @param place  a folder that holds shards, or folders `train`, `val`, `test` of them; or URLs with braces, `::` between them:
 *               https://host/pets/train-{000..146}.tar::https://host/pets/val-0.tar
 * @throws {UserError} when there are none
 */
export async function listShards(place: string): Promise<Shard[]> {
  if (isUrl(place)) return place.split('::').flatMap((pattern) => expand(pattern).map(shardAt));
  const shards: Shard[] = [];
  for (const folder of ['', ...SPLITS.keys()]) {
    const inside = join(place, folder);
    if (folder !== '' && !existsSync(inside)) continue;
    const files = await readdir(inside).catch((cause: NodeJS.ErrnoException) => {
      throw new UserError(`${inside}: cannot be read (${cause.code}); webdataset:DIR takes a folder of .tar shards`, {
        cause,
      });
    });
    const tars = files.filter((name) => name.endsWith('.tar') && !isHidden(name)).sort(byCodePoint);
    if (folder !== '' && tars.length === 0)
      throw new UserError(`${inside}: no .tar shards here; add some or remove it`);
    for (const file of tars) {
      const name = basename(file, '.tar');
      shards.push({ file: join(inside, file), name, split: SPLITS.get(folder) ?? splitInName(name) });
    }
  }
  if (shards.length > 0) return shards;
  throw new UserError(`${place}: no .tar shards here, nor folders train/, val/ or test/ of them`);
}

/** Where the names of classes may be. */
export function classesPlaces(place: string, [first]: Shard[]): string[] {
  if (!isUrl(place)) return [join(place, 'classes.txt')];
  const folder = folderOf(first.file);
  const folders = SPLITS.has(basename(new URL(folder).pathname)) ? [folder, folderOf(folder)] : [folder];
  return folders.map((beside) => fileIn(beside, 'classes.txt'));
}

function shardAt(url: string): Shard {
  const pathname = isUrl(url) && URL.canParse(url) ? decodeURI(new URL(url).pathname) : '';
  if (!pathname.endsWith('.tar'))
    throw new UserError(`webdataset: expected URLs of .tar shards with "::" between them, got "${url}"`);
  const name = basename(pathname, '.tar');
  return { file: url, name, split: SPLITS.get(pathname.split('/').at(-2)!) ?? splitInName(name) };
}

function splitInName(name: string): string {
  const words = name.toLowerCase().match(/[a-z]+/g) ?? [];
  return SPLITS.get(words.find((word) => SPLITS.has(word)) ?? 'train')!;
}
