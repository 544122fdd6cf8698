/**
 * Finds out from the paths of a source's images which split and class each belongs to. Folders that hold nothing but
 * one other folder are looked through, so these may lie at any depth:
 *   Train/<class>/…, Test/<class>/…   folders named as splits (`split-names.ts`) that hold class folders
 *   <class>/…                         no splits
 *   nXXXXXXXX_label.JPEG              no splits, the class in the file's name
 * Folders below the class folder do not matter. A folder named as a split that holds images directly, next to class
 * folders, is a class: the vehicle. What could be read either way is refused.
 */
import { UserError } from '../../../base/errors.js';
import { nameSome } from '../../../base/name-some.js';
import { classInName, type Folder, foldersIn, folderTree, onlyFolder } from '../archive/folder-tree.js';
import type { SplitAndClass } from './image-places.js';
import { type SplitName, splitName } from './split-names.js';

/** The layout of a source: every path's place, undefined for a stray one. */
export interface Layout {
  placeOf(path: string): SplitAndClass | undefined;
  /** Folder of a split; default: its name. */
  folderOf?(split: string): string;
  /** What a person may not expect, one sentence each. */
  readonly notes: string[];
}

/** `train/<class>/…`, as the data sets name their images that are not files in folders. */
export const SPLITS_FIRST: Layout = {
  placeOf: (path) => {
    const [split, className, ...rest] = path.split('/');
    return rest.length > 0 ? { split, className } : undefined;
  },
  notes: [],
};

/**
 * @param source  for messages
 * @param paths   all its images
 * @throws {UserError} when splits cannot be told from classes, or from one another, or an image has no class
 */
export function findLayout(source: string, paths: string[]): Layout {
  const top = folderTree(paths);
  const [parent, ...others] = splitParents(top);
  if (others.length > 0) {
    const places = [parent, ...others].map(({ path }) => (path === '' ? 'the top' : `${path}/`)).join(' and ');
    throw new UserError(
      `${source}: expected one set of train/, val/, test/ folders, found them in ${places}; name one of them`,
    );
  }
  return parent ? splitLayout(source, top, parent) : flatLayout(source, top);
}

/** A folder named as a split. */
interface Named extends SplitName {
  folder: Folder;
}

const namedAsSplits = (folder: Folder): Named[] =>
  foldersIn(folder).flatMap((inside) => {
    const name = splitName(inside.name);
    return name ? [{ ...name, folder: inside }] : [];
  });

/** Folders named as splits that hold folders. */
const splitsIn = (folder: Folder): Named[] => namedAsSplits(folder).filter((named) => named.folder.folders.size > 0);

const distinct = (named: SplitName[]): Set<string> => new Set(named.map(({ split }) => split));

/**
 * The folders that hold splits.
 * @param outermost  whether all images lie in this one; else `toy_train` is rather a class
 */
function splitParents(folder: Folder, outermost = true): Folder[] {
  const splits = splitsIn(folder);
  const only = onlyFolder(folder);
  const inner = only ? splitsIn(only) : [];
  // `data_train/{train,val}/…`: a name of the whole, and not of a split.
  const isName = inner.some(({ split }) => split !== splits[0]?.split);
  const areSplits =
    distinct(splits).size > 1 ||
    splits.some(({ rest }) => rest === '') ||
    (outermost && splits.length > 0 && folder.folders.size > 1);
  if (areSplits && !isName) return [folder];
  return foldersIn(folder).flatMap((inside) => splitParents(inside, outermost && only !== undefined));
}

function splitLayout(source: string, top: Folder, parent: Folder): Layout {
  const splits = splitsIn(parent);
  checkOneEach(source, splits);
  const roots = new Map(splits.map(({ folder, split }) => [folder.path, { split, root: lookThrough(folder) }]));
  const classes = [...roots.values()].flatMap(({ root }) => foldersIn(root));
  checkCompany(source, splits, othersThan(parent, top), classes);
  for (const { root } of roots.values()) checkClasses(source, root);
  const isPlain = splits.every(({ folder }) => PLAIN.has(folder.name) && roots.get(folder.path)!.root === folder);
  const found = [...roots.values()].map(({ split, root }) => `${root.path}/ as ${split}`);
  const start = parent.path === '' ? '' : `${parent.path}/`;
  return {
    placeOf: (path) => {
      const end = path.indexOf('/', start.length);
      if (end < 0 || !path.startsWith(start)) return undefined;
      const known = roots.get(path.slice(0, end));
      const split = known?.split ?? plainSplit(path.slice(start.length, end));
      const base = known ? known.root.path : path.slice(0, end);
      if (split === undefined || !path.startsWith(`${base}/`)) return undefined;
      const inClass = path.indexOf('/', base.length + 1);
      return inClass < 0 ? undefined : { split, className: path.slice(base.length + 1, inClass) };
    },
    folderOf: (split) => [...roots.values()].find((known) => known.split === split)?.root.path ?? split,
    notes: isPlain && !parent.path.includes('/') ? [] : [`splits by the names of folders: ${found.join(', ')}`],
  };
}

/** Names that need no mention. */
const PLAIN = new Set(['train', 'val', 'valid', 'validation', 'test']);

/** Of a folder that no image told about. */
function plainSplit(name: string): string | undefined {
  const named = splitName(name);
  return named?.rest === '' ? named.split : undefined;
}

/** `train/train/<class>/…`: the folder that holds the class folders. */
function lookThrough(folder: Folder): Folder {
  const only = onlyFolder(folder);
  return only && only.folders.size > 0 && only.image === undefined ? lookThrough(only) : folder;
}

/** Folders outside the splits: of classes, as it looks. One named as a split whose images have no classes is none. */
function othersThan(parent: Folder, from: Folder): Folder[] {
  if (from === parent) return foldersIn(from).filter((inside) => splitName(inside.name) === undefined);
  return foldersIn(from).flatMap((inside) =>
    inside === parent || parent.path.startsWith(`${inside.path}/`) ? othersThan(parent, inside) : [inside],
  );
}

/** @throws {UserError} when two folders are one split */
function checkOneEach(source: string, splits: Named[]): void {
  for (const split of distinct(splits)) {
    const same = splits.filter((named) => named.split === split).map(({ folder }) => `${folder.path}/`);
    if (same.length === 1) continue;
    throw new UserError(
      `${source}: ${listed(same)} name the same split, ${split}; expected one folder per split: merge them, or remove one`,
    );
  }
}

/** @throws {UserError} when splits and classes are side by side */
function checkCompany(source: string, splits: Named[], others: Folder[], classes: Folder[]): void {
  const names = new Set(classes.map(({ name }) => name));
  const mixed = distinct(splits).size > 1 ? others.filter(({ name }) => names.has(name)) : others;
  if (mixed.length === 0) return;
  const [found, unsplit] = [splits.map(({ folder }) => folder), mixed].map((folders) =>
    listed(folders.map(({ path }) => `${path}/`)),
  );
  const inside = nameSome(foldersIn(splits[0].folder).map(({ name }) => `${name}/`));
  throw new UserError(
    `${source}: found ${found}, named as a split is and with folders inside (${inside}), next to ${unsplit}; expected splits, ` +
      `train/<class>/…, or classes, <class>/…, not both: put ${unsplit} into the split or elsewhere, or, if ${found} is a class, ` +
      'its images directly into it',
  );
}

/**
 * Class folders that are named as splits.
 * @returns what to tell people of them
 * @throws {UserError} when they must be splits whose images have no classes
 */
function checkClasses(source: string, root: Folder): string[] {
  const named = namedAsSplits(root);
  if (named.length === 0) return [];
  const isAlone = named.length === root.folders.size;
  const plain = named.filter(({ rest }) => rest === '');
  const areSplits =
    (isAlone && (plain.length > 0 || distinct(named).size > 1)) ||
    named.some(({ rest, split }, i) =>
      named.some((other, j) => j < i && other.rest === rest && (rest === '' || other.split !== split)),
    );
  const names = listed(named.map(({ folder }) => `${folder.path}/`));
  if (areSplits) {
    const first = named[0].folder;
    throw new UserError(
      `${source}: named as splits, but without class folders: ${names}; ${first.image ?? first.path} lies in no class folder; ` +
        `expected ${first.path}/<class>/<image>`,
    );
  }
  if (named.length === 1 && plain.length === 0) return [];
  return [`read as classes, not as splits, since images lie directly in them: ${names}`];
}

/** @throws {UserError} when folders hold the same folders and no images: splits, whatever their names */
function checkNotSplits(source: string, root: Folder): void {
  const insides = new Map<string, Folder[]>();
  for (const folder of foldersIn(root)) {
    if (folder.image !== undefined || folder.folders.size < 2) continue;
    const inside = nameSome([...folder.folders.keys()].sort().map((name) => `${name}/`));
    insides.set(inside, [...(insides.get(inside) ?? []), folder]);
  }
  const [inside, alike] = [...insides].find(([, folders]) => folders.length > 1) ?? [];
  if (!alike) return;
  const [first, second] = alike.map(({ path }) => `${path}/`);
  throw new UserError(
    `${source}: ${listed(alike.map(({ path }) => `${path}/`))} hold the same folders (${inside}) and no images, as splits do; ` +
      `rename them to train/, val/ or test/, e.g. ${first} to train/ and ${second} to val/, or, if they are classes, put their images ` +
      'directly into them',
  );
}

const listed = (names: string[]): string => (names.length > 3 ? nameSome(names) : names.join(' and '));

/** Of files named as ImageNet's, whose folder does not count: one folder of a class looks the same. */
function describeNamedClasses({ path }: Folder, image: string): string {
  const name = image.slice(path === '' ? 0 : path.length + 1);
  const folder = path === '' ? '' : `, not from the folder ${path}/`;
  return (
    `classes are read from file names, as in ImageNet${folder}: ${name} is of class ${classInName(name)}; ` +
    'if that is wrong, put the images into a folder for each class'
  );
}

function flatLayout(source: string, top: Folder): Layout {
  let root = top;
  for (let only = onlyFolder(root); only && only.unnamed === undefined; only = onlyFolder(root)) root = only;
  if (root.unnamed !== undefined) {
    const name = root.unnamed;
    throw new UserError(`${source}: ${name} lies in no class folder; expected <class>/${name}`);
  }
  const notes = checkClasses(source, root);
  checkNotSplits(source, root);
  if (root.image !== undefined) notes.push(describeNamedClasses(root, root.image));
  else if (root.path.includes('/')) notes.push(`the classes are the folders in ${root.path}/`);
  const start = root.path === '' ? 0 : root.path.length + 1;
  return {
    placeOf: (path) => {
      if (start > 0 && !path.startsWith(`${root.path}/`)) return undefined;
      const end = path.indexOf('/', start);
      const className = end < 0 ? classInName(path.slice(start)) : path.slice(start, end);
      return className === undefined ? undefined : { className };
    },
    notes,
  };
}
