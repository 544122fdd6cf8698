/**
 * Files that are whole or absent: written under a temporary name, flushed to the disk, then renamed. A process killed at any
 * moment leaves the old file or the new one.
 */
import { createHash } from 'node:crypto';
import { open, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** What was written, for whoever reads it to check. */
export interface WrittenFile {
  path: string;
  bytes: number;
  /** Hex. */
  sha256: string;
}

/**
 * Writes the chunks one after another to a file in `folder`; memory holds one chunk.
 * @param name  file name, made from the SHA-256 of the contents
 */
export async function writeAtomically(
  folder: string,
  name: (sha256: string) => string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<WrittenFile> {
  const temporary = join(folder, `${name('')}.tmp`);
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(temporary, 'w');
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
  const sha256 = hash.digest('hex');
  const path = join(folder, name(sha256));
  await rename(temporary, path);
  await syncFolder(dirname(path));
  return { path, bytes, sha256 };
}

/** Writes text or bytes as a whole. */
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
