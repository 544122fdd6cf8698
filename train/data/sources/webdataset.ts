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
import { RemoteFiles } from '../remote/remote-files.js';
import { isUrl } from '../remote/url.js';
import { PART_BYTES } from '../remote/window.js';
import type { PieceReader } from '../stream/piece-reader.js';
import { ClassReader, labelOf, readClassNames, type SampleFile } from './webdataset-classes.js';
import { classesPlaces, listShards } from './webdataset-shards.js';

/**
 * @param place           see `listShards`
 * @param options.splits  shards for training are not opened unless `train` is wanted
 * @throws {UserError} when there is no shard, one is cut short, or a sample has not one image and one known class
 */
export function webdataset(place: string, options: Pick<OpenOptions, 'splits' | 'remote'>): Source {
  const classes: string[] = [];
  return { members: membersOf(place, options, classes), classes };
}

async function* membersOf(
  place: string,
  { splits, remote }: Pick<OpenOptions, 'splits' | 'remote'>,
  classes: string[],
): AsyncGenerator<Member> {
  const isFar = isUrl(place);
  const open = isFar ? new RemoteFiles(remote) : new OpenFiles();
  const shards = await listShards(place);
  const reader = new ClassReader(await readClassNames(open, classesPlaces(place, shards)));
  for (const [number, { file, name, split }] of shards.entries()) {
    if (split === 'train' && splits?.includes('train') === false) continue;
    for await (const { key, files } of samplesOf(file, open)) {
      const where = `${file}: sample ${key}`;
      const extension = imageOf(where, files);
      const label = labelOf(where, files);
      if (extension === undefined && label === undefined) continue; // something else, as a list of the shard is
      if (extension === undefined || label === undefined) throw incomplete(where, label);
      const path = `${split}/${reader.read(where, label)}/${name}/${key}.${extension}`;
      const { bytes, later, position } = files.get(extension)!;
      // A shard of 4 TB has 2 ** 16 parts.
      const part = number * 2 ** 16 + Math.floor(position! / PART_BYTES);
      yield { path, kind: 'file', read: async () => bytes, later, ...(isFar && later && { shard: part }) };
    }
  }
  classes.push(...reader.inOrder());
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
