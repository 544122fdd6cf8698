/**
 * Everything in a .tar or .tar.gz, in the archive's order, streamed: nothing is unpacked to disk and one member at a
 * time is in memory. Whether it is compressed is recognised by its first bytes, not by its name.
 */
import { posix } from 'node:path';
import { pipeline, Transform, type TransformCallback } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { UserError } from '../../../base/errors.js';
import { isHidden } from '../../../base/image-names.js';
import type { Member } from '../dataset.js';
import type { PieceReader } from '../stream/piece-reader.js';
import { checkFormat } from './archive-formats.js';
import { OpenFiles } from './open-files.js';

/** Headers take one block, contents as many as they fill. */
export const BLOCK = 512;
const KINDS: Record<string, Member['kind']> = { file: 'file', 'contiguous-file': 'file', directory: 'folder' };

/** A member of an archive; `position` is that of its bytes in the file, absent if the archive is compressed. */
export interface TarMember extends Member {
  position?: number;
  /** Of a hard link: the path of the member that it is another name of. */
  linksTo?: string;
}

/**
 * @param file   path, or URL, of the archive
 * @param files  through which it is read, now and later
 * @throws {UserError} when it is not a tar, is cut short, or its compression is damaged: with what was read up to there
 */
export async function* tarMembers(file: string, files: PieceReader = new OpenFiles()): AsyncGenerator<TarMember> {
  const compressed = await isCompressed(file, files);
  const source = files.stream(file);
  const tail = new Tail();
  const entries = extract();
  // The error of any stage reaches the loop below through `entries`; the callback only has to exist.
  const ignore = () => {};
  if (compressed) pipeline(source, createGunzip(), tail, entries, ignore);
  else pipeline(source, tail, entries, ignore);

  let members = 0;
  try {
    for await (const entry of entries) {
      const { name, type, linkname, size } = entry.header;
      let reading: Promise<Buffer> | undefined;
      const read = () => {
        // Whoever reads a member that is cut short learns of the archive.
        reading ??= buffer(entry).catch((cause: Error) => {
          throw cause instanceof UserError ? cause : brokenOff(file, tail.size, members, cause.message, cause);
        });
        return reading;
      };
      const path = pathOf(name);
      const kind = KINDS[type ?? ''] ?? 'other';
      const hidden = hiddenFolder(path, kind);
      const position = entry.offset + BLOCK;
      if (hidden !== undefined) yield { path: hidden, kind: 'skipped', reason: 'no data', read };
      else if (path !== '' && !isHidden(posix.basename(path)))
        yield {
          path,
          kind,
          read,
          ...(type === 'link' && linkname && { linksTo: pathOf(linkname) }),
          ...(!compressed && { position, later: files.piece(file, position, size) }),
        };
      if (reading === undefined) for await (const _ of entry); // passed over, and counted once it is whole
      await reading;
      members += 1;
    }
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const reason = (cause as Error).message;
    if (members === 0 && !compressed) throw notTar(file, reason, cause);
    throw brokenOff(file, tail.size, members, reason, cause);
  }
  if (tail.size === 0) throw notTar(file, 'it is empty, 0 bytes');
  if (tail.size % BLOCK !== 0) throw notTar(file, 'its size is not a multiple of 512 bytes');
  // Without this check an archive cut between two members would pass for a smaller data set.
  if (!isEndMark(tail.last)) throw brokenOff(file, tail.size, members, 'its closing blocks of zeros are missing');
}

/** As it would be unpacked: nothing lies outside. */
const pathOf = (name: string): string => posix.normalize(`/${name}`).replace(/^\/+/, '').replace(/\/+$/, '');

/** The first folder on the way to a member that is no data. */
function hiddenFolder(path: string, kind: Member['kind']): string | undefined {
  const parts = path.split('/');
  const last = kind === 'folder' ? parts.length : parts.length - 1;
  const first = parts.slice(0, last).findIndex(isHidden);
  return first < 0 ? undefined : parts.slice(0, first + 1).join('/');
}

/** Passes an archive through and keeps its last block and its size. */
class Tail extends Transform {
  size = 0;
  last: Buffer = Buffer.alloc(0);

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.size += chunk.length;
    this.last = chunk.length >= BLOCK ? chunk.subarray(-BLOCK) : Buffer.concat([this.last, chunk]).subarray(-BLOCK);
    done(null, chunk);
  }
}

/** Whether this last block of an archive says that it is whole. */
export const isEndMark = (block: Buffer): boolean => block.every((byte) => byte === 0);

/** @throws {UserError} when it is compressed in a way that is not read */
async function isCompressed(file: string, files: PieceReader): Promise<boolean> {
  const start = (await startOf(file, files)).toString('latin1');
  checkFormat(file, start);
  return start.startsWith('\x1f\x8b');
}

async function startOf(file: string, files: PieceReader): Promise<Buffer> {
  for await (const chunk of files.stream(file)) return chunk.subarray(0, 8);
  return Buffer.alloc(0);
}

function notTar(file: string, reason: string, cause?: unknown): UserError {
  return new UserError(`${file}: expected a folder, a .tar or a .tar.gz, but this is not a tar archive (${reason})`, {
    cause,
  });
}

function brokenOff(file: string, bytes: number, members: number, reason: string, cause?: unknown): UserError {
  const read = `${members} members in ${(bytes / 1e6).toFixed(1)} MB`;
  return new UserError(
    `${file}: the archive is cut short or damaged after ${read} (${reason}); fetch or pack it again`,
    { cause },
  );
}
