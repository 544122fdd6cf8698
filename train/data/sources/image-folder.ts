/**
 * Everything below a folder, in no particular order. Links are followed (data sets are often assembled of links), a
 * link back to a folder above is not. Folders that may not be read, or belong to other programs, are skipped.
 */
import type { Dirent } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../../base/errors.js';
import { isHidden } from '../../../base/image-names.js';
import type { Member } from '../dataset.js';

/** A folder under way. */
interface Opened {
  folder: string;
  /** Path inside the data set of what is in it, up to the name. */
  prefix: string;
  entries: Dirent[];
  /** Real paths of the folders that it lies in. */
  above: string[];
}

/**
 * @param folder  the data set's own folder; it is not itself a member
 * @throws {UserError} when it cannot be listed, or one inside for another reason than its permissions
 */
export async function* folderMembers(folder: string): AsyncGenerator<Member> {
  const entries = await entriesOf(folder);
  if (typeof entries === 'string') throw new UserError(`${folder}: ${entries}`);
  yield* walk({ folder, prefix: '', entries, above: [] });
}

async function* walk({ folder, prefix, entries, above }: Opened): AsyncGenerator<Member> {
  const real = await realpath(folder);
  if (above.includes(real)) return;
  for (const entry of entries) {
    const file = join(folder, entry.name);
    const path = prefix + entry.name;
    const kind = await kindOf(entry, file);
    const inside = kind !== 'folder' ? undefined : isHidden(entry.name) ? 'no data' : await entriesOf(file);
    if (typeof inside === 'string') yield { ...memberAt(file, path), kind: 'skipped', reason: inside };
    else if (!isHidden(entry.name)) yield { ...memberAt(file, path), kind };
    if (typeof inside !== 'object') continue;
    yield* walk({ folder: file, prefix: `${path}/`, entries: inside, above: [...above, real] });
  }
}

const memberAt = (file: string, path: string) => ({ path, read: () => readFile(file), later: async () => ({ file }) });

/** @returns why it may not be read, if that is so */
async function entriesOf(folder: string): Promise<Dirent[] | string> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') return `cannot be read: ${code}`;
    throw new UserError(`${folder}: cannot be read: ${message}`, { cause });
  }
}

async function kindOf(entry: Dirent, file: string): Promise<Member['kind']> {
  // A dangling link stays a link: `other`, which the reader of the data set counts as left out.
  const target = entry.isSymbolicLink() ? await stat(file).catch(() => entry) : entry;
  if (target.isDirectory()) return 'folder';
  return target.isFile() ? 'file' : 'other';
}
