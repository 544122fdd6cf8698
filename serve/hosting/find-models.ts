/**
 * Where models are on disk: single files, or a repository as Triton's, `DIR/<name>/<version>/model.onnx` with whole
 * numbers for versions. Names come from listings of the repository, never from requests.
 */
import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../base/errors.js';
import { fileSignature } from '../../base/file-signature.js';
import { anyRoots, type Roots, requireInside } from '../../base/links.js';
import { MODEL_NAME } from '../../onnx/file/model-name.js';
import type { VersionPolicy } from '../defaults.js';
import { RequestError } from '../errors.js';
import { foldersOf } from '../inference/model/sidecars.js';

/** A model's versions on disk. */
export interface ModelSource {
  /** undefined for a single file, which states it. */
  name?: string;
  versions: VersionSource[];
  /** Why its versions are unknown. */
  fault?: UserError;
}

export interface VersionSource {
  version: string;
  file: string;
  /** Folders in which its files may lie; undefined for its own. */
  roots?: Roots;
  /** Why there is no file to load. */
  fault?: UserError;
}

/** A repository, and what of it is served. */
export interface Shelf {
  folder: string;
  policy: VersionPolicy;
  /** Links may lead out of it. */
  followLinks: boolean;
}

const MODEL_FILE = 'model.onnx';
const NAMES = 'names of models are up to 64 letters, digits, ".", "_" and "-"';
const VERSION = /^[1-9]\d{0,8}$/;

/**
 * Every model of a repository, those that cannot be read with their `fault`; folders that do not fit are named to
 * `note`.
 * @throws {UserError} when the folder cannot be read, or holds no model
 */
export async function findModels(shelf: Shelf, note: (line: string) => void): Promise<ModelSource[]> {
  const { folder } = shelf;
  const sources: ModelSource[] = [];
  for (const name of await foldersIn(folder)) {
    if (name.startsWith('.')) continue; // of a tool, as Kubernetes' `..data`
    const source = await findModel(shelf, name).catch((fault): ModelSource => {
      if (!(fault instanceof UserError)) throw fault;
      return { name, versions: [], fault };
    });
    if (!source) continue;
    if (MODEL_NAME.test(name)) sources.push(source);
    else {
      const own = join(folder, name);
      // What holds no versions, or cannot be read, may be meant for something else, such as lost+found.
      if (source.versions.length === 0) note(`${own}: left out: ${NAMES}`);
      else sources.push({ name, versions: [], fault: new UserError(`${own}: ${NAMES}`) });
    }
  }
  if (sources.some(({ versions, fault }) => versions.length > 0 || !(fault instanceof NoVersion))) return sources;
  throw new UserError(
    `${folder}: expected models as <name>/<version>/${MODEL_FILE}, e.g. alexnet/1/${MODEL_FILE}, got none`,
  );
}

/** A folder that may be meant for something else than a model. */
class NoVersion extends UserError {
  override name = 'NoVersion';
}

/**
 * One model's versions, the lowest first; undefined if there is no such folder.
 * @throws {UserError} when its folder cannot be read, is a link out of the repository, or holds no version
 */
export async function findModel(shelf: Shelf, name: string): Promise<ModelSource | undefined> {
  const { folder, policy, followLinks } = shelf;
  if (!(await foldersIn(folder)).includes(name)) return undefined;
  const roots = followLinks ? anyRoots(folder) : [await realpath(folder)];
  const own = join(folder, name);
  if (await isFile(own)) return undefined;
  await requireInside(own, roots).catch((cause) => {
    throw cause instanceof UserError ? cause : unreadable(own, cause);
  });
  const versions: VersionSource[] = [];
  for (const version of (await foldersIn(own)).filter((text) => VERSION.test(text))) {
    const file = join(own, version, MODEL_FILE);
    versions.push({ version, file, roots, fault: await faultOf(join(own, version), file) });
  }
  versions.sort((a, b) => Number(a.version) - Number(b.version));
  if (versions.length === 0)
    throw new NoVersion(`${own}: holds no <version>/${MODEL_FILE} with a whole number for <version>`);
  if (policy === 'all') return { name, versions };
  // A newer one without a file, which is being copied perhaps, does not take the place of the latest.
  const latest = versions.findLastIndex(({ fault }) => !fault);
  return { name, versions: versions.slice(latest) };
}

/**
 * Links to a file count whatever they lead to, and so does what cannot be looked at: loading it tells what is wrong.
 */
async function faultOf(folder: string, file: string): Promise<UserError | undefined> {
  const code = await codeOf(lstat(file));
  if (code !== 'ENOENT' && code !== 'ENOTDIR') return undefined;
  const gone = await codeOf(stat(folder));
  if (gone !== undefined) return new UserError(`${folder}: is a link that leads to no folder (${gone})`);
  return new UserError(`${folder}: holds no ${MODEL_FILE}`);
}

const codeOf = (looking: Promise<unknown>): Promise<string | undefined> =>
  looking.then(
    () => undefined,
    ({ code }: NodeJS.ErrnoException) => code,
  );

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function foldersIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink()).map(({ name }) => name);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOTDIR' && cause instanceof Error) return [];
    throw unreadable(folder, cause as NodeJS.ErrnoException);
  }
}

function unreadable(folder: string, cause: NodeJS.ErrnoException): UserError {
  return new UserError(`${folder}: the folder of models cannot be read (${cause.code})`, { cause });
}

/** Equal as long as nothing changed where the model, its description, labels and weights may lie. */
export async function versionSignature({ file }: VersionSource): Promise<string> {
  const listed = foldersOf(file).map(async (folder) => {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    const files = entries.filter((entry) => !entry.isDirectory() && !VERSION.test(entry.name));
    return files.map(({ name }) => join(folder, name));
  });
  const paths = (await Promise.all(listed)).flat().sort();
  const all = await Promise.all(paths.map(async (path) => `${path} ${await fileSignature(path).catch(() => 'none')}`));
  return all.join('; ');
}

/** @throws {RequestError} MODEL_NOT_FOUND if `name` cannot be that of a model */
export function requireModelName(name: string): void {
  if (MODEL_NAME.test(name)) return;
  throw new RequestError('MODEL_NOT_FOUND', `no model has such a name; ${NAMES}`);
}
