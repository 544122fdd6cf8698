/**
 * Holds images out of training if a source has no val/ or test/ of its own. The side of an image depends on its
 * contents and a seed alone: images added later move none, and equal ones are on one side. A class of which that would
 * hold out no image, or every one, is the exception: it gets one image on the other side.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Encoded, Member } from '../dataset.js';
import { looksReadable } from '../decode.js';
import type { Layout } from './find-layout.js';
import type { Division, HoldOut, HoldOutRequest } from './image-places.js';

export const DEFAULT_HOLD_OUT: Required<HoldOutRequest> = { fraction: 0.2, seed: 0 };

/** For people, of a source where nothing is held out. */
export const TRAINED_ON =
  'no val or test images: the images trained on also serve as val and test, so errors are training errors';

export type Side = 'train' | 'val';

export function newDivision(request: HoldOutRequest | HoldOut = {}): Division {
  return {
    holdOut: { val: [], train: [], ...DEFAULT_HOLD_OUT, ...definedOf(request) },
    images: 0,
    heldOut: 0,
    notes: [],
  };
}

const definedOf = (request: HoldOutRequest): HoldOutRequest =>
  Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined));

/** @param hash  of an image's contents, see `contentHash` */
export function sideOf(hash: string, { fraction, seed, val, train }: HoldOut): Side {
  if (fraction === 0 || train.includes(hash)) return 'train';
  return val.includes(hash) || drawOf(hash, seed) < fraction ? 'val' : 'train';
}

/** From 0 up to 1, the same for ever. */
function drawOf(hash: string, seed: number): number {
  return createHash('sha256').update(`${seed} ${hash}`).digest().readUIntBE(0, 6) / 2 ** 48;
}

/** SHA-256 of an image as it was given. */
export async function contentHash(image: Encoded): Promise<string> {
  const bytes = Buffer.isBuffer(image) ? image : 'file' in image ? await readFile(image.file) : image.pixels;
  return createHash('sha256').update(bytes).digest('hex');
}

/** An image to be divided. */
export interface Hashed {
  /** For people, if it is known. */
  path?: string;
  className: string | number;
  /** Undefined if it cannot be read: it is on no side, and counts for no class. */
  hash?: string;
}

/** @returns the side of each image, and the division with the exceptions that its classes need */
export function divide(
  images: readonly Hashed[],
  request: HoldOutRequest | HoldOut | undefined,
): { sides: Side[]; division: Division } {
  const division = newDivision(request);
  const { holdOut } = division;
  const classes = hashesByClass(images);
  // A stored division knows its classes: another exception could hold out an image that was trained on.
  if (request === undefined || !('val' in request)) exceptForClasses(classes, holdOut);
  exceptForTraining(classes, holdOut);
  const sides = images.map(({ hash }) => (hash === undefined ? 'train' : sideOf(hash, holdOut)));
  division.images = images.length;
  division.heldOut = sides.filter((side) => side === 'val').length;
  division.notes = notesOnTwins(images);
  return { sides, division };
}

/** Twins in a note; others are counted. */
const NAMED_TWINS = 3;

/** Equal images in different classes: a network cannot learn both answers. */
function notesOnTwins(images: readonly Hashed[]): string[] {
  const first = new Map<string, Hashed>();
  const twins: string[] = [];
  for (const image of images) {
    const other = image.hash === undefined ? undefined : first.get(image.hash);
    if (other === undefined && image.hash !== undefined) first.set(image.hash, image);
    if (other?.path !== undefined && other.className !== image.className) twins.push(`${other.path} and ${image.path}`);
  }
  if (twins.length === 0) return [];
  const more = twins.length > NAMED_TWINS ? `, and ${twins.length - NAMED_TWINS} more` : '';
  return [`the same image in two classes: ${twins.slice(0, NAMED_TWINS).join('; ')}${more}; leave it in one of them`];
}

/** A class of two different images or more has one that is held out. */
function exceptForClasses(classes: readonly string[][], holdOut: HoldOut): void {
  if (holdOut.fraction === 0) return;
  for (const hashes of classes)
    if (hashes.length > 1 && hashes.every((hash) => sideOf(hash, holdOut) === 'train'))
      holdOut.val.push(byDraw(hashes, holdOut)[0]);
}

/** A class has one image to train on. */
function exceptForTraining(classes: readonly string[][], holdOut: HoldOut): void {
  for (const hashes of classes)
    if (hashes.every((hash) => sideOf(hash, holdOut) === 'val')) holdOut.train.push(byDraw(hashes, holdOut).at(-1)!);
}

/** The likeliest to be held out first. */
const byDraw = (hashes: readonly string[], { seed }: HoldOut): string[] =>
  hashes.toSorted((a, b) => drawOf(a, seed) - drawOf(b, seed));

/** Those of every class, each once. */
function hashesByClass(images: readonly Hashed[]): string[][] {
  const byClass = new Map<string | number, Set<string>>();
  for (const { className, hash } of images) {
    if (hash === undefined) continue;
    if (!byClass.has(className)) byClass.set(className, new Set());
    byClass.get(className)!.add(hash);
  }
  return [...byClass.values()].map((hashes) => [...hashes]);
}

export const isHeldOut = (layout: Layout, path: string): boolean =>
  ['val', 'test'].includes(layout.placeOf(path)?.split ?? '');

/** Images read at once to know their contents. */
const AT_ONCE = 16;

/**
 * The layout with `train` and `val` as its splits, or with none if nothing is held out.
 * @param layout   without val and test
 * @param members  read from front to back
 * @param wanted   which of them are images
 */
export async function divideMembers(
  layout: Layout,
  members: Iterable<Member> | AsyncIterable<Member>,
  wanted: (member: Member) => boolean,
  request: HoldOutRequest | HoldOut | undefined,
): Promise<{ layout: Layout; division: Division }> {
  const images: (Hashed & { path: string })[] = [];
  const running = new Set<Promise<void>>();
  const { fraction } = newDivision(request).holdOut;
  for await (const member of members) {
    const place = wanted(member) ? layout.placeOf(member.path) : undefined;
    if (place === undefined) continue;
    const image: Hashed & { path: string } = { path: member.path, className: place.className };
    images.push(image);
    if (fraction === 0) continue; // whatever they hold, none is held out
    const task: Promise<void> = member
      .read()
      .then(async (bytes) => {
        if (looksReadable(bytes)) image.hash = await contentHash(bytes);
      })
      .catch(() => undefined) // skipped and named when it is to be decoded
      .finally(() => running.delete(task));
    running.add(task);
    if (running.size >= AT_ONCE) await Promise.race(running);
  }
  await Promise.all(running);
  const { sides, division } = divide(images, request);
  const heldOut = new Set(images.filter((_, i) => sides[i] === 'val').map(({ path }) => path));
  const splitOf = (path: string) => (heldOut.has(path) ? 'val' : 'train');
  const placeOf = (path: string) => {
    const place = layout.placeOf(path);
    return place && { ...place, split: heldOut.size > 0 ? splitOf(path) : undefined };
  };
  return { layout: { ...layout, placeOf }, division };
}

/** For people; undefined if no image is held out. */
export function describeDivision(
  source: string,
  { images, heldOut, holdOut: { fraction, seed } }: Division,
): string | undefined {
  if (heldOut === 0) return undefined;
  const seeded = seed === 0 ? '' : ` and --split-seed ${seed}`;
  return (
    `${source}: has no val/ or test/, so ${heldOut} of its ${images} images are held out as val ` +
    `(--val-fraction ${fraction}, by a hash of their contents${seeded})`
  );
}

/** Of a source with val or test of its own, if a division was asked for by flags. */
export function unusedRequest(request: HoldOutRequest | HoldOut | undefined): string | undefined {
  const isAsked =
    request !== undefined && !('val' in request) && request.fraction !== undefined && request.fraction > 0;
  return isAsked ? '--val-fraction has no effect: the data has val or test images of its own' : undefined;
}
