/**
 * Files that are whole or absent: written under a temporary name, flushed to the disk, then renamed. A process killed
 * at any moment leaves the old file or the new one.
 */
import { createHash } from 'node:crypto';
import { appendFile, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { writeError } from './disk-full.js';

/** What was written, for the reader to check. */
export interface WrittenFile {
  path: string;
  bytes: number;
  /** Hex. */
  sha256: string;
}

/**
 * Writes the chunks one after another to a file in `folder`; memory holds one chunk. If that fails nothing is left
 * behind.
 * @param name  file name, made from the SHA-256 of the contents
 * @throws {DiskFullError} if there is no room
 */
export async function writeAtomically(
  folder: string,
  name: (sha256: string) => string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<WrittenFile> {
  const temporary = join(folder, `${name('')}.alexnet-tmp`); // a name that nobody else gives
  try {
    const { bytes, sha256 } = await writeChunks(temporary, chunks);
    const path = join(folder, name(sha256));
    await moveFile(temporary, path);
    await syncFolder(dirname(path));
    return { path, bytes, sha256 };
  } catch (error) {
    await rm(temporary, { force: true });
    throw writeError(temporary, error);
  }
}

/** How Windows refuses a rename for the moment in which a virus scanner, an indexer or another reader holds a file. */
const HELD = ['EPERM', 'EBUSY', 'EACCES'];
const LONGEST_WAIT_MS = 1000;

/** Renames a file or folder, in place of a file that is there; on Windows tries for some two seconds. */
export async function moveFile(from: string, to: string): Promise<void> {
  for (let waitMs = 10; ; waitMs *= 2) {
    try {
      return await rename(from, to);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (process.platform !== 'win32' || !HELD.includes(code) || waitMs > LONGEST_WAIT_MS) throw error;
    }
    await setTimeout(waitMs);
  }
}

/** Writes the chunks one after another and flushes them to the disk. */
export async function writeChunks(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<Omit<WrittenFile, 'path'>> {
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(path, 'w');
  try {
    for await (const chunk of chunks) {
      hash.update(chunk);
      bytes += chunk.length;
      for (let start = 0; start < chunk.length; ) start += (await file.write(chunk, start)).bytesWritten;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Adds to the end of a file. @throws {DiskFullError} if there is no room; then a part may have been added */
export async function append(path: string, contents: string | Uint8Array): Promise<void> {
  await appendFile(path, contents).catch((error) => {
    throw writeError(path, error);
  });
}

/** Writes text or bytes as a whole. @throws {DiskFullError} if there is no room */
export async function writeFileAtomically(path: string, contents: string | Uint8Array): Promise<void> {
  const bytes = typeof contents === 'string' ? Buffer.from(contents) : contents;
  await writeAtomically(dirname(path), () => basename(path), [bytes]);
}

/** Makes renames in the folder survive a power cut. Windows cannot open folders and orders renames itself. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
