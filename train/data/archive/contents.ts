/** What a source holds, met member by member: images, folders, and what is passed over. */
import { basename, extname } from 'node:path';
import { UserError } from '../../../base/errors.js';
import { IMAGE_ENDINGS } from '../../../base/image/formats.js';
import { isImage } from '../../../base/image-names.js';
import { nameSome } from '../../../base/name-some.js';
import type { Member } from '../dataset.js';

/** Files that come with data sets and need no mention when passed over. */
const ANNOTATION = /\.(txt|csv|json|md|xml|ya?ml|html?)$/i;

export class Contents {
  /** Of every image, decoded or not: they decide about layout and classes. */
  readonly paths: string[] = [];
  readonly folders: string[] = [];
  /** Files that are no images, by their ending. */
  private readonly leftOut = new Map<string, number>();
  /** Folders that were not looked into, by name and reason. */
  private readonly skipped = new Map<string, number>();
  /** Those of them that may hold data, with the reason. */
  private readonly unreadable: string[] = [];

  add({ path, kind, reason }: Member): void {
    if (kind === 'folder') this.folders.push(path);
    else if (kind === 'skipped') {
      count(this.skipped, `${basename(path)}/ (${reason})`);
      if (reason !== 'no data') this.unreadable.push(`${path}/: ${reason}`);
    } else if (kind === 'file' && isImage(path)) this.paths.push(path);
    else if (!ANNOTATION.test(path))
      count(this.leftOut, kind === 'file' ? extname(path).toLowerCase() || 'without ending' : 'links');
  }

  /** For people. */
  get notes(): string[] {
    const endings = [...this.leftOut].map(([ending, times]) => `${times} ${ending}`);
    const folders = [...this.skipped].map(([name, times]) => (times > 1 ? `${times} × ${name}` : name));
    return [
      ...(endings.length > 0 ? [`left out, being no images: ${endings.join(', ')}`] : []),
      ...(folders.length > 0 ? [`skipped folders: ${folders.join(', ')}`] : []),
    ];
  }

  /** Runs a check; what it misses may lie in a folder that cannot be read, so that its error names those. */
  explain<T>(check: () => T): T {
    try {
      return check();
    } catch (cause) {
      if (!(cause instanceof UserError) || this.unreadable.length === 0) throw cause;
      throw new UserError(`${cause.message}; ${nameSome(this.unreadable)}`, { cause });
    }
  }

  /** @throws {UserError} if there is no image */
  check(source: string): void {
    if (this.paths.length > 0) return;
    throw new UserError(
      `${source}: no images found (${IMAGE_ENDINGS})${this.notes.map((note) => `; ${note}`).join('')}`,
    );
  }
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}
