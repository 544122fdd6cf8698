/** The classes of WebDataset's samples: what a sample says, and the name it stands for. See `webdataset.ts`. */
import { decodeText } from '../../../base/decode-text.js';
import { UserError } from '../../../base/errors.js';
import type { TarMember } from '../archive/tar-images.js';
import { byCodePoint } from '../layout/image-classes.js';
import type { PieceReader } from '../stream/piece-reader.js';

/**
 * Names by number.
 * @param places  of `classes.txt`, the first that is there counts
 * @returns undefined if there is none
 * @throws {UserError} when a name is empty or there twice
 */
export async function readClassNames(files: PieceReader, places: string[]): Promise<string[] | undefined> {
  const found = await Promise.all(places.map((place) => files.exists(place)));
  const file = places[found.indexOf(true)];
  if (file === undefined) return undefined;
  const lines = decodeText(await files.whole(file))
    .trimEnd()
    .split('\n');
  const names = lines.map((line) => pathPart(line.trim()));
  for (const [number, name] of names.entries()) {
    if (name === '') throw new UserError(`${file}: line ${number + 1} is empty; expected the name of class ${number}`);
    const first = names.indexOf(name);
    if (first === number) continue;
    throw new UserError(
      `${file}: lines ${first + 1} and ${number + 1} are both "${name}"; make them differ, as in "${name} (${number})"`,
    );
  }
  return names;
}

/** A name as one part of a path. */
const pathPart = (name: string): string => name.replaceAll('/', ' or ');

/** A file of a sample. */
export interface SampleFile extends Pick<TarMember, 'later' | 'position'> {
  bytes: Buffer;
}

/**
 * What a sample's `.cls`, else its `.json`, says of its class; undefined if neither does.
 * @throws {UserError} when the `.json` cannot be read, or has anything but a number or text
 */
export function labelOf(where: string, files: ReadonlyMap<string, SampleFile>): string | undefined {
  const text = files.get('cls')?.bytes;
  if (text !== undefined) return decodeText(text).trim();
  const json = files.get('json')?.bytes;
  const value = json === undefined ? undefined : labelInJson(where, decodeText(json));
  if (value === undefined || typeof value === 'number' || typeof value === 'string') return value?.toString().trim();
  throw new UserError(`${where}: the class in its .json is ${JSON.stringify(value)}; expected a number or a name`);
}

function labelInJson(where: string, json: string): unknown {
  try {
    const record = JSON.parse(json);
    return record?.label ?? record?.cls;
  } catch (cause) {
    throw new UserError(`${where}: its .json cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** Turns labels into names of classes, and remembers them. */
export class ClassReader {
  private readonly seen = new Set<string>();
  private numbered?: boolean;

  /** @param names  by number, if they are known */
  constructor(private readonly names?: string[]) {}

  /**
   * @throws {UserError} when a label is out of range or unknown, or, without names, some are numbers and others words
   */
  read(where: string, label: string): string {
    const isNumber = /^\d+$/.test(label);
    const refuse = (expected: string) => {
      throw new UserError(`${where}: its class is ${JSON.stringify(label)}; expected ${expected}`);
    };
    // Of what JavaScript reads as a number: -1, 1.5, and nothing.
    if (!isNumber && !Number.isNaN(Number(label))) refuse('a whole number from 0, or a name');
    const { names } = this;
    const name = isNumber ? (names?.[Number(label)] ?? String(Number(label))) : pathPart(label);
    if (names && isNumber && Number(label) >= names.length)
      refuse(`0 to ${names.length - 1}, as classes.txt has lines`);
    if (names && !isNumber && !names.includes(name)) refuse(`a number, or a name in classes.txt`);
    this.numbered ??= isNumber;
    if (!names && this.numbered !== isNumber) refuse(`a ${isNumber ? 'name' : 'number'}, as samples before have`);
    this.seen.add(name);
    return name;
  }

  /** The classes read so far: as `names` has them, else by number, else by code point. */
  inOrder(): string[] {
    if (this.names) return this.names;
    return [...this.seen].sort(this.numbered ? (a, b) => Number(a) - Number(b) : byCodePoint);
  }
}
