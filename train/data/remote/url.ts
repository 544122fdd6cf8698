/** Places of files that are URLs. A query, as a shared signature is, belongs to every file of a folder. */
import { join } from 'node:path';

export const isUrl = (place: string): boolean => /^https?:\/\//i.test(place);

/** @param folder  path or URL */
export function fileIn(folder: string, name: string): string {
  return isUrl(folder) ? movedTo(folder, (path) => `${path.replace(/\/*$/, '/')}${name}`) : join(folder, name);
}

/** The folder that a URL lies in. */
export const folderOf = (url: string): string => movedTo(url, (path) => path.replace(/\/[^/]*\/*$/, '/'));

function movedTo(url: string, path: (pathname: string) => string): string {
  const moved = new URL(url);
  moved.pathname = path(moved.pathname);
  return moved.href;
}
