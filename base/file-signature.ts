import { stat } from 'node:fs/promises';

/** Equal as long as nobody wrote to the file or put another in its place. */
export async function fileSignature(file: string): Promise<string> {
  const { ino, size, mtimeMs } = await stat(file);
  return `${ino} ${size} ${mtimeMs}`;
}
