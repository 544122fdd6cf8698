/**
 * Which split and class a picture belongs to, told by its path inside the source. Three layouts are known, each with or without one
 * folder wrapped around it:
 *   train/<class>/…, val/<class>/… or test/<class>/…   (`valid` and `validation` count as `val`)
 *   <class>/…                                          no splits
 *   nXXXXXXXX_label.JPEG                               no splits, the class in the file's name
 * Folders below the class folder do not matter.
 */
import { UserError } from '../../model/errors.js';

/** Names of split folders and the splits they hold. */
export const SPLITS = new Map([
  ['train', 'train'],
  ['val', 'val'],
  ['valid', 'val'],
  ['validation', 'val'],
  ['test', 'test'],
]);
const NOT_DATA = new Set(['__MACOSX', 'Thumbs.db', 'desktop.ini']);
const PICTURE = /\.(jpe?g|png|webp|gif)$/i;
const SYNSET_FILE = /(?:^|\/)(n\d{8}(?:_.+)?)\.[^.]+$/;

/** A file or folder name that belongs to an operating system or editor and not to the data. */
export const isHidden = (name: string): boolean => name.startsWith('.') || NOT_DATA.has(name);

/** Whether a file's name ends as a picture's: .jpg, .jpeg, .png, .webp, .gif (first frame), in any case. */
export const isPicture = (path: string): boolean => PICTURE.test(path);

/** Where a picture belongs; `split` is absent where the source has no splits. */
export interface Place {
  split?: string;
  className: string;
}

/** The split a path lies in, if a class folder follows: `any/train/cat/1.jpg` does, `train/1.jpg` does not. */
export function splitOf(path: string): (Place & { wrapper: string }) | undefined {
  const parts = path.split('/');
  const depth = [0, 1].find((at) => SPLITS.has(parts[at]) && parts.length > at + 2);
  if (depth === undefined) return undefined;
  return { split: SPLITS.get(parts[depth])!, className: parts[depth + 1], wrapper: depth === 0 ? '' : parts[0] };
}

/** The layout of a source: every path's place, undefined for a stray one outside the splits. */
export interface Layout {
  placeOf(path: string): Place | undefined;
}

/**
 * @param source  for messages
 * @param paths   all its pictures
 * @throws {UserError} when two folders hold splits, when split folders hold pictures but no class folders, or when a
 *                     picture has no class
 */
export function findLayout(source: string, paths: string[]): Layout {
  const wrappers = [...new Set(paths.flatMap((path) => splitOf(path)?.wrapper ?? []))];
  if (wrappers.length > 1) {
    const places = wrappers.map((wrapper) => (wrapper === '' ? 'the top' : `${wrapper}/`)).join(' and ');
    throw new UserError(
      `${source}: expected one set of train/, val/, test/ folders, found them in ${places}; name one of them`,
    );
  }
  if (wrappers.length === 0) return findFlatLayout(source, paths);
  return {
    placeOf: (path) => {
      const place = splitOf(path);
      return place?.wrapper === wrappers[0] ? place : undefined;
    },
  };
}

function findFlatLayout(source: string, paths: string[]): Layout {
  const classIn = (path: string): string | undefined =>
    path.includes('/') ? path.slice(0, path.indexOf('/')) : SYNSET_FILE.exec(path)?.[1].replace(/_\d+$/, '');
  const unwrap = (path: string) => path.slice(path.indexOf('/') + 1);
  const top = new Set(paths.map((path) => path.split('/')[0]));
  const wrapped = top.size === 1 && paths.every((path) => path.includes('/') && classIn(unwrap(path)) !== undefined);
  const className = (path: string) => classIn(wrapped ? unwrap(path) : path);

  const stray = paths.find((path) => className(path) === undefined);
  if (stray !== undefined)
    throw new UserError(`${source}: ${stray} lies in no class folder; expected <class>/${stray}`);
  if (paths.every((path) => SPLITS.has(className(path)!))) {
    const [first] = paths;
    throw new UserError(`${source}: ${first} lies in no class folder; expected ${className(first)}/<class>/<picture>`);
  }
  return {
    placeOf: (path) => {
      const name = className(path);
      return name === undefined ? undefined : { className: name };
    },
  };
}
