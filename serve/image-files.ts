/** The images that a command is given: files as they are named, folders with all that is in them. */
import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isHidden, isImage } from '../base/image-names.js';

/** A file to read, or a folder that could not be. */
export interface ImagePath {
  path: string;
  error?: Error;
}

/** In the order given; of a folder by name, those in folders in it included, links followed once. */
export async function imageFiles(given: readonly string[]): Promise<ImagePath[]> {
  const found: ImagePath[] = [];
  for (const path of given) {
    if (path !== '-' && (await isFolder(path))) await collect(path, found, new Set());
    else found.push({ path });
  }
  return found;
}

export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
}

/** @param above  real paths of the folders that it is in: a link back to one would not end */
async function collect(folder: string, found: ImagePath[], above: ReadonlySet<string>): Promise<void> {
  try {
    const real = await realpath(folder);
    if (above.has(real)) return;
    const entries = await readdir(folder, { withFileTypes: true });
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      if (isHidden(entry.name)) continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(path)))) {
        await collect(path, found, new Set([...above, real]));
      } else if (isImage(entry.name)) found.push({ path });
    }
  } catch (error) {
    found.push({ path: folder, error: error as Error });
  }
}
