/**
 * Shards of the WebDataset convention (github.com/webdataset/webdataset): tars in which the files of one sample follow
 * one another and share their path up to the first dot. A sample here is an image (`.jpg`, `.png`, `.webp`, …) and its
 * class: `.cls`, or `label` or `cls` of its `.json`. A class is a number or a name; `classes.txt` next to the shards
 * has the names by number, one per line, from 0. Samples appear as members `<split>/<class>/<shard>/<path>`; a shard is
 * for training if neither its folder nor its name, as `imagenet-val-000012.tar`, says another split.
 */
import { UserError } from '../../../base/errors.js';
import { isImage } from '../../../base/image-names.js';
import { OpenFiles } from '../archive/open-files.js';
import { tarMembers } from '../archive/tar-images.js';
import type { Member, OpenOptions, Source } from '../dataset.js';
import { contentHash, divide, type Hashed, newDivision, type Side } from '../layout/hold-out.js';
import type { Division } from '../layout/image-places.js';
import { RemoteFiles } from '../remote/remote-files.js';
import { isUrl } from '../remote/url.js';
import { PART_BYTES } from '../remote/window.js';
import type { PieceReader } from '../stream/piece-reader.js';
import { ClassReader, labelOf, readClassNames, type SampleFile } from './webdataset-classes.js';
import { classesPlaces, listShards, type Shard } from './webdataset-shards.js';

/**
 * @param place           see `listShards`
 * @param options.splits  shards for training are not opened unless `train` is wanted
 * @throws {UserError} when there is no shard, one is cut short, or a sample has not one image and one known class
 */
export function webdataset(place: string, options: Pick<OpenOptions, 'splits' | 'remote' | 'holdOut'>): Source {
  const classes: string[] = [];
  const division = newDivision(options.holdOut);
  return { members: membersOf(place, options, classes, division), classes, division };
}

async function* membersOf(
  place: string,
  { splits, remote, holdOut }: Pick<OpenOptions, 'splits' | 'remote' | 'holdOut'>,
  classes: string[],
  division: Division,
): AsyncGenerator<Member> {
  const isFar = isUrl(place);
  const open = isFar ? new RemoteFiles(remote) : new OpenFiles();
  const shards = await listShards(place);
  const reader = new ClassReader(await readClassNames(open, classesPlaces(place, shards)));
  const isDivided = division.holdOut.fraction > 0 && shards.every(({ split }) => split === 'train');
  const sides = isDivided ? await divideSamples(imagesIn(shards, open, reader), holdOut, division) : [];
  const numbers = new Map(shards.map((shard, number) => [shard, number]));
  let sample = 0;
  const isOpened = ({ split }: Shard) => isDivided || split !== 'train' || splits?.includes('train') !== false;
  for await (const { image, shard, className, file } of imagesIn(shards.filter(isOpened), open, reader)) {
    const { bytes, later, position } = image;
    const path = `${sides[sample++] ?? shard.split}/${className}/${shard.name}/${file}`;
    // A shard of 4 TB has 2 ** 16 parts.
    const part = numbers.get(shard)! * 2 ** 16 + Math.floor(position! / PART_BYTES);
    yield { path, kind: 'file', read: async () => bytes, later, ...(isFar && later && { shard: part }) };
  }
  classes.push(...reader.inOrder());
}

/** The side of every sample; reads all of them once more. */
async function divideSamples(
  samples: AsyncIterable<SampleImage>,
  request: OpenOptions['holdOut'],
  division: Division,
): Promise<Side[]> {
  const images: Hashed[] = [];
  for await (const { className, image, shard, file } of samples)
    images.push({ path: `${shard.name}/${file}`, className, hash: await contentHash(image.bytes) });
  const divided = divide(images, request);
  Object.assign(division, divided.division);
  return divided.sides;
}

/** A sample's image and what is known of it. */
interface SampleImage {
  shard: Shard;
  className: string;
  /** Path in the shard. */
  file: string;
  image: SampleFile;
}

async function* imagesIn(shards: Shard[], open: PieceReader, reader: ClassReader): AsyncGenerator<SampleImage> {
  for (const shard of shards) {
    for await (const { key, files } of samplesOf(shard.file, open)) {
      const where = `${shard.file}: sample ${key}`;
      const extension = imageOf(where, files);
      const label = labelOf(where, files);
      if (extension === undefined && label === undefined) continue; // something else, as a list of the shard is
      if (extension === undefined || label === undefined) throw incomplete(where, label);
      yield { shard, className: reader.read(where, label), file: `${key}.${extension}`, image: files.get(extension)! };
    }
  }
}

function incomplete(where: string, label: string | undefined): UserError {
  const lacks = label === undefined ? 'class (.cls, or .json with "label" or "cls")' : 'image';
  return new UserError(`${where}: has no ${lacks}; the files of a sample must follow one another in the shard`);
}

/** Files by extension: all behind the first dot, in lower case. */
interface Sample {
  key: string;
  files: Map<string, SampleFile>;
}

/** One sample at a time is in memory. */
async function* samplesOf(shard: string, open: PieceReader): AsyncGenerator<Sample> {
  let sample: Sample | undefined;
  for await (const { path, kind, read, later, position } of tarMembers(shard, open)) {
    const [, key, rest] = /^((?:.*\/)?[^./]+)\.([^/]+)$/.exec(path) ?? [];
    if (kind !== 'file' || key === undefined) continue;
    if (sample?.key !== key) {
      if (sample) yield sample;
      sample = { key, files: new Map() };
    }
    const extension = rest.toLowerCase();
    if (sample.files.has(extension)) throw new UserError(`${shard}: sample ${key}: has two files .${extension}`);
    if (['cls', 'json'].includes(extension) || isOwnImage(extension)) {
      sample.files.set(extension, { bytes: (await read()) as Buffer, later, position });
    }
  }
  if (sample) yield sample;
}

/** `seg.png` is an image too, but not what the sample shows. */
const isOwnImage = (extension: string): boolean => !extension.includes('.') && isImage(`.${extension}`);

function imageOf(where: string, files: Sample['files']): string | undefined {
  const [first, second] = [...files.keys()].filter(isOwnImage);
  if (second === undefined) return first;
  throw new UserError(`${where}: has two images, .${first} and .${second}; expected one`);
}
