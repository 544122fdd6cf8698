/**
 * Shards of the WebDataset convention (github.com/webdataset/webdataset): tars in which the files of one sample follow one another and share
 * their path up to the first dot. A sample here is a picture (`.jpg`, `.png`, `.webp`, …) and its class: `.cls`, or `label` or `cls` of its
 * `.json`. A class is a number or a name; `classes.txt` beside the shards has the names by number, one a line, from 0. Samples appear as members
 * `<split>/<class>/<shard>/<path>`; a shard is for training where neither its folder nor its name, as `imagenet-val-000012.tar`, says another split.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { UserError } from '../../model/errors.js';
import type { Member, OpenOptions, Source } from './dataset.js';
import { OpenFiles } from './open-files.js';
import { byCodePoint } from './picture-classes.js';
import { isHidden, isPicture, SPLITS } from './picture-places.js';
import { tarMembers } from './tar-pictures.js';
import { ClassReader, labelOf, readClassNames, type SampleFile } from './webdataset-classes.js';

/**
 * @param folder          holds the shards, or folders `train`, `val`, `test` of them
 * @param options.splits  shards for training are not opened unless `train` is wanted
 * @throws {UserError} when there is no shard, one is cut short, or a sample has not one picture and one known class
 */
export function webdataset(folder: string, options: Pick<OpenOptions, 'splits'>): Source {
  const classes: string[] = [];
  return { members: membersOf(folder, options, classes), classes };
}

async function* membersOf(
  folder: string,
  { splits }: Pick<OpenOptions, 'splits'>,
  classes: string[],
): AsyncGenerator<Member> {
  const reader = new ClassReader(await readClassNames(folder));
  const open = new OpenFiles();
  for (const { file, split } of await listShards(folder)) {
    if (split === 'train' && splits?.includes('train') === false) continue;
    for await (const { key, files } of samplesOf(file, open)) {
      const where = `${file}: sample ${key}`;
      const extension = pictureOf(where, files);
      const label = labelOf(where, files);
      if (extension === undefined && label === undefined) continue; // something else, as a list of the shard is
      if (extension === undefined || label === undefined) throw incomplete(where, label);
      const path = `${split}/${reader.read(where, label)}/${basename(file, '.tar')}/${key}.${extension}`;
      const { bytes, later } = files.get(extension)!;
      yield { path, kind: 'file', read: async () => bytes, later };
    }
  }
  classes.push(...reader.inOrder());
}

function incomplete(where: string, label: string | undefined): UserError {
  const lacks = label === undefined ? 'class (.cls, or .json with "label" or "cls")' : 'picture';
  return new UserError(`${where}: has no ${lacks}; the files of a sample must follow one another in the shard`);
}

async function listShards(folder: string): Promise<{ file: string; split: string }[]> {
  const shards: { file: string; split: string }[] = [];
  for (const place of ['', ...SPLITS.keys()]) {
    const inside = join(folder, place);
    if (place !== '' && !existsSync(inside)) continue;
    const files = await readdir(inside).catch((cause: NodeJS.ErrnoException) => {
      throw new UserError(`${inside}: cannot be read (${cause.code}); webdataset:DIR takes a folder of .tar shards`, {
        cause,
      });
    });
    const tars = files.filter((name) => name.endsWith('.tar') && !isHidden(name)).sort(byCodePoint);
    if (place !== '' && tars.length === 0) throw new UserError(`${inside}: no .tar shards here; add some or remove it`);
    shards.push(...tars.map((name) => ({ file: join(inside, name), split: SPLITS.get(place) ?? splitInName(name) })));
  }
  if (shards.length > 0) return shards;
  throw new UserError(`${folder}: no .tar shards here, nor folders train/, val/ or test/ of them`);
}

function splitInName(name: string): string {
  const words = name.toLowerCase().match(/[a-z]+/g) ?? [];
  return SPLITS.get(words.find((word) => SPLITS.has(word)) ?? 'train')!;
}

/** Files by extension: all behind the first dot, in lower case. */
interface Sample {
  key: string;
  files: Map<string, SampleFile>;
}

/** One sample at a time is in memory. */
async function* samplesOf(shard: string, open: OpenFiles): AsyncGenerator<Sample> {
  let sample: Sample | undefined;
  for await (const { path, kind, read, later } of tarMembers(shard, open)) {
    const [, key, rest] = /^((?:.*\/)?[^./]+)\.([^/]+)$/.exec(path) ?? [];
    if (kind !== 'file' || key === undefined) continue;
    if (sample?.key !== key) {
      if (sample) yield sample;
      sample = { key, files: new Map() };
    }
    const extension = rest.toLowerCase();
    if (sample.files.has(extension)) throw new UserError(`${shard}: sample ${key}: has two files .${extension}`);
    if (['cls', 'json'].includes(extension) || isOwnPicture(extension)) {
      sample.files.set(extension, { bytes: (await read()) as Buffer, later });
    }
  }
  if (sample) yield sample;
}

/** `seg.png` is a picture too, but not what the sample shows. */
const isOwnPicture = (extension: string): boolean => !extension.includes('.') && isPicture(`.${extension}`);

function pictureOf(where: string, files: Sample['files']): string | undefined {
  const [first, second] = [...files.keys()].filter(isOwnPicture);
  if (second === undefined) return first;
  throw new UserError(`${where}: has two pictures, .${first} and .${second}; expected one`);
}
