/**
 * Everything below a folder, in no particular order. Links are followed (data sets are often assembled of links), a link back
 * to a folder above is not.
 */
import type { Dirent } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Member } from './dataset.js';
import { isHidden } from './picture-places.js';

/**
 * @param folder  the data set's own folder; it is not itself a member
 * @throws        Node's own error where a folder cannot be listed
 */
export async function* folderMembers(folder: string): AsyncGenerator<Member> {
  yield* walk(folder, '', []);
}

async function* walk(folder: string, prefix: string, above: string[]): AsyncGenerator<Member> {
  const real = await realpath(folder);
  if (above.includes(real)) return;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (isHidden(entry.name)) continue;
    const file = join(folder, entry.name);
    const path = prefix + entry.name;
    const kind = await kindOf(entry, file);
    yield { path, kind, read: () => readFile(file), later: async () => ({ file }) };
    if (kind === 'folder') yield* walk(file, `${path}/`, [...above, real]);
  }
}

async function kindOf(entry: Dirent, file: string): Promise<Member['kind']> {
  // A dangling link stays a link: `other`, which the reader of the data set counts as left out.
  const target = entry.isSymbolicLink() ? await stat(file).catch(() => entry) : entry;
  if (target.isDirectory()) return 'folder';
  return target.isFile() ? 'file' : 'other';
}
