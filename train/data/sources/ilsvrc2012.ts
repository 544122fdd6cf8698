/**
 * The ImageNet challenge of 2012 in its own archives, read without unpacking: `ILSVRC2012_img_train.tar`, which holds a
 * tar a synset, `ILSVRC2012_img_val.tar`, and the development kit, which says what is on the validation images. They
 * appear as members `train/<synset>_<words>/…` and `val/<synset>_<words>/…`.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { extract } from 'tar-stream';
import { UserError } from '../../../base/errors.js';
import { requireFile } from '../../../base/require-file.js';
import { OpenFiles } from '../archive/open-files.js';
import { BLOCK, isEndMark, tarMembers } from '../archive/tar-images.js';
import type { Member, OpenOptions } from '../dataset.js';
import { readStructs } from './mat-file.js';

const TRAIN = 'ILSVRC2012_img_train.tar';
const VAL = 'ILSVRC2012_img_val.tar';
const KIT = 'ILSVRC2012_devkit_t12';
const META = 'data/meta.mat';
const TRUTH = 'data/ILSVRC2012_validation_ground_truth.txt';
/** Synsets with higher numbers are inner nodes of WordNet's tree. */
const CLASSES = 1000;

/**
 * @param folder          holds the two archives and `ILSVRC2012_devkit_t12.tar.gz`, or that unpacked
 * @param options.splits  the training archive, 138 GB, is not opened unless `train` is wanted
 * @throws {UserError} when one is missing, damaged, or they do not fit each other
 */
export async function* ilsvrc2012Members(
  folder: string,
  { splits }: Pick<OpenOptions, 'splits'> = {},
): AsyncGenerator<Member> {
  const kit = await readKit(folder);
  if (splits === undefined || splits.includes('train')) yield* trainMembers(folder, kit);
  yield* valMembers(folder, kit);
}

async function* trainMembers(folder: string, { names }: Kit): AsyncGenerator<Member> {
  const outer = archiveIn(folder, TRAIN);
  const files = new OpenFiles();
  for await (const archive of tarMembers(outer)) {
    if (!archive.path.endsWith('.tar')) continue;
    const synset = basename(archive.path, '.tar');
    const name = names.get(synset);
    if (!name) throw new UserError(`${outer}: ${archive.path} is not a synset of the development kit`);
    const { position } = archive;
    for await (const inner of imagesIn(`${outer}: ${archive.path}`, (await archive.read()) as Buffer)) {
      const { file, bytes, at } = inner;
      const later = position === undefined ? undefined : files.piece(outer, position + at, bytes.length);
      yield { path: `train/${name}/${file}`, kind: 'file', read: async () => bytes, later };
    }
  }
}

async function* valMembers(folder: string, { byId, truth }: Kit): AsyncGenerator<Member> {
  const archive = archiveIn(folder, VAL);
  let images = 0;
  for await (const { path, kind, read, later } of tarMembers(archive)) {
    if (kind !== 'file') continue;
    const number = Number(/_(\d{8})\.JPEG$/i.exec(path)?.[1]);
    const name = byId.get(truth[number - 1]);
    if (!name) {
      throw new UserError(`${archive}: ${path} has no line of ${TRUTH}, which has ${truth.length} images`);
    }
    images += 1;
    yield { path: `val/${name}/${basename(path)}`, kind, read, later };
  }
  if (images === truth.length) return;
  throw new UserError(`${archive}: holds ${images} images, and ${TRUTH} has ${truth.length}; fetch it again`);
}

function archiveIn(folder: string, name: string): string {
  const file = join(folder, name);
  if (existsSync(file)) return file;
  throw new UserError(`${file}: no such file; ilsvrc2012:DIR takes a folder with ${TRAIN}, ${VAL} and ${KIT}.tar.gz`);
}

interface InnerImage {
  file: string;
  bytes: Buffer;
  /** Position in the inner archive. */
  at: number;
}

/** One synset's archive is in memory at a time: some 150 MB. */
async function* imagesIn(where: string, archive: Buffer): AsyncGenerator<InnerImage> {
  const entries = Readable.from([archive]).pipe(extract());
  try {
    for await (const entry of entries) {
      const { name, type } = entry.header;
      if (type === 'file') yield { file: basename(name), bytes: await buffer(entry), at: entry.offset + BLOCK };
      else entry.resume();
    }
    if (!isEndMark(archive.subarray(-BLOCK))) throw new Error('its closing blocks of zeros are missing');
  } catch (cause) {
    throw new UserError(`${where}: the archive inside is damaged: ${(cause as Error).message}`, { cause });
  }
}

interface Kit {
  /** Folder names `<synset>_<words>` by the challenge's number of the class, and by synset. */
  byId: Map<number, string>;
  names: Map<string, string>;
  /** Number of the class of every validation image. */
  truth: number[];
}

async function readKit(folder: string): Promise<Kit> {
  const files = await kitFiles(folder);
  const where = join(folder, KIT);
  const byId = new Map<number, string>();
  const names = new Map<string, string>();
  try {
    for (const { ILSVRC2012_ID: id, WNID: synset, words } of readStructs(files.get(META)!, 'synsets')) {
      if (typeof synset !== 'string' || typeof words !== 'string' || typeof id === 'string' || id === undefined) {
        throw new Error('a synset without number, WNID or words');
      }
      if (id[0] > CLASSES) continue;
      const name = `${synset}_${words.replaceAll('/', ' or ').replaceAll(' ', '_')}`;
      byId.set(id[0], name);
      names.set(synset, name);
    }
  } catch (cause) {
    throw new UserError(`${where}/${META}: cannot be read: ${(cause as Error).message}`, { cause });
  }
  const lines = files.get(TRUTH)!.toString('utf8').trim().split(/\s+/);
  const truth = lines.map(Number);
  const wrong = truth.findIndex((id) => !byId.has(id));
  if (wrong >= 0) {
    throw new UserError(
      `${where}/${TRUTH}: line ${wrong + 1} is ${JSON.stringify(lines[wrong])}, not a class of ${META}`,
    );
  }
  return { byId, names, truth };
}

async function kitFiles(folder: string): Promise<Map<string, Buffer>> {
  const wanted = [META, TRUTH];
  const files = new Map<string, Buffer>();
  if (existsSync(join(folder, KIT))) {
    for (const name of wanted) {
      requireFile(join(folder, KIT, name));
      const read = readFile(join(folder, KIT, name)).catch((cause: NodeJS.ErrnoException) => {
        throw new UserError(`${join(folder, KIT, name)}: cannot be read (${cause.code})`, { cause });
      });
      files.set(name, await read);
    }
    return files;
  }
  const archive = archiveIn(folder, `${KIT}.tar.gz`);
  for await (const { path, read } of tarMembers(archive)) {
    const name = wanted.find((candidate) => path.endsWith(`/${candidate}`) || path === candidate);
    if (name) files.set(name, (await read()) as Buffer);
  }
  const missing = wanted.find((name) => !files.has(name));
  if (missing) throw new UserError(`${archive}: holds no ${missing}`);
  return files;
}
