/**
 * The classes of a data set of folders: names in order, checks that training has them all, labels for people.
 */
import { UserError } from '../../../base/errors.js';
import { nameSome } from '../../../base/name-some.js';
import type { Layout } from './find-layout.js';

const SYNSET = /^(n\d{8})(?:_(.+))?$/;

/**
 * Class names sorted by code point (Python's order, so indices agree with PyTorch's ImageFolder), or in the order that
 * the source says.
 *
 * @param paths    all images
 * @param folders  all folders: those of classes must not be empty
 * @param order    all names that there may be
 * @throws {UserError} when a split or a class folder is empty, `train` lacks a class that another split has, there is one class only, or more
 *   than 65,535, or two classes
 *                     cannot be told apart
 */
export function listClasses(
  source: string,
  layout: Layout,
  paths: string[],
  folders: string[],
  order?: string[],
): string[] {
  const folderOf = layout.folderOf ?? ((split: string) => split);
  const bySplit = new Map<string, Set<string>>(); // '' if there are no splits
  for (const path of paths) {
    const place = layout.placeOf(path);
    if (place === undefined) continue;
    const split = place.split ?? '';
    if (!bySplit.has(split)) bySplit.set(split, new Set());
    bySplit.get(split)!.add(place.className);
  }
  checkNoneEmpty(source, layout, paths, folders, bySplit);
  const names = new Set([...bySplit.values()].flatMap((classes) => [...classes]));
  checkDistinct(source, [...names].sort(byCodePoint));
  const train = bySplit.get('train');
  if (train !== undefined) {
    const missing = [...names].filter((name) => !train.has(name)).sort(byCodePoint);
    const other = [...bySplit].find(([, others]) => others.has(missing[0]))?.[0];
    if (other !== undefined)
      throw new UserError(
        `${source}: expected the same classes in every split, but ${folderOf('train')}/ lacks ${nameSome(missing)}, which ${folderOf(other)}/ has`,
      );
  }
  if (names.size === 1)
    throw new UserError(`${source}: only one class, ${[...names][0]}/; a classifier needs at least two`);
  if (names.size > 65_535) throw new UserError(`${source}: ${names.size} classes; at most 65,535 are supported`);
  return order?.filter((name) => names.has(name)) ?? [...names].sort(byCodePoint);
}

/**
 * One text in two Unicode forms is two folders on Linux and one elsewhere; a synset is one class, whatever follows it.
 */
function checkDistinct(source: string, names: string[]): void {
  const [texts, synsets] = [new Map<string, string>(), new Map<string, string>()];
  for (const name of names) {
    const text = name.normalize('NFC');
    const synset = SYNSET.exec(name)?.[1];
    const [sameText, sameSynset] = [texts.get(text), synset && synsets.get(synset)];
    if (sameText)
      throw new UserError(
        `${source}: classes "${escaped(sameText)}" and "${escaped(name)}" are one text, ${text}, in two Unicode forms; give their folders one name`,
      );
    if (sameSynset)
      throw new UserError(`${source}: classes ${sameSynset} and ${name} have one synset; give their folders one name`);
    texts.set(text, name);
    if (synset) synsets.set(synset, name);
  }
}

/** Characters beyond ASCII by their code. */
const escaped = (name: string): string =>
  name.replace(/[^ -~]/gu, (letter) => `\\u{${letter.codePointAt(0)!.toString(16)}}`);

/**
 * What people should know of the classes.
 * @param order  all names that there may be
 */
export function classNotes(classes: string[], order: string[] = []): string[] {
  const notes: string[] = [];
  const unseen = order.filter((name) => !classes.includes(name));
  if (unseen.length > 0) notes.push(`classes without an image, left out: ${nameSome(unseen)}`);
  const known = new Map<string, string>();
  const alike = classes.flatMap((name) => {
    const other = known.get(name.toLowerCase());
    known.set(name.toLowerCase(), name);
    return other === undefined ? [] : [`${other} and ${name}`];
  });
  if (alike.length > 0) notes.push(`classes whose names differ in case only: ${nameSome(alike)}`);
  return notes;
}

function checkNoneEmpty(
  source: string,
  layout: Layout,
  paths: string[],
  folders: string[],
  bySplit: Map<string, Set<string>>,
): void {
  const bare = folders.find((folder) => {
    const split = layout.placeOf(`${folder}/class/x`)?.split;
    return split !== undefined && !bySplit.has(split) && !paths.some((path) => path.startsWith(`${folder}/`));
  });
  if (bare !== undefined) throw new UserError(`${source}: no images in ${bare}/; fill or remove it`);
  // A folder is placed as an image in it would be.
  const empty = folders.filter((folder) => {
    const place = layout.placeOf(`${folder}/x`);
    return place !== undefined && bySplit.get(place.split ?? '')?.has(place.className) !== true;
  });
  // Folders inside an empty class folder are empty as well: naming the outermost is enough.
  const outermost = empty.filter((folder) => !empty.some((other) => folder.startsWith(`${other}/`))).sort(byCodePoint);
  if (outermost.length > 0) {
    throw new UserError(`${source}: no images in class folder ${nameSome(outermost)}; fill or remove it`);
  }
}

/**
 * Labels and, if every class has one, synset ids: `n02123045_tabby_cat` reads `tabby cat`, a bare id stays as it is.
 * Labels differ: where the words of two classes are the same, as of ImageNet's two cranes, the id follows them, `crane
 * (n02012849)`.
 */
export function classLabels(classes: string[]): { labels: string[]; synsets?: string[] } {
  const matches = classes.map((name) => SYNSET.exec(name));
  if (matches.some((match) => match === null)) return { labels: classes };
  const synsets = matches.map((match) => match![1]);
  const words = matches.map((match) => match![2]?.replaceAll('_', ' ') ?? match![1]);
  const isAmbiguous = (label: string) => words.indexOf(label) !== words.lastIndexOf(label);
  return { labels: words.map((label, i) => (isAmbiguous(label) ? `${label} (${synsets[i]})` : label)), synsets };
}

/** UTF-8 keeps the order of code points; JavaScript's own comparison goes by UTF-16 units. */
export const byCodePoint = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
